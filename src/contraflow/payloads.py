"""Read a payload again that was written in canonical form (:mod:`contraflow.fingerprint`)."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from contraflow.fingerprint import TAG


def decode_payload(text: str) -> dict[str, Any]:
    """Make the payload that a canonical form stands for.

    Equal to the original as a remote sees it: the values of enumerations come back instead of their members, lists instead
    of tuples, and aware datetimes in UTC.

    Raises:
        ValueError: The text is none that contraflow wrote.
    """
    try:
        payload = json.loads(text, object_hook=_untag)
    except (
        ArithmeticError,
        AttributeError,
        RecursionError,
        TypeError,
    ) as error:  # a tag with a value that is not its own
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if not isinstance(payload, dict):
        raise ValueError("a payload is a mapping")
    return payload


def _untag(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name.startswith(TAG):
            decode = _DECODERS.get(name.removeprefix(TAG))
            if decode is None:
                raise ValueError(f"a value of the unknown type {name.removeprefix(TAG)!r}")
            return decode(inner)
    return value


def _timedelta(text: str) -> dt.timedelta:
    days, seconds, microseconds = map(int, text.split(","))
    return dt.timedelta(days, seconds, microseconds)


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "int": lambda digits: int(digits, 16),
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
    "decimal": Decimal,
    "instant": dt.datetime.fromisoformat,
    "set": lambda members: list(members),
    "time": dt.time.fromisoformat,
    "timedelta": _timedelta,
    "uuid": uuid.UUID,
}
