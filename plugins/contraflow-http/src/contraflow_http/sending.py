"""From a change to the request that carries it: which route, which path, which headers, which body."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from contraflow_hookspecs import Change, ItemError, Operation
from contraflow_http.checks import is_header_value
from contraflow_http.settings import Batch, Deed, Endpoint, Route, Settings
from contraflow_http.template import parse_path, parse_text
from contraflow_http.values import to_json


class Kind(enum.Enum):
    """What a request does."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    ARCHIVE = "archive"
    FORGET = "forget"

    @property
    def removes(self) -> bool:
        """Whether the record is taken away, in one way or another, so that there is no payload."""
        return self in (Kind.DELETE, Kind.ARCHIVE, Kind.FORGET)


_METHODS = {Kind.CREATE: "POST", Kind.UPDATE: "PUT", Kind.UPSERT: "PUT", Kind.DELETE: "DELETE"}


@attrs.frozen(kw_only=True)
class Sending:
    """One change as a request, to be sent alone or within a batch."""

    change: Change
    kind: Kind
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None
    """``None`` for a request without a body."""


def prepare(change: Change, endpoint: Endpoint, settings: Settings) -> Sending:
    """The request that brings this change to the remote.

    Raises:
        ItemError: This change cannot be sent: no route for it, no value for its path, or a value that JSON cannot hold.
        SystemicError: A path does not fit the key.
    """
    if endpoint.batch is not None and endpoint.sends_records and change.operation is Operation.UPSERT:
        return _as_record(change, endpoint, endpoint.batch, settings)
    kind, route = _route(change, endpoint)
    return Sending(
        change=change,
        kind=kind,
        method=route.method or _METHODS[kind],
        path=parse_path(route.path).path(change),
        headers=_headers(change, kind, endpoint, settings),
        body=None
        if kind is Kind.DELETE
        else _wrapped(to_json(_content(change, route), decimals=settings.decimals), endpoint),
    )


def prepare_deed(change: Change, kind: Kind, deed: Deed, endpoint: Endpoint, settings: Settings) -> Sending:
    """The request that puts the change's record away, or forgets it.

    Raises:
        ItemError: As for :func:`prepare`.
        SystemicError: As for :func:`prepare`.
    """
    return Sending(
        change=change,
        kind=kind,
        method=deed.method,
        path=parse_path(deed.path).path(change),
        headers=_headers(change, kind, endpoint, settings),
        body=None if deed.body is None else to_json(deed.body, decimals=settings.decimals),
    )


def was_written(change: Change) -> bool:
    """Whether an earlier change of this item reached the remote."""
    return change.remote_id is not None or change.previous is not None


def _as_record(change: Change, endpoint: Endpoint, batch: Batch, settings: Settings) -> Sending:
    record = to_json(change.payload, decimals=settings.decimals)
    if batch.key_field is not None and batch.key_field not in record:
        record[batch.key_field] = parse_text(batch.key).text(change)
    if batch.id_field is not None and change.remote_id is not None:
        record[batch.id_field] = change.remote_id
    kind = Kind.UPSERT if batch.upsert or was_written(change) else Kind.CREATE
    body = _wrapped(record, endpoint)
    return Sending(change=change, kind=kind, method=batch.method, path=batch.path, headers={}, body=body)


def _content(change: Change, route: Route) -> Mapping[str, Any]:
    """What is sent of the payload: all of it where nobody knows what differs, or where what differs is no longer in it."""
    if not route.only_changed or not change.changed:
        return change.payload
    return {name: value for name, value in change.payload.items() if name in change.changed} or change.payload


def _wrapped(payload: Any, endpoint: Endpoint) -> Any:
    return payload if endpoint.wrap is None else {endpoint.wrap: payload}


def _route(change: Change, endpoint: Endpoint) -> tuple[Kind, Route]:
    if change.operation is Operation.DELETE:
        kind, route = Kind.DELETE, endpoint.delete
    elif endpoint.upsert is not None:
        kind, route = Kind.UPSERT, endpoint.upsert
    elif was_written(change):
        kind, route = Kind.UPDATE, endpoint.update
    else:
        kind, route = Kind.CREATE, endpoint.create
    if route is None:
        raise ItemError(f"the endpoint has no '{kind.value}', so this item cannot be sent", code=f"no_{kind.value}")
    return kind, route


def _headers(change: Change, kind: Kind, endpoint: Endpoint, settings: Settings) -> dict[str, str]:
    headers = {}
    if settings.idempotency_header and change.idempotency_key:
        headers[settings.idempotency_header] = change.idempotency_key
    if endpoint.if_match:
        if change.remote_version is not None:
            headers["If-Match"] = _entity_tag(change.remote_version)
        elif kind is Kind.UPSERT and not was_written(change):
            headers["If-None-Match"] = "*"
    if not all(is_header_value(value) for value in headers.values()):
        raise ItemError("the remote's version of this item cannot be sent in a header", code="bad_version")
    return headers


def _entity_tag(version: str) -> str:
    # A version that was found in a body has no quotes yet; without them it would be no entity tag (RFC 9110, 8.8.3).
    return version if version.startswith(('"', "W/")) else f'"{version}"'
