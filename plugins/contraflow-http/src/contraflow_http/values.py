"""Python values as JSON holds them, so that a payload is the same when it is compared and when it is sent."""

from __future__ import annotations

import base64
import enum
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from contraflow_hookspecs import ItemError

Decimals = Literal["text", "number"]
"""How a ``Decimal`` travels: as text, exactly, or as a JSON number, rounded to a float where it is not whole."""

ParentIds = Literal["text", "number"]
"""How the remote id of a parent travels: as text, or as a JSON number where it is a whole number."""

_MAX_DEPTH = 64

_MAX_BITS = 8192
"""Of a whole number: Python refuses to write out much larger ones."""

_MAX_WHOLE = 2.0**53
"""Up to here every whole number is a float of its own."""

_MAX_ZEROS = 64
"""Decimals that are further from 1 than this many places are written with an exponent."""


def to_json(value: Any, *, field: str = "", decimals: Decimals = "text") -> Any:
    """The value in JSON's types: text, numbers, booleans, null, lists and objects.

    Dates and times become ISO 8601 text, UUIDs text, bytes base64 text, enumerations their values, tuples lists.

    Args:
        value: What an entity or a processor holds.
        field: The name to give in an error.
        decimals: See :data:`Decimals`.

    Raises:
        ItemError: JSON has no such value (code ``not_json``): another type, NaN, an infinity, half a surrogate pair.
    """
    return _convert(value, field, decimals, 0)


def _convert(value: Any, field: str, decimals: Decimals, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value, field)
    if value is None or kind is bool or (kind is int and value.bit_length() <= _MAX_BITS):
        return value
    if isinstance(value, enum.Enum):
        return _convert(value.value, field, decimals, depth)
    if isinstance(value, (Mapping, list, tuple)):
        return _container(value, field, decimals, depth + 1)
    return _scalar(value, field, decimals)


def _container(value: Any, field: str, decimals: Decimals, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise _refused(field, f"is nested deeper than {_MAX_DEPTH} levels")
    if not isinstance(value, Mapping):
        return [_convert(entry, f"{field}[{at}]", decimals, depth) for at, entry in enumerate(value)]
    converted = {}
    for name, entry in value.items():
        if not isinstance(name, str):
            raise _refused(field, f"is an object with a name of type {type(name).__name__}; names must be text")
        inner = f"{field}.{name}" if field else name
        converted[_text(name, inner)] = _convert(entry, inner, decimals, depth)
    return converted


def _scalar(value: Any, field: str, decimals: Decimals) -> Any:
    if isinstance(value, str):
        return _text(str.__str__(value), field)
    if isinstance(value, int):
        return _whole(int(value), field)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refused(field, f"is {value}, which JSON cannot hold")
        # JSON knows numbers only: a remote gives 2.0 back as 2, and that must not look like an edit.
        return int(value) if value.is_integer() and abs(value) <= _MAX_WHOLE else float(value)
    if isinstance(value, Decimal):
        return _decimal(value, field, decimals)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    raise _refused(field, f"holds a {type(value).__name__}, which JSON cannot hold")


def _decimal(value: Decimal, field: str, decimals: Decimals) -> str | int | float:
    if not value.is_finite():
        raise _refused(field, f"is {value}, which JSON cannot hold")
    if decimals == "text":
        return format(value, "f") if abs(value.adjusted()) <= _MAX_ZEROS else str(value)
    number = float(value)
    if not math.isfinite(number):
        raise _refused(field, "is too large for a number of JSON: set decimals to text")
    return int(value) if value == value.to_integral_value() else number


def _whole(value: int, field: str) -> int:
    if value.bit_length() > _MAX_BITS:
        raise _refused(field, f"is a whole number of more than {_MAX_BITS} bits")
    return value


def _text(value: str, field: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused(field, "holds half a surrogate pair, which is no text") from None
    return value


def _refused(field: str, trouble: str) -> ItemError:
    shown = field.encode("utf-8", "backslashreplace").decode("utf-8")
    return ItemError(f"field '{shown}' {trouble}" if field else f"the value {trouble}", code="not_json")
