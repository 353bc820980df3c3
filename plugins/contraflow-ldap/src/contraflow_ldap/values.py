"""The values of attributes: a directory keeps a set of texts (or octets) under each name, and nothing else."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from contraflow_hookspecs import ItemError

Content = str | bytes | list[str | bytes] | None
"""What a payload holds under an attribute's name: nothing, one value, or several in a steady order."""


def content_of(value: Any, attribute: str) -> Content:
    """An entity's value as a payload holds it. Empty texts and ``None`` are no values: a directory has none that are empty.

    Raises:
        ItemError: A directory cannot hold it (code ``value``).
    """
    many = value if isinstance(value, list | tuple | set | frozenset) else [value]
    texts = [_plain(each, attribute) for each in many if each is not None]
    return _content(text for text in texts if text not in ("", b""))


def content_held(octets: Iterable[bytes], like: Any = None) -> Content:
    """What the directory holds as a payload would hold it; octets stay octets where ``like``, our own value, is such."""
    binary = any(isinstance(each, bytes) for each in (like if isinstance(like, list) else [like]))
    return _content(each if binary else _text(each) for each in octets)


def octets_of(content: Any) -> frozenset[bytes]:
    """A payload's value as the set of octets that is sent."""
    if content is None:
        return frozenset()
    many: Sequence[str | bytes] = [content] if isinstance(content, str | bytes) else content
    return frozenset(each.encode() if isinstance(each, str) else each for each in many)


def moment_of(text: str) -> datetime | None:
    """A generalized time as directories write it, in UTC to the second; ``None`` for another text."""
    try:
        return datetime.strptime(text[:14] + text[-1:], "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _content(values: Iterable[str | bytes]) -> Content:
    # The order of a set is nobody's concern, and must not look like a change.
    distinct = sorted(set(values), key=lambda each: each.encode() if isinstance(each, str) else each)
    if not distinct:
        return None
    return distinct[0] if len(distinct) == 1 else distinct


def _text(octets: bytes) -> str | bytes:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


def _plain(value: Any, attribute: str) -> str | bytes:
    if isinstance(value, enum.Enum):
        value = value.value
    match value:
        case str():
            return _encodable(value, attribute)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case Decimal() if value.is_finite():
            return format(value, "f")
        case UUID():
            return str(value)
        case datetime():
            return _generalized_time(value)
        case date():
            return _generalized_time(datetime.combine(value, time(), UTC))
        case _:
            kind = "a mapping" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"
            raise ItemError(f"{attribute}: {kind} cannot be kept by a directory", code="value")


def _encodable(text: str, attribute: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ItemError(f"{attribute}: half of a surrogate pair, which no encoding can keep", code="value") from None
    return text


def _generalized_time(moment: datetime) -> str:
    """RFC 4517, 3.3.13, without fractions unless there are some. A moment without a time zone is taken as UTC."""
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y%m%d%H%M%S}".rjust(14, "0") + fraction + "Z"
