"""One value of a key: from what a person or a program gave to the Python type of its column, strictly."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def convert(value: Any, to: type[Any] | None) -> Any:
    """The value as the given type.

    Args:
        value: What was given.
        to: The column's Python type; ``None`` if it is not known, and then any value stays as it is.

    Raises:
        ValueError: The value is none of that type; the text says what was expected.
    """
    if value is None:
        raise ValueError("a value; a key has no empty part")
    if to is None:
        return value
    if issubclass(to, enum.Enum):
        return _enumeration(value, to)
    converter = _CONVERTERS.get(to)
    if converter is None:
        return value
    try:
        return converter(value)
    except (ValueError, InvalidOperation, TypeError):
        raise ValueError(_EXPECTED[to]) from None


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value) or len(value) > 40:
            raise ValueError
        value = int(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is in no database
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (str, int)) and str(value).lower() in _BOOLEANS:
        return _BOOLEANS[str(value).lower()]
    raise ValueError


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, float, str)):
        raise TypeError
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return number


def _float(value: Any) -> float:
    return float(_decimal(value))


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(_text(value))


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        raise TypeError
    return value if isinstance(value, date) else date.fromisoformat(_text(value))


def _datetime(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else bytes.fromhex(_text(value))


def _enumeration(value: Any, to: type[enum.Enum]) -> enum.Enum:
    if isinstance(value, to):
        return value
    if isinstance(value, str) and value in to.__members__:
        return to[value]
    raise ValueError(f"one of {', '.join(to.__members__)}")


_CONVERTERS: dict[type[Any], Callable[[Any], Any]] = {
    int: _integer,
    str: _text,
    bool: _boolean,
    Decimal: _decimal,
    float: _float,
    UUID: _uuid,
    date: _date,
    datetime: _datetime,
    bytes: _bytes,
}
_EXPECTED: dict[type[Any], str] = {
    int: "integer of at most 64 bits",
    str: "text",
    bool: "true or false",
    Decimal: "decimal number",
    float: "number",
    UUID: "UUID",
    date: "date such as 2026-01-31",
    datetime: "date and time such as 2026-01-31T12:00:00",
    bytes: "bytes in hexadecimal digits",
}
