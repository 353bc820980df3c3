"""The types of a settings class: its fields held beside what was written for them, and in words for messages."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import attrs

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_KINDS = {
    str: "text",
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    dict: "a mapping",
    list: "a list",
    type(None): "nothing",
}


class Declared(NamedTuple):
    """Something that was written, and what its class says of it."""

    path: str
    """Below the settings: ``.routes[0].path``."""
    raw: Any
    is_list: bool
    secret: bool


def declared(kind: Any, raw: Any, path: str = "", *, secret: bool = False) -> Iterator[Declared]:
    """Walk what was written along the types of its class, as far as the two go together.

    Args:
        kind: The class, or the type of a field.
        raw: What was written.
        path: Where.
        secret: Whether a class above declares it so.
    """
    members = [each for each in _members(kind) if each is not type(None)]
    origin = get_origin(members[0]) if len(members) == 1 else None
    is_list = isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset)
    yield Declared(path, raw, is_list, secret)
    for member in members:
        if attrs.has(member) and isinstance(raw, Mapping):
            for field in attrs.fields(attrs.resolve_types(member)):
                if field.alias in raw:
                    hidden = secret or bool(field.metadata.get("secret"))
                    yield from declared(field.type, raw[field.alias], f"{path}.{field.alias}", secret=hidden)
        elif isinstance(raw, Mapping) and len(get_args(member)) == 2:
            for name, each in raw.items():
                yield from declared(get_args(member)[1], each, f"{path}.{name}", secret=secret)
        elif isinstance(raw, list) and get_args(member):
            for index, each in enumerate(raw):
                yield from declared(get_args(member)[0], each, f"{path}[{index}]", secret=secret)


def in_words(kind: Any) -> str | None:
    """A type for people; ``None`` if there are no words for it."""
    members = [each for each in _members(kind) if each is not type(None)]
    if len(members) != 1:
        return None
    member = members[0]
    if choices := options(member):
        return f"one of {', '.join(choices)}"
    origin = get_origin(member) or member
    if attrs.has(origin) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "a mapping"
    if isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset):
        return "a list"
    return _WORDS.get(member)


def options(kind: Any) -> list[str]:
    """The values among which a literal type or an enumeration lets one choose; empty for other types."""
    for member in _members(kind):
        if get_origin(member) is Literal:
            return [str(each) for each in get_args(member)]
        if isinstance(member, type) and issubclass(member, enum.Enum):
            return [str(each.value) for each in member]
    return []


def kind_of(value: Any) -> str:
    """What kind of value was written, without the value."""
    return _KINDS.get(type(value), type(value).__name__)


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
