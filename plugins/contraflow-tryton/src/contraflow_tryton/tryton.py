"""A Tryton database for a run: the session, what the settings name there, and how parties are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from contraflow_hookspecs import Change, SystemicError, TransientError
from contraflow_tryton.parties import Party, fields_read, party_of
from contraflow_tryton.payload import code_of, near
from contraflow_tryton.rpc import LostError, RefusedError, Session, open_session
from contraflow_tryton.settings import PartySettings, TrytonSettings

_PAGE = 500


@attrs.frozen(kw_only=True)
class Found:
    """The parties of a chunk."""

    by_id: Mapping[int, Party]
    by_code: Mapping[str, Party]

    def of(self, change: Change, kind: PartySettings) -> Party | None:
        """The party that we wrote before, whatever its code is now; else the one of the change's code."""
        number = id_of(change)
        known = None if number is None else self.by_id.get(number)
        return known or self.by_code.get(code_of(change.key, kind))


@attrs.define(kw_only=True)
class Tryton:
    """One database of one Tryton."""

    session: Session
    settings: TrytonSettings
    _countries: dict[str, int] = attrs.field(factory=dict)

    def read(self, method: str, *parameters: Any, **context: Any) -> Any:
        """Call a method that only reads.

        Raises:
            TransientError: Tryton is not there now.
            SystemicError: It refuses.
        """
        try:
            return self.session.call(method, *parameters, **context)
        except LostError as error:
            raise TransientError(str(error)) from None
        except RefusedError as refusal:
            raise SystemicError(f"{self.session.label}: {method}: {refusal.reason}") from None

    def parties(
        self, domain: Sequence[Any], kind: PartySettings, *, first: int = 0, limit: int | None = None
    ) -> list[Party]:
        """The parties that a domain fits, the inactive ones included, with all that the kind knows of them; raises as
        ``read``."""
        order = [["id", "ASC"]]
        names = fields_read(kind)
        records = self.read("party.party.search_read", list(domain), first, limit, order, names, active_test=False)
        return [party_of(record) for record in records]

    def find(self, changes: Iterable[Change], kind: PartySettings) -> Found:
        """The parties of these changes; raises as ``read``."""
        changes = list(changes)
        if not changes:
            return Found(by_id={}, by_code={})
        ids = [number for change in changes if (number := id_of(change)) is not None]
        codes = [code_of(change.key, kind) for change in changes]
        parties = self.parties(["OR", ["id", "in", ids], ["code", "in", codes]], kind)
        return Found(
            by_id={party.id: party for party in parties}, by_code={party.record["code"]: party for party in parties}
        )

    def all(self, kind: PartySettings) -> Iterator[Party]:
        """The active parties of a kind, page by page; raises as ``read``."""
        last = 0
        while True:
            domain = [["id", ">", last], ["code", "like", f"{kind.code_prefix}%"], ["active", "=", True]]
            page = self.parties(domain, kind, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].id

    def countries(self, codes: Iterable[str]) -> Mapping[str, int]:
        """Tryton's ids of countries; codes that it does not know are missing. Raises as ``read``."""
        unknown = sorted(set(codes) - self._countries.keys())
        if unknown:
            found = self.read("country.country.search_read", [["code", "in", unknown]], 0, None, None, ["code"])
            self._countries |= {record["code"]: record["id"] for record in found}
        return self._countries

    def country_codes(self, parties: Iterable[Party]) -> Mapping[int, str]:
        """The codes of the countries of the parties' addresses, by Tryton's ids; raises as ``read``."""
        held = {child["country"] for party in parties for child in party.children("addresses") if child.get("country")}
        unknown = sorted(held - set(self._countries.values()))
        if unknown:
            found = self.read("country.country.search_read", [["id", "in", unknown]], 0, None, None, ["code"])
            self._countries |= {record["code"]: record["id"] for record in found if record["code"]}
        return {number: code for code, number in self._countries.items()}

    def check(self) -> None:
        """See that we may write parties, and that the fields of the settings are fields of Tryton.

        Raises:
            SystemicError: We may not, or they are not.
            TransientError: Tryton is not there now.
        """
        rights = self.read("ir.model.access.get_access", ["party.party"])["party.party"]
        missing = [name for name in ("read", "write", "create") if not rights[name]]
        if missing:
            raise SystemicError(
                f"{self.session.label}: the user '{self.settings.user}' may not {', '.join(missing)} parties"
            )
        fields = self.read("party.party.fields_get", [])
        address_fields = self.read("party.address.fields_get", [])
        mechanisms = dict(self.read("party.contact_mechanism.fields_get", ["type"])["type"]["selection"])
        for name, kind in self.settings.parties.items():
            _check_names(f"parties.{name}.fields", "field of party.party", kind.fields, fields)
            _check_names(f"parties.{name}.contact_mechanisms", "type", kind.contact_mechanisms, mechanisms)
            for each in kind.addresses:
                _check_names(f"parties.{name}.addresses", "field of party.address", each, address_fields)


@contextmanager
def open_tryton(settings: TrytonSettings) -> Iterator[Tryton]:
    """Log in for a run, and log out again.

    Raises:
        SystemicError: Tryton refuses us, or the settings name what it does not have.
        TransientError: It is not there.
    """
    with open_session(settings) as session:
        tryton = Tryton(session=session, settings=settings)
        tryton.check()
        yield tryton


def id_of(change: Change) -> int | None:
    """Tryton's id of the party that we wrote before."""
    return int(change.remote_id) if change.remote_id is not None and change.remote_id.isdecimal() else None


def _check_names(path: str, what: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise SystemicError(f"{path}: Tryton has no {what} '{name}'{near(name, known)}")
