"""What a step's parameters need of its endpoint, and what the settings do not say."""

from __future__ import annotations

from collections.abc import Iterator

from contraflow_hookspecs import StepContext
from contraflow_http.settings import Endpoint

_REMOVALS = ("deletions", "filtered", "missing")

_OWN_KEY = "neither an 'update' with {remote_id} in its path nor an 'id_field': its records are named by our own key"


def lacking(endpoint: Endpoint, context: StepContext) -> Iterator[tuple[str, str, str]]:
    """Each parameter that needs what the endpoint cannot do, with what that is and which setting is missing."""
    given = context.parameters
    if given.get("conflicts") is not None and endpoint.fetch is None and endpoint.read is None:
        yield "conflicts", "read the remote's records", "neither 'read' nor 'fetch'"
    if _is_on(given.get("adopt")) and endpoint.find is None:
        yield "adopt", "look for the remote's records", "no 'find'"
    for name in _REMOVALS:
        if given.get(name) == "archive" and endpoint.archive is None:
            yield name, "put records away", "no 'archive'"
    if _is_on(given.get("adopt")) and endpoint.find is not None and not endpoint.follows_remote_id:
        yield "adopt", "write to the record that was found", _OWN_KEY
    if _is_on(given.get("relink")) and not endpoint.follows_remote_id:
        yield "relink", "write to the record of that id", _OWN_KEY
    if _is_on(given.get("forget")) and endpoint.forget is None and endpoint.delete is None:
        yield "forget", "remove records", "neither 'forget' nor 'delete'"


def _is_on(value: object) -> bool:
    return str(value).lower() in ("true", "1")
