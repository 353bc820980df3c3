"""The processor stage: an entity as the party that Tryton should hold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from contraflow_hookspecs import Item, Key, SystemicError
from contraflow_tryton.settings import PartySettings
from contraflow_tryton.values import plain

CHILDREN = ("contact_mechanisms", "identifiers")
"""Lists of a party that are kept by type."""


def build_payload(item: Item, kind: PartySettings) -> dict[str, Any]:
    """Return the party: its fields, texts by type, and addresses. (Its code comes from the key.)

    Raises:
        ItemError: A value that Tryton has no field for.
        SystemicError: The entity has no such attribute: the settings do not match it.
    """
    payload: dict[str, Any] = {name: plain(attribute(item, path), name) for name, path in kind.fields.items()}
    for children in CHILDREN:
        types: Mapping[str, str] = getattr(kind, children)
        if types:
            payload[children] = {name: _texts(attribute(item, path), name) for name, path in types.items()}
    if kind.addresses:
        nothing = dict.fromkeys(address_fields(kind))
        known = [_address(item, each) for each in kind.addresses]
        payload["addresses"] = [nothing | address for address in known if address is not None]
    return payload


def address_fields(kind: PartySettings) -> list[str]:
    """The fields of an address that the settings name, of any of them."""
    return list(dict.fromkeys(field for address in kind.addresses for field in address))


def code_of(key: Key, kind: PartySettings) -> str:
    """The party's code: what tells it from all others, in Tryton as here."""
    return kind.code_prefix + "-".join(str(part) for part in key)


def attribute(item: Item, path: str) -> Any:
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
        value = _step(value, name, path)
    return value


def near(name: str, valid: Any) -> str:
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _texts(value: Any, name: str) -> list[str]:
    many = value if isinstance(value, list | tuple | set | frozenset) else [value]
    texts = (str(plain(each, name) or "") for each in many)
    # The order of a party's telephone numbers is the users' affair, and must not look like a change.
    return sorted({text for text in texts if text})


def _address(item: Item, fields: Mapping[str, str]) -> dict[str, Any] | None:
    """An address; ``None`` if nothing of it is known."""
    values = {name: plain(attribute(item, path), name) for name, path in fields.items()}
    return values if any(value not in (None, False) for value in values.values()) else None


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
    raise SystemicError(f"the entity has no attribute '{name}'{where}{near(name, names)}")
