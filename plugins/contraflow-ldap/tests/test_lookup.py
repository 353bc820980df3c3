"""Reading the directory: by natural key, by entryUUID, and all of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from private_slapd import BASE

import contraflow_ldap
from contraflow_hookspecs import Change, Gone, Unknown

NOBODY = {"uid": None, "cn": None, "sn": None, "mail": None, "telephoneNumber": None}


def test_find_by_the_matched_attribute(remote, upsert):
    entry = {
        "base": BASE,
        "rdn": "uid",
        "match": "mail",
        "object_classes": ["inetOrgPerson"],
        "attributes": {"uid": "login", "cn": "name", "sn": "surname", "mail": "mail"},
    }
    written = remote.write([upsert(1, uid="ana", mail="ana@example.org")], entry)
    asked = [
        upsert(7, uid="x", mail="Ana@Example.org"),
        upsert(8, uid="y", mail="bo@example.org"),
        Change(key=(9,), payload={}),
    ]
    with remote.step(entry) as context:
        found = contraflow_ldap.find_items(items=asked, context=context)
    person = {"uid": "ana", "cn": "ana", "sn": "ana", "mail": "ana@example.org"}
    assert [(each.key, each.remote_id, each.payload) for each in found] == [((7,), written[(1,)].remote_id, person)]


def test_find_returns_all_that_are_alike(remote, upsert):
    with remote.admin() as admin:
        for name in ("ana", "bo"):
            admin.add(f"cn={name},{BASE}", ["inetOrgPerson"], {"cn": name, "sn": name, "uid": "ana"})
    with remote.step() as context:
        found = contraflow_ldap.find_items(items=[upsert(1, uid="ana")], context=context)
    assert [each.key for each in found] == [(1,), (1,)]
    assert len({each.remote_id for each in found}) == 2


def test_fetch_answers_in_the_payloads_own_types(remote, upsert, delete):
    change = upsert(1, uid="ana", mail=["a@x.org", "b@x.org"])
    before = datetime.now(UTC) - timedelta(seconds=2)
    (written,) = remote.write([change]).values()
    asked = [
        upsert(1, written.remote_id, uid="another"),
        delete(1, remote_id=written.remote_id),
        delete(2, remote_id="3f2e0f0c-0000-0000-0000-000000000000"),
        delete(3),
    ]
    with remote.step() as context:
        first, second, third = contraflow_ldap.fetch_items(items=asked, context=context)
    held = {**NOBODY, **change.payload}
    assert first == second
    assert (first.key, first.remote_id, first.payload) == ((1,), written.remote_id, held)
    assert before <= first.modified <= datetime.now(UTC)
    assert third == Gone(key=(2,))


def test_list_streams_everybody_of_the_kind(remote, upsert):
    """More than the server gives out in one answer."""
    written = remote.write([upsert(number) for number in range(500)])
    more = remote.write([upsert(number) for number in range(500, 620)])
    with remote.admin() as admin:
        admin.add(f"cn=printer,{BASE}", ["device"], {"cn": "printer"})
    with remote.step() as context:
        listed = {each.remote_id: each for each in contraflow_ldap.list_items(context=context)}
    assert set(listed) == {result.remote_id for result in (written | more).values()}
    assert listed[more[(600,)].remote_id].payload == {**NOBODY, "uid": "u600", "cn": "u600", "sn": "u600"}
    assert {each.key for each in listed.values()} == {None}


def test_nobody_can_confirm_what_is_ambiguous(remote, upsert):
    with remote.admin() as admin:
        for name in ("ana", "bo"):
            admin.add(f"cn={name},{BASE}", ["inetOrgPerson"], {"cn": name, "sn": name, "uid": "ana"})
    with remote.step() as context:
        (confirmed,) = contraflow_ldap.confirm_items(items=[upsert(1, uid="ana")], context=context)
    assert isinstance(confirmed, Unknown)
