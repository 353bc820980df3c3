"""Keys as text: the one canonical spelling under which the ledger finds an item again.

A key becomes a JSON array with one element for each key column. What JSON has no word for is tagged by an object of one
member: ``[7]``, ``["a,b", 5]``, ``[{"date": "2024-02-29"}]``. Different keys have different texts, equal keys of one type
have the same text, and :func:`decode_key` gives back what :func:`encode_key` was given.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from contraflow_hookspecs import Key

MAX_KEY_BYTES = 1000
"""Longest canonical text, in bytes of UTF-8. PostgreSQL indexes at most about 2,700 bytes."""


def encode_key(key: Key) -> str:
    """The canonical text of ``key``, a tuple with one value for each key column.

    Values may be ``None``, ``bool``, ``int``, finite ``float``, ``str``, ``bytes``, ``Decimal``, ``UUID``, ``date``,
    ``datetime`` and ``time``. A datetime with a zone is written in UTC, because databases give the same moment in the zone
    of the session.

    Raises:
        ValueError: The key cannot be kept: it is empty, too long, or holds a NUL, a lone surrogate, a NaN or a type that
            has no spelling. The message names the reason, and never the value.
    """
    if len(key) == 1:
        value = key[0]
        kind = type(value)
        if kind is int and -(10**18) < value < 10**18:
            return f"[{value}]"
        if kind is str and value.isascii() and "\0" not in value and len(value) < MAX_KEY_BYTES // 8:
            return f"[{encode_basestring(value)}]"
    return _encode(key)


def encode_position(position: Key) -> str:
    """The text of a reader's position: as of a key, but as long as it may be, since nothing is looked up by it.

    Raises:
        ValueError: As :func:`encode_key`.
    """
    return _spell(position)


def decode_key(text: str) -> Key:
    """The key, or the position, that :func:`encode_key` or :func:`encode_position` wrote as ``text``.

    Raises:
        ValueError: ``text`` is not the text of a key.
    """
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(values, list) or not values:
            raise ValueError
        return tuple(_from_json(value) for value in values)
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        raise ValueError(f"not the text of a key: {text[:80]!a}") from None


def display_key(key: Key) -> str:
    """``key`` for people: ``5``, ``1/3402``. Not unique, not to be parsed; control characters are escaped."""
    return "/".join(_display(value) for value in key)


def _spell(key: Key) -> str:
    if not key:
        raise ValueError("a key of no columns")
    text = json.dumps([_to_json(value) for value in key], ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the key holds a lone surrogate, which is no character") from None
    return text


def _encode(key: Key) -> str:
    text = _spell(key)
    size = len(text.encode())
    if size > MAX_KEY_BYTES:
        raise ValueError(f"the key is {size} bytes long; at most {MAX_KEY_BYTES} are kept")
    return text


def _to_json(value: Any) -> Any:
    """``value`` as something that ``json`` spells in one way only."""
    if value is None or isinstance(value, bool):
        return value
    for kind, spell in _SPELLINGS:
        if isinstance(value, kind):
            return spell(value)
    raise ValueError(f"a value of type {type(value).__name__} cannot be part of a key")


def _spell_int(value: int) -> int:
    if value.bit_length() > 4 * MAX_KEY_BYTES:  # Python refuses to print much longer ones
        raise ValueError(f"the key's number has more than {MAX_KEY_BYTES} digits")
    return int(value)


def _spell_float(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("the key holds a NaN or an infinity, which equals nothing that could be found again")
    return float(value)


def _spell_str(value: str) -> str:
    if "\0" in value:
        raise ValueError("the key holds a NUL character, which PostgreSQL cannot keep")
    return str.__str__(value)


def _spell_decimal(value: Decimal) -> dict[str, str]:
    if not value.is_finite():
        raise ValueError("the key holds a NaN or an infinity, which equals nothing that could be found again")
    return {"decimal": str(value)}


def _spell_datetime(value: datetime) -> dict[str, str]:
    if value.utcoffset() is None:
        return {"datetime": value.replace(tzinfo=None, fold=0).isoformat()}
    try:
        return {"datetime": value.astimezone(UTC).isoformat()}
    except OverflowError:
        raise ValueError("the key holds a moment that lies outside of the calendar in UTC") from None


# In the order of the tests: a datetime is also a date.
_SPELLINGS: tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any], Any]], ...] = (
    (int, _spell_int),
    (str, _spell_str),
    (float, _spell_float),
    (UUID, lambda value: {"uuid": str(value)}),
    (Decimal, _spell_decimal),
    (datetime, _spell_datetime),
    (date, lambda value: {"date": value.isoformat()}),
    (time, lambda value: {"time": value.isoformat()}),
    ((bytes, bytearray, memoryview), lambda value: {"bytes": base64.b64encode(value).decode()}),
)

_READERS: dict[str, Callable[[str], Any]] = {
    "uuid": UUID,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "bytes": lambda text: base64.b64decode(text, validate=True),
}


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        raise TypeError
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        return _READERS[tag](text)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _display(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    text = value.isoformat() if isinstance(value, date | time) else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
