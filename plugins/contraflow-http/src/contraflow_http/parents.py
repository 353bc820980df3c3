"""The remote ids of an item's parents as fields of its payload, by the endpoint's ``parents``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from contraflow_hookspecs import Item
from contraflow_http.settings import Endpoint
from contraflow_http.values import ParentIds

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""What reads the same as a number and as text; ``007`` would come back as another id."""


def parent_fields(item: Item, endpoint: Endpoint, parent_ids: ParentIds) -> dict[str, str | int | None]:
    """Payload field: the parent's remote id, or ``None`` where the item has no parent, or none that is there yet.

    Left out instead, the field would keep at the remote the id of a parent that the item no longer has.
    """
    return {field: _sent(item.parents.get(name), parent_ids) for field, name in endpoint.parents.items()}


def _sent(remote_id: str | None, parent_ids: ParentIds) -> str | int | None:
    if remote_id is not None and parent_ids == "number" and _WHOLE.fullmatch(remote_id):
        return int(remote_id)
    return remote_id


def unknown_references(name: str, endpoint: Endpoint, parameters: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each reference that the endpoint's ``parents`` name and the step does not have.

    Args:
        name: The endpoint's.
        endpoint: Where the step writes to.
        parameters: The step's.
    """
    references = [str(each) for each in parameters.get("references") or ()]
    for field, wanted in endpoint.parents.items():
        if wanted in references:
            continue
        near = difflib.get_close_matches(wanted, references, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        expected = (
            f"one of {', '.join(references)}" if references else "one of the step's 'references', and it has none"
        )
        yield f"endpoints.{name}.parents.{field}: no reference '{wanted}'; expected {expected}{hint}"
