"""The stages that only read: what became of a change, which entries are alike, what the directory holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contraflow_hookspecs import (
    Action,
    Change,
    Deferred,
    Gone,
    ItemError,
    Operation,
    RemoteItem,
    Unknown,
    WriteResult,
    Written,
)
from contraflow_ldap.directory import Entry
from contraflow_ldap.entries import Kind
from contraflow_ldap.values import content_held


def confirm(changes: Sequence[Change], kind: Kind) -> list[WriteResult]:
    """What became of changes in doubt: ``Written`` where the directory shows them, ``Deferred`` where it does not.

    Raises:
        TransientError: The directory is not there now.
        SystemicError: It refuses us.
    """
    return [_confirm(change, kind) for change in changes]


def _confirm(change: Change, kind: Kind) -> WriteResult:
    try:
        entry = kind.find(change)
    except ItemError as error:
        return Unknown(key=change.key, reason=error.reason)
    if change.operation is Operation.DELETE:
        if entry is None:
            return Written(key=change.key, action=Action.DELETED)
        return Deferred(key=change.key, reason=f"the entry is still there: {entry.dn}")
    if entry is None:
        return Deferred(key=change.key, reason="there is no such entry")
    difference = kind.difference(entry, change.payload)
    if difference:
        names = [*difference.modifications, *([kind.settings.rdn] if difference.rdn else [])]
        return Deferred(key=change.key, reason=f"{', '.join(names)} of {entry.dn}: another value")
    return Written(key=change.key, remote_id=entry.uuid)


def find(changes: Sequence[Change], kind: Kind) -> list[RemoteItem]:
    """The entries that have the changes' value of the matched attribute."""
    found = []
    for change in changes:
        try:
            found += [_remote(entry, kind, change.key, change.payload) for entry in kind.find_alike(change)]
        except ItemError:  # nothing to look by: nothing found
            continue
    return found


def fetch(changes: Sequence[Change], kind: Kind) -> list[RemoteItem | Gone]:
    """What the directory holds for the changes; one of which nobody can say which entry it means is left out."""
    held: list[RemoteItem | Gone] = []
    for change in changes:
        try:
            entry = kind.find_by_id(change.remote_id) if change.remote_id is not None else kind.find(change)
        except ItemError:
            continue
        held.append(Gone(key=change.key) if entry is None else _remote(entry, kind, change.key, change.payload))
    return held


def list_all(kind: Kind) -> Iterator[RemoteItem]:
    """Every entry of the kind, whoever made it."""
    for entry in kind.all():
        yield _remote(entry, kind, None, {})


def _remote(entry: Entry, kind: Kind, key: Any, ours: Mapping[str, Any]) -> RemoteItem:
    payload = {name: content_held(entry.values(name), like=ours.get(name)) for name in kind.settings.attributes}
    return RemoteItem(key=key, remote_id=entry.uuid, payload=payload, modified=entry.modified)
