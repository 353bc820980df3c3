"""The stages that only read: what became of a change, which parties are alike, what Tryton holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from contraflow_hookspecs import (
    Action,
    Change,
    Deferred,
    Gone,
    ItemError,
    Operation,
    RemoteItem,
    WriteResult,
    Written,
)
from contraflow_tryton.parties import Party, countries_of, payload_held, values_to_write
from contraflow_tryton.payload import CHILDREN
from contraflow_tryton.settings import PartySettings
from contraflow_tryton.tryton import Tryton


def confirm(changes: Sequence[Change], tryton: Tryton, kind: PartySettings) -> list[WriteResult]:
    """What became of changes in doubt: ``Written`` where Tryton shows them, ``Deferred`` where it does not.

    Raises:
        TransientError: Tryton is not there now.
        SystemicError: It refuses us.
    """
    found = tryton.find(changes, kind)
    countries = tryton.countries(countries_of(change.payload for change in changes))
    return [_confirm(change, found.of(change, kind), kind, countries) for change in changes]


def _confirm(change: Change, party: Party | None, kind: PartySettings, countries: Any) -> WriteResult:
    if change.operation is Operation.DELETE:
        if party is None or not party.active:
            return Written(key=change.key, action=Action.DELETED)
        return Deferred(key=change.key, reason=f"party {party.id} is still there")
    if party is None:
        return Deferred(key=change.key, reason="there is no such party")
    try:
        differing = values_to_write(party, change.payload, kind, countries)
    except ItemError as error:  # it cannot have been written as it is
        return Deferred(key=change.key, reason=error.reason)
    if differing:
        return Deferred(key=change.key, reason=f"party {party.id}: {', '.join(differing)} differs")
    return Written(key=change.key, remote_id=str(party.id), remote_version=party.version)


def find(changes: Sequence[Change], tryton: Tryton, kind: PartySettings) -> list[RemoteItem]:
    """The parties of the changes' codes; else those that have one of their texts of the matched type."""
    found = tryton.find(changes, kind)
    alike: dict[int, list[Party]] = {}
    for place, change in enumerate(changes):
        party = found.of(change, kind)
        alike[place] = [] if party is None else [party]
    left = [place for place, parties in alike.items() if not parties]
    wanted = {place: _matched(changes[place].payload, kind) for place in left}
    texts = {text.lower(): text for each in wanted.values() for text in each}
    if texts:
        for party in _with_texts(texts.values(), tryton, kind):
            held = {text.lower() for text in _matched(_held([party], tryton, kind)[0], kind)}
            for place in left:
                if held & {text.lower() for text in wanted[place]}:
                    alike[place].append(party)
    pairs = [(changes[place], party) for place, parties in alike.items() for party in parties]
    payloads = _held([party for _, party in pairs], tryton, kind)
    return [_remote(change.key, party, payload) for (change, party), payload in zip(pairs, payloads, strict=True)]


def fetch(changes: Sequence[Change], tryton: Tryton, kind: PartySettings) -> list[RemoteItem | Gone]:
    """What Tryton holds for the changes."""
    found = tryton.find(changes, kind)
    parties = [found.of(change, kind) for change in changes]
    payloads = iter(_held([party for party in parties if party is not None], tryton, kind))
    return [
        Gone(key=change.key) if party is None else _remote(change.key, party, next(payloads))
        for change, party in zip(changes, parties, strict=True)
    ]


def list_all(tryton: Tryton, kind: PartySettings) -> Iterator[RemoteItem]:
    """Every active party of the kind, whoever made it."""
    for party in tryton.all(kind):
        yield _remote(None, party, _held([party], tryton, kind)[0])


def _matched(payload: Any, kind: PartySettings) -> Sequence[str]:
    return [text for children in CHILDREN for text in payload.get(children, {}).get(kind.match, ())]


def _with_texts(texts: Iterable[str], tryton: Tryton, kind: PartySettings) -> list[Party]:
    """Addresses of e-mail are written in any case, so they are compared without it."""
    place = "contact_mechanisms.value" if kind.match in kind.contact_mechanisms else "identifiers.code"
    clauses = [[place, "ilike", _literal(text)] for text in texts]
    return tryton.parties(["OR", *clauses], kind)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _held(parties: Sequence[Party], tryton: Tryton, kind: PartySettings) -> list[dict[str, Any]]:
    codes = tryton.country_codes(parties) if kind.addresses else {}
    return [payload_held(party, kind, codes) for party in parties]


def _remote(key: Any, party: Party, payload: dict[str, Any]) -> RemoteItem:
    return RemoteItem(
        key=key, remote_id=str(party.id), remote_version=party.version, payload=payload, modified=party.modified
    )
