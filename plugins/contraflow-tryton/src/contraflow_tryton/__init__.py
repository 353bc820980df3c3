"""A connector that keeps Tryton's parties, with addresses and contact mechanisms, in step with entities."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contraflow_hookspecs import (
    Capabilities,
    Change,
    ExportJob,
    Gone,
    Idempotency,
    Item,
    RemoteItem,
    Skip,
    StepContext,
    SystemicError,
    WriteResult,
    hookimpl,
)
from contraflow_tryton import lookup
from contraflow_tryton.payload import build_payload
from contraflow_tryton.settings import PartySettings, TrytonSettings
from contraflow_tryton.tryton import Tryton, open_tryton
from contraflow_tryton.writer import Writer

__all__ = ["PartySettings", "Tryton", "TrytonSettings", "capabilities", "open_tryton"]

# What Tryton writes in one transaction, which keeps others waiting.
_LARGEST_CHUNK = 100

_FOREIGN = "step '{}': the tryton connector serves integrations whose own connector is tryton; '{}' has another"


def capabilities(settings: TrytonSettings) -> Capabilities:
    """What Tryton can do.

    A party is known by its code, which is unique there, so that a second sending finds what the first one made. With
    ``guard`` Tryton also refuses what was sent against an older version than it holds.
    """
    return Capabilities(
        upsert=True,
        delete=True,
        idempotency=Idempotency.VERSIONED if settings.guard else Idempotency.UPSERT,
        confirm=True,
        per_item_results=True,
        max_batch=_LARGEST_CHUNK,
        request_lifetime=settings.lifetime,
    )


@hookimpl
def provide_export_job() -> ExportJob:
    """The job ``tryton``; its steps are the project's to define."""
    return ExportJob(
        name="tryton",
        label="Parties of Tryton",
        settings=TrytonSettings,
        capabilities=capabilities,
        open_resources=open_tryton,
    )


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """The one parameter of a step."""
    return {
        "party": "which of the integration's parties: is written; the default is the one named as the step's entity, "
        "else as the step, else the only one"
    }


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """Whether the step names one of the kinds of parties."""
    try:
        choose_kind(context)
    except SystemicError as error:
        return [str(error)]
    return []


@hookimpl
def check_connection(context: StepContext) -> str:
    """Tryton's version, the database, and as whom we are in."""
    tryton = _tryton(context)
    tryton.check()
    return f"Tryton {tryton.session.version()} at {tryton.session.label}, as {tryton.settings.user}"


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:
    """The party that Tryton should hold."""
    return build_payload(item, choose_kind(context))


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """The chunk, in as few requests as it takes."""
    return Writer(tryton=_tryton(context), kind=choose_kind(context)).write(items)


@hookimpl
def archive_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Deactivate the parties, as Tryton's users do."""
    return Writer(tryton=_tryton(context), kind=choose_kind(context)).archive(items)


@hookimpl
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Read the parties back and compare."""
    return lookup.confirm(items, _tryton(context), choose_kind(context))


@hookimpl
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:
    """Parties of the same code, else with the same text of the type ``match``."""
    return lookup.find(items, _tryton(context), choose_kind(context))


@hookimpl
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:
    """The parties by their ids."""
    return lookup.fetch(items, _tryton(context), choose_kind(context))


@hookimpl
def list_items(context: StepContext) -> Iterable[RemoteItem]:
    """All active parties whose code has the prefix."""
    return lookup.list_all(_tryton(context), choose_kind(context))


def choose_kind(context: StepContext) -> PartySettings:
    """The kind of party that a step writes: its parameter ``party`` says it, else its entity, else its own name, else
    there is only one.

    Raises:
        SystemicError: There is none such, or several and nothing says which; or the integration is not ours.
    """
    if not isinstance(context.settings, TrytonSettings):
        raise SystemicError(_FOREIGN.format(context.step, context.integration))
    parties = context.settings.parties
    wanted = context.parameters.get("party")
    if wanted is not None:
        if wanted in parties:
            return parties[wanted]
        near = difflib.get_close_matches(str(wanted), parties, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(parties)}"
        raise SystemicError(f"step '{context.step}': the settings have no parties.{wanted}; {hint}")
    for name in (context.parameters.get("entity"), context.step):
        if isinstance(name, str) and name in parties:
            return parties[name]
    if len(parties) == 1:
        return next(iter(parties.values()))
    raise SystemicError(
        f"step '{context.step}' does not say which parties it writes: set its parameter 'party' to one of "
        f"{', '.join(parties)}"
    )


def _tryton(context: StepContext) -> Tryton:
    if not isinstance(context.resource, Tryton):
        raise SystemicError(_FOREIGN.format(context.step, context.integration))
    tryton = context.resource
    tryton.session.deadline = context.deadline
    return tryton
