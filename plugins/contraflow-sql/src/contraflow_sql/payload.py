"""The processor stage: an entity's attributes, and its parents' remote ids, as the values of the target's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contraflow_hookspecs import Item, ItemError, SystemicError
from contraflow_sql.parents import parent_columns
from contraflow_sql.settings import position
from contraflow_sql.target import Target, is_generated, near
from contraflow_sql.values import UnfitError, fit


def build_payload(item: Item, target: Target, backend: str) -> dict[str, Any]:
    """Return target column -> value, the key columns included; each as the column keeps it, and so as it is read again.

    Raises:
        ItemError: A value does not fit its column (code ``data``).
        SystemicError: The entity has no such attribute, or its key no such position: the settings do not match it.
    """
    payload = {column: _fit(value, column, target, backend) for column, value in _values(item, target).items()}
    return payload | parent_columns(item, target, backend) if target.parents else payload


def _values(item: Item, target: Target) -> dict[str, Any]:
    values = {column: _key_value(item, column, source, target) for column, source in target.key.items()}
    if target.columns is not None:
        return values | {column: attribute(item, path, target) for column, path in target.columns.items()}
    data = item.data
    for column in target.table.columns:
        taken = column.name in values or column.name in target.parents
        if column.name in data and not taken and not is_generated(column):
            values[column.name] = data[column.name]
    return values


def _fit(value: Any, column: str, target: Target, backend: str) -> Any:
    try:
        return fit(value, target.table.columns[column], backend)
    except UnfitError as error:
        raise ItemError(f"{column}: {error}", code="data") from None


def attribute(item: Item, path: str, target: Target) -> Any:
    """The value at a dotted path of attributes; ``None`` where the path passes through ``None``.

    Raises:
        SystemicError: There is no such attribute.
    """
    data = item.data
    if path in data:
        return data[path]
    value = item.entity
    for name in path.split("."):
        if value is None:
            return None
        value = _step(value, name, path, target)
    return value


def _step(value: Any, name: str, path: str, target: Target) -> Any:
    mapping = value if isinstance(value, Mapping) else getattr(value, "_mapping", None)
    if mapping is not None:
        if name in mapping:
            return mapping[name]
        names = [str(key) for key in mapping]
    else:
        # Names with an underscore are the entity's own affair; its relations are loaded here where needed.
        if not name.startswith("_") and hasattr(value, name):
            return getattr(value, name)
        names = [key for key in dir(value) if not key.startswith("_")]
    where = "" if path == name else f" (in '{path}')"
    raise SystemicError(f"tables.{target.name}: the entity has no attribute '{name}'{where}{near(name, names)}")


def _key_value(item: Item, column: str, source: str | int, target: Target) -> Any:
    place = position(source)
    if place is None:
        return attribute(item, str(source), target)
    if place > len(item.key):
        raise SystemicError(
            f"tables.{target.name}.key.{column}: position {place}, but the item's key has {len(item.key)} columns"
        )
    return item.key[place - 1]
