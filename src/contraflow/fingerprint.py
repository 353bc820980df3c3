"""The fingerprint of a payload: equal for equal content, different for different content, without keeping the content.

The payload is brought into a canonical form (JSON with sorted keys, no blanks, values of other types tagged with their
type) and hashed with BLAKE2b. ``1``, ``1.0``, ``True`` and ``"1"`` differ; ``Decimal("1.0")`` equals ``Decimal("1.00")``,
``-0.0`` equals ``0.0``, an aware datetime equals the same instant in another zone, a tuple equals a list, and the order of
keys and of sets does not matter.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

import orjson

from contraflow_hookspecs import ItemError

MAX_BYTES = 1024 * 1024
"""Largest canonical form of one payload, in bytes."""
MAX_DEPTH = 64
"""Deepest nesting of one payload."""

_BLAKE2B = hashlib.blake2b(digest_size=16)
_PREFIX = "fp1:"  # Names this canonical form, so that a later one can be told from it.
TAG = "\x00"
"""Begins the key of a tagged value; keys of payloads may not contain it."""
_NUL_ENCODED = b"\\u0000"
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_PLAIN = _AS_THEY_ARE | {int}
_INFINITY = math.inf
_INTEGERS = range(-(2**63), 2**64)  # what orjson encodes


def fingerprint(payload: Mapping[str, Any]) -> str:
    """Hash a payload; raises what :func:`canonical` does."""
    return fingerprint_of(canonical(payload))


def fingerprint_of(data: bytes) -> str:
    """Hash a canonical form."""
    digest = _BLAKE2B.copy()  # quicker than a new one
    digest.update(data)
    return _PREFIX + digest.hexdigest()


def canonical(payload: Mapping[str, Any]) -> bytes:
    """Bring a payload into its canonical form: UTF-8 text, which :func:`contraflow.payloads.decode_payload` reads.

    Raises what :func:`canonical_form` does.
    """
    return canonical_form(payload)[0]


def canonical_form(payload: Mapping[str, Any]) -> tuple[bytes, bool]:
    """A payload's canonical form, and whether that spells the payload's very own values, in whatever order.

    Raises:
        ItemError: The payload holds something that no fingerprint is defined for: a key that is not text, NaN or an
            infinity, a lone surrogate, a value of an unknown type; or it is larger than :data:`MAX_BYTES` or deeper than
            :data:`MAX_DEPTH`. The reason names the field, never the value.
    """
    is_plain = True
    for value in payload.values():
        kind = type(value)
        if kind not in _PLAIN and not (kind is float and (0.0 < value < _INFINITY or _is_plain(value))):
            is_plain = False
            break
    data = _encode_flat(payload) if is_plain else None
    if data is None:
        is_plain, data = False, _encode_any(payload)
    if len(data) > MAX_BYTES:
        raise ItemError(f"the payload has {len(data):,} bytes; at most {MAX_BYTES:,} are allowed", code="payload_size")
    return data, is_plain


def _encode(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _encode_flat(payload: Mapping[str, Any]) -> bytes | None:
    """Encode a payload of plain values, which is its own canonical form; ``None`` if it has to be walked through."""
    try:
        data = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # the walk finds out what it is
        return None
    return None if _NUL_ENCODED in data else data


def _is_plain(value: float) -> bool:
    return math.isfinite(value) and (value != 0.0 or math.copysign(1.0, value) > 0.0)


def _encode_any(payload: Mapping[str, Any]) -> bytes:
    canonical = _mapping(payload, "", 0)
    try:
        return _encode(canonical)
    except orjson.JSONEncodeError:
        raise ItemError(
            f"{_surrogate_field(canonical)} has a lone surrogate, which is no character", code="payload"
        ) from None


def _canonical(value: Any, path: str, depth: int) -> Any:
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, enum.Enum):
        return _canonical(value.value, path, depth)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return _finite(value, path)
    if isinstance(value, int):
        number = int(value)
        return number if number in _INTEGERS else {TAG + "int": hex(number)}
    if isinstance(value, Mapping):
        return _mapping(value, path, depth)
    if isinstance(value, bytes | bytearray | memoryview):
        return {TAG + "bytes": base64.b64encode(value).decode()}
    if isinstance(value, Sequence):
        return [_canonical(each, f"{path}[{index}]", _deeper(depth, path)) for index, each in enumerate(value)]
    if isinstance(value, Set):
        members = [_canonical(each, path, _deeper(depth, path)) for each in value]
        return {TAG + "set": sorted(members, key=_encode)}
    return _tagged(value, path)


def _tagged(value: Any, path: str) -> dict[str, str]:
    match value:
        case Decimal():
            return {TAG + "decimal": _decimal(value, path)}
        case dt.datetime():
            aware = value.tzinfo is not None
            return {
                TAG + ("instant" if aware else "datetime"): (value.astimezone(dt.UTC) if aware else value).isoformat()
            }
        case dt.date():
            return {TAG + "date": value.isoformat()}
        case dt.time():
            return {TAG + "time": value.isoformat()}
        case dt.timedelta():
            return {TAG + "timedelta": f"{value.days},{value.seconds},{value.microseconds}"}
        case uuid.UUID():
            return {TAG + "uuid": value.hex}
    kind = type(value)
    raise ItemError(
        f"{_field(path)} has a value of the unknown type {kind.__module__}.{kind.__qualname__}", code="payload"
    )


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    depth = _deeper(depth, path)
    result: dict[str, Any] = {}
    for name, each in value.items():
        if not isinstance(name, str):
            raise ItemError(f"{_field(path)} has a key of type {type(name).__name__}; keys are text", code="payload")
        if TAG in name:
            raise ItemError(f"{_field(path)} has a key with a NUL character", code="payload")
        if type(each) not in _AS_THEY_ARE:
            each = _canonical(each, f"{path}.{name}" if path else name, depth)
        result[str(name)] = each
    return result


def _deeper(depth: int, path: str) -> int:
    if depth >= MAX_DEPTH:
        raise ItemError(f"{_field(path.split('.')[0].split('[')[0])} is nested deeper than {MAX_DEPTH}", code="payload")
    return depth + 1


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise ItemError(f"{_field(path)} is {value}, which no JSON remote can hold", code="payload")
    return value + 0.0  # -0.0 + 0.0 is 0.0


def _decimal(value: Decimal, path: str) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ItemError(f"{_field(path)} is {value}, which is no number", code="payload")
    text = "".join(map(str, digits))
    stripped = text.rstrip("0")
    if not stripped:
        return "0"
    return f"{'-' if sign else ''}{stripped.lstrip('0')}E{exponent + len(text) - len(stripped)}"


def _surrogate_field(payload: Mapping[str, Any]) -> str:
    for name, value in payload.items():
        try:
            _encode({name: value})
        except orjson.JSONEncodeError:
            return _field(name.encode("ascii", "backslashreplace").decode())
    return "the payload"


def _field(path: str) -> str:
    return f"field '{path}'" if path else "the payload"
