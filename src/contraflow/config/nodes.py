"""The tree that a configuration file is read into: scalars, lists and mappings that know where they stand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from contraflow.errors import Location

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+)",
    re.ASCII,
)
_LONGEST_INTEGER = 4000
"""Digits; Python refuses to read longer ones."""
_LONGEST_SHOWN = 60
"""Characters of a value that a message shows."""


@attrs.frozen(kw_only=True, eq=False)
class Place:
    """Where a node stands. Its path is put together only when somebody asks, so that deep trees stay small."""

    file: str | None
    line: int | None
    """From 1: the line of the key in a mapping, of the item in a list."""
    column: int | None = None
    """From 1."""
    part: str = ""
    """The last part of the path: a key, or ``[2]`` in a list."""
    parent: Place | None = None

    @property
    def path(self) -> str:
        """The keys that lead here, such as ``jobs.customers.steps[0]``; empty at the top."""
        parts = []
        place: Place | None = self
        while place is not None:
            parts.append(place.part)
            place = place.parent
        joined = ""
        for part in reversed(parts):
            joined += part if not joined or part.startswith("[") else f".{part}"
        return joined

    @property
    def location(self) -> Location:
        """The same for messages."""
        return Location(file=self.file, line=self.line, path=self.path)


@attrs.frozen(kw_only=True)
class ScalarNode:
    """One value without parts."""

    place: Place = attrs.field(eq=False)
    text: str
    """Exactly as written, without quotes: for names."""
    value: Any
    """As YAML 1.2 types it: for parameters."""
    from_environment: bool = False
    """Whether a variable, or the default for one, is part of it: such a value is always text, and never shown."""


@attrs.frozen(kw_only=True)
class ListNode:
    """Several values in their order."""

    place: Place = attrs.field(eq=False)
    items: tuple[Node, ...]


@attrs.frozen(kw_only=True)
class MappingNode:
    """Values by name, in the order of the file."""

    place: Place = attrs.field(eq=False)
    entries: Mapping[str, Node]


Node = ScalarNode | ListNode | MappingNode


def typed_value(text: str) -> Any:
    """The value of an unquoted scalar after the core schema of YAML 1.2, a little narrower.

    ``true``/``false``, ``null``/``~``/nothing, integers (decimal without leading zero, ``0x``, ``0o``) and finite floats
    are typed; everything else (``no``, ``on``, ``010``, ``1:30``, ``2020-01-01``, ``.inf``, ``.nan``) stays text.
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _DECIMAL.fullmatch(text):
        return int(text) if len(text) <= _LONGEST_INTEGER else text
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, base=0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def plain_value(node: Node) -> Any:
    """The node as plain Python: dict, list and typed values."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain_value(item) for item in node.items]
        case MappingNode():
            return {key: plain_value(value) for key, value in node.entries.items()}


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order of the file."""
    yield node
    match node:
        case ListNode():
            for item in node.items:
                yield from walk(item)
        case MappingNode():
            for value in node.entries.values():
                yield from walk(value)


def describe(node: Node, *, show: bool = False) -> str:
    """What a message says was found.

    Args:
        node: What was found.
        show: Whether the value itself may be shown; one from the environment never is.
    """
    match node:
        case ListNode():
            return f"a list of {len(node.items)}" if node.items else "an empty list"
        case MappingNode():
            return "a mapping" if node.entries else "an empty mapping"
    kind = _kind_of(node.value)
    if node.value is None or node.from_environment or not show:
        return kind
    return f"{kind} '{shortened(node.text)}'"


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return "text" if value else "an empty text"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case _:
            return f"an object of type {type(value).__name__}"


def shortened(text: str) -> str:
    """The text on one line and not too long for a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST_SHOWN else f"{flat[: _LONGEST_SHOWN - 1]}…"
