"""Whole runs: from a database through the engine into the directory."""

from __future__ import annotations

from typing import Any

import pytest
from private_slapd import BASE, BIND_DN, PASSWORD

import contraflow_ldap

ENTRY: dict[str, Any] = {
    "base": BASE,
    "rdn": "uid",
    "object_classes": ["inetOrgPerson"],
    "attributes": {"uid": "login", "cn": "name", "sn": "surname", "mail": "mail", "telephoneNumber": "phone"},
}
ANA = {"id": 1, "login": "ana", "name": "Ana", "surname": "Nowak", "mail": "ana@example.org", "phone": "1"}
BO = {"id": 2, "login": "bo", "name": "Bo", "surname": "Holm", "mail": "bo@example.org", "phone": "2"}


@pytest.fixture
def settings(remote: Any) -> dict[str, Any]:
    return {
        "url": remote.slapd.url,
        "start_tls": False,
        "bind_dn": BIND_DN,
        "password": PASSWORD,
        "entries": {"employee": ENTRY},
    }


def test_a_person_is_made_renamed_and_removed(remote, source, connector, run_job, settings):
    source.fill("employee", ANA, BO)
    connector(contraflow_ldap, name="ldap", settings=settings, parameters={"missing": "delete"})
    assert run_job().counts["created"] == 2
    source.change("employee", 1, login="anna", surname="Holm")
    source.remove("employee", 2)
    execution = run_job(ids=[1, 2])
    assert (execution.counts["updated"], execution.counts["deleted"]) == (1, 1)
    assert [name for name, _ in remote.people("uid")] == [f"uid=anna,{BASE}"]
    assert run_job().counts["unchanged"] == 1


def test_what_somebody_changed_in_the_directory_is_merged(remote, source, connector, run_job, settings):
    source.fill("employee", ANA, BO)
    parameters = {"remember": "payload", "conflicts": {"default": "merge", "fallback": "remote"}}
    connector(contraflow_ldap, name="ldap", settings=settings, parameters=parameters)
    run_job()
    with remote.admin() as admin:
        values = {"telephoneNumber": [("MODIFY_REPLACE", ["9"])], "cn": [("MODIFY_REPLACE", ["Bořivoj"])]}
        admin.modify(f"uid=bo,{BASE}", values)
    source.change("employee", 2, mail="new@example.org", phone="3")
    run_job()
    assert remote.people("cn", "mail", "telephoneNumber") == [
        (f"uid=ana,{BASE}", {"cn": "Ana", "mail": "ana@example.org", "telephoneNumber": "1"}),
        (f"uid=bo,{BASE}", {"cn": "Bořivoj", "mail": "new@example.org", "telephoneNumber": "9"}),
    ]
