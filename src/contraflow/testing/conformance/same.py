"""Whether a remote holds a value as it was sent, whatever it makes of types."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Same = Callable[[Any, Any], bool]


def holds(payload: Mapping[str, Any], held: Mapping[str, Any], same: Same | None = None) -> list[str]:
    """What of a payload the remote does not hold, in words; empty if it holds all.

    Args:
        payload: What was sent.
        held: What the remote holds; more than was sent is all right.
        same: Whether two values are the same; :func:`same_value` by default.
    """
    same = same or same_value
    return [
        f"its '{name}' was sent as {_short(value)} and is held as {_short(held.get(name))}"
        for name, value in payload.items()
        if not same(value, held.get(name))
    ]


def same_value(sent: Any, held: Any) -> bool:
    """Whether a value came through: numbers by value, moments as the same instant, also where they are held as text."""
    sent = sent.value if isinstance(sent, enum.Enum) else sent
    if sent is None or held is None:
        return sent is held
    match sent:
        case bool():
            return held is sent or (not isinstance(held, bool) and held == int(sent)) or held == str(sent).lower()
        case int() | float() | Decimal():
            return _number(held) == _number(sent)
        case dt.datetime():
            return _moment(held) == _moment(sent)
        case dt.date() | dt.time() | uuid.UUID():
            return str(held) == str(sent)
        case Mapping():
            return isinstance(held, Mapping) and not holds(sent, held)
        case list() | tuple():
            return isinstance(held, list | tuple) and len(held) == len(sent) and all(map(same_value, sent, held))
    return bool(sent == held)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _moment(value: Any) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
