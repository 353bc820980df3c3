"""The processor stage: an entity's attributes as the attributes of an entry."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from contraflow_hookspecs import Item, ItemError, SystemicError
from contraflow_ldap.settings import EntrySettings
from contraflow_ldap.values import Content, content_of


def build_payload(item: Item, kind: EntrySettings) -> dict[str, Content]:
    """Return attribute of the entry -> its values.

    Raises:
        ItemError: The entity has nothing, or several things, to name its entry by (code ``name``); or a value that no
            directory can hold.
        SystemicError: The entity has no such attribute: the settings do not match it.
    """
    payload = {name: content_of(_attribute(item, path), name) for name, path in kind.attributes.items()}
    for name in dict.fromkeys((kind.rdn, kind.matched_by)):
        if not isinstance(payload[name], str):
            found = "no value" if payload[name] is None else "several values or octets"
            raise ItemError(f"{name}: {found}; an entry is found and named by exactly one text", code="name")
    return payload


def _attribute(item: Item, path: str) -> Any:
    data = item.data
    if path in data:
        return data[path]
    value = item.entity
    for name in path.split("."):
        if value is None:
            return None
        value = _step(value, name, path)
    return value


def _step(value: Any, name: str, path: str) -> Any:
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
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise SystemicError(f"attributes: the entity has no attribute '{name}'{where}{hint}")
