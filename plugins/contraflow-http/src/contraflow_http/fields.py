"""From an entity to a payload, by the endpoint's ``fields`` and ``parents``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from contraflow_hookspecs import Item, ItemError
from contraflow_http.parents import parent_fields
from contraflow_http.settings import Endpoint, Settings
from contraflow_http.values import Decimals, to_json


def payload_of(item: Item, endpoint: Endpoint, settings: Settings) -> Mapping[str, Any]:
    """The payload of an entity: the configured fields, or every column; and the remote ids of its parents.

    Raises:
        ItemError: An attribute is missing (code ``no_attribute``), or JSON cannot hold its value (code ``not_json``).
    """
    payload = _entity_fields(item, endpoint, settings.decimals)
    return payload | parent_fields(item, endpoint, settings.parent_ids) if endpoint.parents else payload


def _entity_fields(item: Item, endpoint: Endpoint, decimals: Decimals) -> dict[str, Any]:
    if not endpoint.fields:
        # A column that gives way to the parent's remote id need not be anything that JSON can hold.
        columns = {name: value for name, value in item.data.items() if name not in endpoint.parents}
        payload: dict[str, Any] = to_json(columns, decimals=decimals)
        return payload
    return {
        field: to_json(_attribute(item, place), field=field, decimals=decimals)
        for field, place in endpoint.fields.items()
    }


def _attribute(item: Item, place: str) -> Any:
    first, *others = place.split(".")
    data = item.data
    # What is not among the data was not loaded with the row: a relation, a property, a deferred column.
    value = data[first] if first in data else _get(item.entity, first, place)
    for name in others:
        if value is None:
            return None
        value = _get(value, name, place)
    return value


def _get(value: Any, name: str, place: str) -> Any:
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        names = [str(each) for each in value]
    else:
        if hasattr(value, name):
            return getattr(value, name)
        names = [each for each in dir(value) if not each.startswith("_")]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise ItemError(f"{type(value).__name__} has no attribute '{name}' (field '{place}'){hint}", code="no_attribute")
