"""Parties as Tryton holds them: how they are read, and what has to change so that they hold a payload.

What a party has of a type that the settings name, and its addresses if the settings have any, is as the payload says;
everything else is left to Tryton's users. What goes away is deactivated, not deleted, since invoices may refer to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from contraflow_hookspecs import ItemError
from contraflow_tryton.payload import CHILDREN, address_fields
from contraflow_tryton.settings import PartySettings
from contraflow_tryton.values import same

VALUE_OF = {"contact_mechanisms": "value", "identifiers": "code"}
"""The field of a child in which its text is."""

Record = Mapping[str, Any]
Countries = Mapping[str, int]
"""Tryton's ids of countries by their codes."""


@attrs.frozen(kw_only=True)
class Party:
    """A party as it was read."""

    id: int
    version: str
    """What changes whenever somebody saves the party: Tryton's ``_timestamp``."""
    active: bool
    record: Record
    """Its fields, and under ``contact_mechanisms.`` and the like its children."""

    @property
    def modified(self) -> datetime | None:
        """When somebody saved it last."""
        moment = self.record["write_date"] or self.record["create_date"]
        return moment if isinstance(moment, datetime) else None

    def children(self, name: str) -> Sequence[Record]:
        """Its children of a kind, the inactive ones included."""
        found = self.record.get(f"{name}.") or ()
        return sorted(found, key=lambda child: (not child["active"], child["sequence"] or 0, child["id"]))


def fields_read(kind: PartySettings) -> list[str]:
    """The names of what is read of a party."""
    names = ["code", "active", "_timestamp", "create_date", "write_date", *kind.fields]
    for children, value in VALUE_OF.items():
        if getattr(kind, children):
            names += [f"{children}.{field}" for field in ("active", "sequence", "type", value)]
    if kind.addresses:
        names += [f"addresses.{field}" for field in ("active", "sequence", *address_fields(kind))]
    return names


def party_of(record: Record) -> Party:
    """A party out of Tryton's answer."""
    return Party(id=record["id"], version=str(record["_timestamp"]), active=bool(record["active"]), record=record)


def values_to_create(
    code: str, payload: Mapping[str, Any], kind: PartySettings, countries: Countries
) -> dict[str, Any]:
    """What to create a party with. Its code stays as it is then: since 8.2 Tryton lets nobody change it.

    Raises:
        ItemError: Tryton has no such country (code ``country``).
    """
    return {"code": code, **_values(payload, kind, countries, None)}


def values_to_write(
    party: Party, payload: Mapping[str, Any], kind: PartySettings, countries: Countries
) -> dict[str, Any]:
    """What to write into a party so that it holds the payload; nothing if it does. Raises as ``values_to_create``."""
    return _values(payload, kind, countries, party)


def payload_held(party: Party, kind: PartySettings, codes: Mapping[int, str]) -> dict[str, Any]:
    """What a party holds, in the words of a payload; ``codes`` are those of the countries by their ids."""
    payload: dict[str, Any] = {name: party.record[name] for name in kind.fields}
    payload = {name: None if value == "" else value for name, value in payload.items()}
    for children in CHILDREN:
        types: Mapping[str, str] = getattr(kind, children)
        if types:
            held = [child for child in party.children(children) if child["active"]]
            value = VALUE_OF[children]
            payload[children] = {
                name: sorted(child[value] for child in held if child["type"] == name) for name in types
            }
    if kind.addresses:
        fields = address_fields(kind)
        payload["addresses"] = [
            {field: _told(field, child[field], codes) for field in fields}
            for child in party.children("addresses")
            if child["active"]
        ]
    return payload


def _told(field: str, value: Any, codes: Mapping[int, str]) -> Any:
    return codes.get(value) if field == "country" else (None if value == "" else value)


def _values(
    payload: Mapping[str, Any], kind: PartySettings, countries: Countries, party: Party | None
) -> dict[str, Any]:
    held: Record = {} if party is None else party.record
    values = {
        name: payload.get(name) for name in kind.fields if party is None or not same(payload.get(name), held.get(name))
    }
    if party is not None and not party.active:
        values["active"] = True
    for children, value in VALUE_OF.items():
        types: Mapping[str, str] = getattr(kind, children)
        there = () if party is None else party.children(children)
        commands: list[list[Any]] = []
        for name in types:
            wanted = [{"type": name, value: text} for text in payload.get(children, {}).get(name, ())]
            commands += _commands(wanted, [child for child in there if child["type"] == name])
        if commands:
            values[children] = commands
    if kind.addresses:
        wanted = [_address(each, countries) for each in payload.get("addresses", ())]
        commands = _commands(wanted, () if party is None else party.children("addresses"))
        if commands:
            values["addresses"] = commands
    return values


def _commands(wanted: Sequence[Record], there: Sequence[Record]) -> list[list[Any]]:
    """Tryton's commands for a list of children: keep those that are wanted, rewrite others, add, deactivate the rest."""
    left = list(there)
    missing = []
    commands: list[list[Any]] = []
    for record in wanted:
        kept = _taken(left, partial(_holds, record))
        if kept is None:
            missing.append(record)
        elif not kept["active"]:
            commands.append(["write", [kept["id"]], {"active": True}])
    new = []
    for record in missing:
        # Rewriting an address keeps what refers to it; an inactive one may be kept for a document of old.
        kept = _taken(left, lambda child: bool(child["active"]))
        if kept is None:
            new.append(dict(record))
        else:
            differing = {name: value for name, value in record.items() if not same(value, kept[name])}
            commands.append(["write", [kept["id"]], differing])
    if new:
        commands.append(["create", new])
    surplus = [child["id"] for child in left if child["active"]]
    if surplus:
        commands.append(["write", surplus, {"active": False}])
    return commands


def _holds(record: Record, child: Record) -> bool:
    return all(same(record[name], child[name]) for name in record)


def _taken(left: list[Record], fits: Callable[[Record], bool]) -> Record | None:
    """The first that fits, taken out of the list."""
    for place, child in enumerate(left):
        if fits(child):
            return left.pop(place)
    return None


def _address(address: Record, countries: Countries) -> dict[str, Any]:
    values = dict(address)
    code = values.get("country")
    if code is not None:
        if code not in countries:
            raise ItemError(f"addresses.country: Tryton has no country of the code '{code}'", code="country")
        values["country"] = countries[code]
    return values


def countries_of(payloads: Iterable[Mapping[str, Any]]) -> set[str]:
    """The codes of the countries in the payloads' addresses."""
    return {
        address["country"]
        for payload in payloads
        for address in payload.get("addresses", ())
        if address.get("country") is not None
    }
