"""Whole runs: from a database through the engine into Tryton."""

from __future__ import annotations

from typing import Any

import pytest
from private_trytond import DATABASE, PASSWORD, USER

import contraflow_tryton

ANA = {"id": 1, "name": "Ana", "mail": "ana@example.org", "phone": "+43 1", "street": "Lipová 1", "country": "CZ"}
BO = {"id": 2, "name": "Bo", "mail": "bo@example.org", "phone": "+43 2", "street": "Ring 2", "country": "AT"}


@pytest.fixture
def settings(remote: Any) -> dict[str, Any]:
    party = {
        "code_prefix": remote.prefix,
        "fields": {"name": "name"},
        "contact_mechanisms": {"email": "mail", "phone": "phone"},
        "addresses": [{"street": "street", "country": "country"}],
    }
    return {
        "url": remote.trytond.url,
        "database": DATABASE,
        "user": USER,
        "password": PASSWORD,
        "parties": {"customer": party},
    }


def test_a_party_is_made_changed_and_removed(remote, source, connector, run_job, settings):
    source.fill("customer", ANA, BO)
    connector(contraflow_tryton, name="tryton", settings=settings, parameters={"missing": "delete"})
    assert run_job().counts["created"] == 2
    source.change("customer", 1, name="Anna", street="Nová 3")
    source.remove("customer", 2)
    execution = run_job(ids=[1, 2])
    assert (execution.counts["updated"], execution.counts["deleted"]) == (1, 1)
    (party,) = remote.parties()
    assert (party["name"], party["addresses"]) == ("Anna", [("Nová 3", None, "CZ")])
    assert run_job().counts["unchanged"] == 1


def test_what_somebody_changed_in_tryton_is_merged(remote, source, connector, run_job, settings):
    source.fill("customer", ANA, BO)
    parameters = {"remember": "payload", "conflicts": {"default": "merge", "fallback": "remote"}}
    connector(contraflow_tryton, name="tryton", settings=settings, parameters=parameters)
    run_job()
    code = f"{remote.prefix}2"
    (record,) = remote.call("party.party.search_read", [["code", "=", code]], 0, None, None, ["addresses"])
    address = ["write", record["addresses"], {"street": "Gürtel 9"}]
    remote.call("party.party.write", [record["id"]], {"name": "Bořivoj", "addresses": [address]})
    source.change("customer", 2, mail="new@example.org", street="Ring 3")
    run_job()
    assert remote.parties()[1] == {
        "code": "2",
        "name": "Bořivoj",
        "mechanisms": [("email", "new@example.org"), ("phone", "+43 2")],
        "addresses": [("Gürtel 9", None, "AT")],
        "identifiers": [],
    }


def test_a_guarded_party_is_left_alone_and_listed(remote, source, connector, run_job, settings):
    source.fill("customer", ANA, BO)
    connector(contraflow_tryton, name="tryton", settings={**settings, "guard": True})
    run_job()
    (number,) = remote.call("party.party.search", [["code", "=", f"{remote.prefix}2"]], 0, None, None)
    remote.call("party.party.write", [number], {"name": "By hand"})
    source.change("customer", 1, name="Anna")
    source.change("customer", 2, name="Bob")
    counts = run_job().counts
    assert (counts["updated"], counts["rejected"]) == (1, 1)
    assert [party["name"] for party in remote.parties()] == ["Anna", "By hand"]
