"""Plain Python values to the nodes that files are read into, for connectors that declare their job as a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contraflow.config.composer import DEPTH_LIMIT
from contraflow.config.nodes import ListNode, MappingNode, Node, Place, ScalarNode
from contraflow.errors import ConfigError, Problem


def mapping_node(value: Mapping[Any, Any], name: str) -> MappingNode:
    """The mapping as a node.

    Args:
        value: Text, numbers, booleans, ``None``, lists, tuples and mappings; any other object is kept as it is, and may
            stand where a parameter's value does.
        name: What messages call its place.

    Raises:
        ConfigError: A key is no text, or the mapping nests too deeply (or holds itself).
    """
    place = Place(file=name, line=None)
    return MappingNode(place=place, entries=_entries(value, place, 1))


def _entries(value: Mapping[Any, Any], place: Place, depth: int) -> dict[str, Node]:
    entries = {}
    for key, item in value.items():
        if not isinstance(key, str) or not key:
            raise ConfigError(
                Problem(message="a key must be text", location=place.location, found=f"a {type(key).__name__}")
            )
        entries[key] = _node(item, Place(file=place.file, line=None, part=key, parent=place), depth)
    return entries


def _node(value: Any, place: Place, depth: int) -> Node:
    if depth > DEPTH_LIMIT:
        raise ConfigError(
            Problem(
                message="the definition nests too deeply",
                location=Place(file=place.file, line=None).location,
                expected=f"at most {DEPTH_LIMIT} levels",
            )
        )
    match value:
        case Mapping():
            return MappingNode(place=place, entries=_entries(value, place, depth + 1))
        case list() | tuple():
            places = [Place(file=place.file, line=None, part=f"[{i}]", parent=place) for i in range(len(value))]
            items = [_node(item, where, depth + 1) for item, where in zip(value, places, strict=True)]
            return ListNode(place=place, items=tuple(items))
        case None:
            return ScalarNode(place=place, text="", value=None)
        case bool():
            return ScalarNode(place=place, text="true" if value else "false", value=value)
        case str() | int() | float():
            return ScalarNode(place=place, text=str(value), value=value)
        case _:
            return ScalarNode(place=place, text="", value=value)
