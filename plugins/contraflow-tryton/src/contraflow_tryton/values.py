"""Values on their way to Tryton and back: what JSON has no word for travels as an object with a ``__class__``."""

from __future__ import annotations

import base64
import enum
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from contraflow_hookspecs import ItemError


def plain(value: Any, field: str) -> Any:
    """An entity's value as a payload holds it: text without blanks at its ends, as Tryton keeps it, and ``None`` if nothing
    is left; moments in UTC.

    Raises:
        ItemError: Tryton has no field for it (code ``value``).
    """
    if isinstance(value, enum.Enum):
        value = value.value
    match value:
        case None | bool() | int() | bytes() | time():
            return value
        case str():
            return _encodable(value, field).strip() or None
        case float() if math.isfinite(value):
            return value
        case Decimal() if value.is_finite():
            return value
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        case date():
            return value
        case _:
            raise ItemError(f"{field}: a value of type {type(value).__name__} has no field in Tryton", code="value")


def _encodable(text: str, field: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ItemError(f"{field}: half of a surrogate pair, which no encoding can keep", code="value") from None
    if "\x00" in text:
        raise ItemError(f"{field}: a NUL character, which Tryton's database cannot keep", code="value")
    return text


def encoded(value: Any) -> Any:
    """A value, or a structure of them, as Tryton reads it."""
    match value:
        case Mapping():
            return {name: encoded(each) for name, each in value.items()}
        case list() | tuple():
            return [encoded(each) for each in value]
        case datetime():
            return {"__class__": "datetime", **_parts(value, "year", "month", "day"), **_clock(value)}
        case date():
            return {"__class__": "date", **_parts(value, "year", "month", "day")}
        case time():
            return {"__class__": "time", **_clock(value)}
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case bytes():
            return {"__class__": "bytes", "base64": base64.b64encode(value).decode()}
        case _:
            return value


def decoded(record: dict[str, Any]) -> Any:
    """An object of Tryton's answer as the value that it stands for; for ``json``'s ``object_hook``."""
    match record.get("__class__"):
        case "datetime":
            day, clock = date(record["year"], record["month"], record["day"]), _time(record)
            return datetime.combine(day, clock, UTC)
        case "date":
            return date(record["year"], record["month"], record["day"])
        case "time":
            return _time(record)
        case "Decimal":
            return Decimal(record["decimal"])
        case "bytes":
            return base64.b64decode(record["base64"])
        case _:
            return record


def same(ours: Any, held: Any) -> bool:
    """Whether Tryton holds our value: it strips texts, and does not tell an empty one from none."""
    if isinstance(ours, str) and isinstance(held, str):
        return ours.strip() == held.strip()
    if isinstance(ours, Decimal | int | float) and isinstance(held, Decimal | int | float):
        return isinstance(ours, bool) == isinstance(held, bool) and ours == held
    return (ours or None) == (held or None) if isinstance(ours, str) or isinstance(held, str) else bool(ours == held)


def _time(record: Mapping[str, int]) -> time:
    return time(record["hour"], record["minute"], record["second"], record["microsecond"])


def _parts(value: Any, *names: str) -> dict[str, int]:
    return {name: getattr(value, name) for name in names}


def _clock(value: Any) -> dict[str, int]:
    return _parts(value, "hour", "minute", "second", "microsecond")
