"""The hooks of the connector ``http``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import httpx

from contraflow_hookspecs import (
    Change,
    ExportJob,
    Gone,
    Item,
    PermanentError,
    RemoteItem,
    StepContext,
    SystemicError,
    Unknown,
    WriteResult,
    hookimpl,
)
from contraflow_http.answer import Answer
from contraflow_http.auth import open_auth, secrets_of
from contraflow_http.capabilities import capabilities_of
from contraflow_http.client import open_client
from contraflow_http.confirm import Confirmer
from contraflow_http.errors import Outcome, connector_error, describe, outcome_of
from contraflow_http.fields import payload_of
from contraflow_http.needs import lacking
from contraflow_http.parents import unknown_references
from contraflow_http.reading import NOT_SUPPORTED, Reading
from contraflow_http.settings import Endpoint, Settings
from contraflow_http.wire import Wire
from contraflow_http.writer import Writer


@hookimpl
def provide_export_job() -> ExportJob:
    """The job ``http``, which the project's job files define."""
    return ExportJob(
        name="http",
        label="Any REST remote, by configuration",
        settings=Settings,
        capabilities=capabilities_of,
        open_resources=open_resources,
    )


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """One parameter: which endpoint a step writes to."""
    return {
        "endpoint": "which of the settings' endpoints the step writes to; by default the one named as its entity or step"
    }


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """Whether there is an endpoint for the step, whether it can do what the step's parameters need, and whether the step
    has the references that it names."""
    try:
        chosen = _endpoint_name(context)
    except SystemicError as error:
        return [str(error)]
    endpoint = context.settings.endpoints[chosen]
    return [
        *unknown_references(chosen, endpoint, context.parameters),
        *(
            f"'{name}' needs to {what}, and the endpoint has {missing}"
            for name, what, missing in lacking(endpoint, context)
        ),
    ]


@hookimpl
def check_connection(context: StepContext) -> str:
    """Ask the base URL for anything at all."""
    client: httpx.Client = context.resource
    url = context.settings.url
    path, method = httpx.URL(url).path, "HEAD"
    try:
        response = client.head(url)
        if response.status_code in {404, 405, 501}:
            method = "GET"
            response = client.get(url)
    except httpx.RequestError as error:
        raise connector_error(error, method, path) from error
    if outcome_of(response.status_code) is Outcome.SYSTEMIC:
        raise SystemicError(describe(Answer.of(response), method, path, secrets=secrets_of(client)))
    server = response.headers.get("Server")
    return f"{client.base_url.host} answered {response.status_code}" + (f" ({server})" if server else "")


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any]:
    """The endpoint's fields of the entity and the remote ids of its parents, as JSON holds them."""
    return payload_of(item, choose_endpoint(context), context.settings)


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Send each change, alone or through the endpoint's batch."""
    endpoint = choose_endpoint(context)
    return _writer(context, endpoint).write(items)


@hookimpl
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Look each change up by the endpoint's ``read``; without one nobody can say."""
    endpoint = choose_endpoint(context)
    if endpoint.read is None:
        return [Unknown(key=change.key, reason="the endpoint has no 'read' to look it up by") for change in items]
    confirmer = Confirmer(settings=context.settings, endpoint=endpoint, read=endpoint.read, wire=_wire(context))
    return [confirmer.confirm(change) for change in items]


@hookimpl
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:
    """The changes' records by the endpoint's ``fetch`` or ``read``."""
    return _reading(context).fetch(items)


@hookimpl
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:
    """Records that the remote has already, by the endpoint's ``find``."""
    return _reading(context).find(items)


@hookimpl
def archive_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Put records away, by the endpoint's ``archive``."""
    endpoint = choose_endpoint(context)
    if endpoint.archive is None:
        raise PermanentError("the endpoint has no 'archive' to put records away by", code=NOT_SUPPORTED)
    return _writer(context, endpoint).archive(items, endpoint.archive)


@hookimpl
def forget_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Forget records, by the endpoint's ``forget``, else by its ``delete``."""
    endpoint = choose_endpoint(context)
    if endpoint.forget is not None:
        return _writer(context, endpoint).forget(items, endpoint.forget)
    if endpoint.delete is not None:
        return _writer(context, endpoint).write([attrs.evolve(change, remote_version=None) for change in items])
    raise PermanentError("the endpoint has neither 'forget' nor 'delete' to forget records by", code=NOT_SUPPORTED)


@hookimpl
def list_items(context: StepContext) -> Iterable[RemoteItem]:
    """All records by the endpoint's ``list``."""
    return _reading(context).list_all()


@contextmanager
def open_resources(settings: Settings) -> Iterator[httpx.Client]:
    """The client of an integration: one for a run."""
    with (
        open_auth(settings.auth, timeout=settings.timeout, ca_file=settings.ca_file) as auth,
        open_client(
            settings.url,
            auth=auth,
            headers=settings.headers,
            timeout=settings.timeout,
            ca_file=settings.ca_file,
            max_answer=settings.max_answer,
        ) as client,
    ):
        yield client


def choose_endpoint(context: StepContext) -> Endpoint:
    """The endpoint to which a step writes.

    That is the one that the step's parameter ``endpoint`` names; else the one named as its ``entity``; else the one named as
    the step; else the only one.

    Raises:
        SystemicError: There is no such endpoint, or several and nothing says which; or the integration is not ours.
    """
    name = _endpoint_name(context)
    endpoint: Endpoint = context.settings.endpoints[name]
    return endpoint


def _endpoint_name(context: StepContext) -> str:
    if not isinstance(context.settings, Settings):
        raise SystemicError(
            f"step '{context.step}' names the plugin http, whose stages need an integration of the connector http; "
            f"integration '{context.integration}' has another"
        )
    endpoints = context.settings.endpoints
    wanted = context.parameters.get("endpoint")
    if wanted is not None:
        if wanted in endpoints:
            return str(wanted)
        near = difflib.get_close_matches(str(wanted), endpoints, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(endpoints)}"
        raise SystemicError(f"step '{context.step}': the settings have no endpoint '{wanted}'; {hint}")
    for name in (context.parameters.get("entity"), context.step):
        if isinstance(name, str) and name in endpoints:
            return name
    if len(endpoints) == 1:
        return next(iter(endpoints))
    raise SystemicError(
        f"step '{context.step}' does not say which endpoint it writes to: "
        f"set its parameter 'endpoint' to one of {', '.join(endpoints)}"
    )


def _wire(context: StepContext) -> Wire:
    return Wire(client=context.resource, deadline=context.deadline)


def _writer(context: StepContext, endpoint: Endpoint) -> Writer:
    return Writer(settings=context.settings, endpoint=endpoint, wire=_wire(context))


def _reading(context: StepContext) -> Reading:
    return Reading(settings=context.settings, endpoint=choose_endpoint(context), wire=_wire(context))
