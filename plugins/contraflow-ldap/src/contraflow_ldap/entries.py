"""Find the entry of a change, and say what of it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow_hookspecs import Change, ItemError
from contraflow_ldap.directory import ENTRY_UUID, MODIFIED, Directory, Entry
from contraflow_ldap.driver import escape_filter_chars, ldap3
from contraflow_ldap.names import is_named, rdn_of
from contraflow_ldap.settings import EntrySettings
from contraflow_ldap.values import octets_of

OBJECT_CLASS = "objectClass"
Modifications = dict[str, list[tuple[str, list[bytes]]]]


@attrs.frozen(kw_only=True)
class Difference:
    """What has to happen to an entry."""

    modifications: Modifications
    """Attributes whose values differ, each with its new ones."""
    rdn: str | None = None
    """The relative name that it should have, if it has another."""

    def __bool__(self) -> bool:
        return bool(self.modifications) or self.rdn is not None


@attrs.frozen(kw_only=True)
class Kind:
    """One kind of entry in a directory."""

    settings: EntrySettings
    directory: Directory

    @property
    def names(self) -> list[str]:
        """The attributes that are read."""
        return [*self.settings.attributes, OBJECT_CLASS, ENTRY_UUID, MODIFIED]

    def find(self, change: Change) -> Entry | None:
        """The entry that we wrote before, whatever its name is now; else the one that has the matched attribute's value.

        Raises:
            ItemError: Several entries have it (code ``ambiguous``); or nothing says which is meant (code ``key``).
        """
        if change.remote_id is not None and (entry := self.find_by_id(change.remote_id)):
            return entry
        found = self.find_alike(change)
        if len(found) > 1:
            names = " and ".join(entry.dn for entry in found[:2])
            raise ItemError(f"{self.settings.matched_by}: several entries have this value: {names}", code="ambiguous")
        return found[0] if found else None

    def find_by_id(self, remote_id: str) -> Entry | None:
        """The entry with this ``entryUUID``."""
        return next(iter(self._search(ENTRY_UUID, remote_id)), None)

    def find_alike(self, change: Change) -> list[Entry]:
        """The entries with the matched attribute's value, by the change's payload, or by what we last sent.

        Raises:
            ItemError: Neither has it (code ``key``).
        """
        name = self.settings.matched_by
        value = change.payload.get(name) or (change.previous or {}).get(name)
        if value is None and change.remote_id is not None:
            return []
        if not isinstance(value, str):
            raise ItemError(
                f"nothing says which entry is meant: neither its entryUUID nor its {name} is known", code="key"
            )
        return self._search(name, value)

    def all(self) -> Any:
        """Every entry of this kind, streamed."""
        classes = "".join(f"({OBJECT_CLASS}={name})" for name in self.settings.object_classes)
        return self.directory.pages(self.settings.base, f"(&{classes})", self.names)

    def difference(self, entry: Entry, payload: Mapping[str, Any]) -> Difference:
        """What has to happen to the entry, so that it holds the payload."""
        rdn_name = self.settings.rdn
        modifications: Modifications = {}
        missing = {name.encode() for name in self.settings.object_classes if not _has_class(entry, name)}
        if missing:
            modifications[OBJECT_CLASS] = [(ldap3.MODIFY_ADD, sorted(missing))]
        for name in self.settings.attributes:
            wanted = octets_of(payload.get(name))
            if name != rdn_name and wanted != entry.values(name):
                modifications[name] = [(ldap3.MODIFY_REPLACE, sorted(wanted))]
        if not is_named(entry.dn, rdn_name, payload[rdn_name]):
            return Difference(modifications=modifications, rdn=rdn_of(rdn_name, payload[rdn_name]))
        others = entry.values(rdn_name) - octets_of(payload[rdn_name])
        if others:  # values of the naming attribute beside the one that names the entry
            modifications[rdn_name] = [(ldap3.MODIFY_DELETE, sorted(others))]
        return Difference(modifications=modifications)

    def dn_of(self, payload: Mapping[str, Any]) -> str:
        """The name of the entry that is made of the payload."""
        return f"{rdn_of(self.settings.rdn, payload[self.settings.rdn])},{self.settings.base}"

    def new_attributes(self, payload: Mapping[str, Any]) -> dict[str, Sequence[bytes]]:
        """The attributes of the entry that is made of the payload."""
        given = {name: sorted(octets_of(payload.get(name))) for name in self.settings.attributes}
        classes = [name.encode() for name in self.settings.object_classes]
        return {OBJECT_CLASS: classes, **{name: values for name, values in given.items() if values}}

    def holder(self, name: str, values: Sequence[bytes], *, but: str) -> str | None:
        """The name of another entry that has one of these values."""
        for value in values:
            for entry in self._search(name, value):
                if entry.dn != but:
                    return entry.dn
        return None

    def _search(self, name: str, value: str | bytes) -> list[Entry]:
        return self.directory.search(self.settings.base, f"({name}={escape_filter_chars(value)})", self.names)


def _has_class(entry: Entry, name: str) -> bool:
    return any(held.decode(errors="replace").lower() == name.lower() for held in entry.values(OBJECT_CLASS))
