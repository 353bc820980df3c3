"""A connector that keeps entries of an LDAP directory, such as people, in step with entities."""

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
from contraflow_ldap import lookup
from contraflow_ldap.directory import Directory, open_directory
from contraflow_ldap.entries import Kind
from contraflow_ldap.payload import build_payload
from contraflow_ldap.settings import EntrySettings, LdapSettings
from contraflow_ldap.writer import Writer

__all__ = ["Directory", "EntrySettings", "LdapSettings", "capabilities", "open_directory"]

# An entry costs two or three round trips, one after the other, so larger chunks would only be longer.
_LARGEST_CHUNK = 500

_FOREIGN = "step '{}': the ldap connector serves integrations whose own connector is ldap; '{}' has another"


def capabilities(settings: LdapSettings) -> Capabilities:
    """What a directory can do. A second sending finds the entry as the first one left it."""
    return Capabilities(
        upsert=True,
        delete=True,
        idempotency=Idempotency.UPSERT,
        confirm=True,
        per_item_results=True,
        max_batch=_LARGEST_CHUNK,
        request_lifetime=settings.lifetime,
    )


@hookimpl
def provide_export_job() -> ExportJob:
    """The job ``ldap``; its steps are the project's to define."""
    return ExportJob(
        name="ldap",
        label="Entries of an LDAP directory",
        settings=LdapSettings,
        capabilities=capabilities,
        open_resources=open_directory,
    )


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """The one parameter of a step."""
    return {
        "entry": "which of the integration's entries: is written; the default is the one named as the step's entity, "
        "else as the step, else the only one"
    }


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """Whether the step names one of the kinds of entries."""
    try:
        choose_kind(context)
    except SystemicError as error:
        return [str(error)]
    return []


@hookimpl
def check_connection(context: StepContext) -> str:
    """Where the directory is, as whom we are in, and below which entries we write."""
    directory: Directory = context.resource
    settings: LdapSettings = context.settings
    for kind in settings.entries.values():
        directory.search(kind.base, "(objectClass=*)", ["1.1"], scope="BASE")
    bases = ", ".join(dict.fromkeys(kind.base for kind in settings.entries.values()))
    return f"{directory.label}, as {settings.bind_dn}: {bases}"


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:
    """Attribute of the entry -> its values."""
    return build_payload(item, choose_kind(context))


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """One entry after the other."""
    return Writer(kind=_kind(context), deadline=context.deadline).write(items)


@hookimpl
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Read the entries back and compare."""
    return lookup.confirm(items, _kind(context))


@hookimpl
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:
    """Entries with the same value of the attribute ``match``."""
    return lookup.find(items, _kind(context))


@hookimpl
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:
    """The entries by their ``entryUUID``."""
    return lookup.fetch(items, _kind(context))


@hookimpl
def list_items(context: StepContext) -> Iterable[RemoteItem]:
    """All entries below ``base`` that have the object classes."""
    return lookup.list_all(_kind(context))


def choose_kind(context: StepContext) -> EntrySettings:
    """The kind of entry that a step writes: its parameter ``entry`` says it, else its entity, else its own name, else
    there is only one.

    Raises:
        SystemicError: There is none such, or several and nothing says which; or the integration is not ours.
    """
    if not isinstance(context.settings, LdapSettings):
        raise SystemicError(_FOREIGN.format(context.step, context.integration))
    entries = context.settings.entries
    wanted = context.parameters.get("entry")
    if wanted is not None:
        if wanted in entries:
            return entries[wanted]
        near = difflib.get_close_matches(str(wanted), entries, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(entries)}"
        raise SystemicError(f"step '{context.step}': the settings have no entries.{wanted}; {hint}")
    for name in (context.parameters.get("entity"), context.step):
        if isinstance(name, str) and name in entries:
            return entries[name]
    if len(entries) == 1:
        return next(iter(entries.values()))
    raise SystemicError(
        f"step '{context.step}' does not say which entries it writes: set its parameter 'entry' to one of "
        f"{', '.join(entries)}"
    )


def _kind(context: StepContext) -> Kind:
    if not isinstance(context.resource, Directory):
        raise SystemicError(_FOREIGN.format(context.step, context.integration))
    return Kind(settings=choose_kind(context), directory=context.resource)
