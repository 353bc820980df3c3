"""What arrives in the directory, and what is reported of it."""

from __future__ import annotations

from typing import Any

import pytest
from private_slapd import BASE

import contraflow_ldap
from contraflow_hookspecs import Action, Change, Rejected, Written
from contraflow_ldap.entries import Kind

BY_NUMBER: dict[str, Any] = {
    "base": BASE,
    "rdn": "cn",
    "match": "employeeNumber",
    "object_classes": ["inetOrgPerson"],
    "attributes": {"cn": "name", "sn": "surname", "employeeNumber": "number", "jpegPhoto": "photo"},
}


def test_an_upsert_creates_and_then_updates(remote, upsert):
    created = remote.write([upsert(1, uid="ana", mail="ana@example.org"), upsert(2, uid="bo")])
    assert {result.action for result in created.values()} == {Action.CREATED}
    ids = {key: result.remote_id for key, result in created.items()}
    assert all(len(each) == 36 for each in ids.values())
    updated = remote.write(
        [
            upsert(1, ids[(1,)], uid="ana", mail=["a@example.org", "ana@example.org"]),
            upsert(2, ids[(2,)], uid="bo", sn="B"),
        ]
    )
    assert updated == {
        key: Written(key=key, action=Action.UPDATED, remote_id=remote_id) for key, remote_id in ids.items()
    }
    assert remote.people("uid", "cn", "sn", "mail") == [
        (f"uid=ana,{BASE}", {"uid": "ana", "cn": "ana", "sn": "ana", "mail": ["a@example.org", "ana@example.org"]}),
        (f"uid=bo,{BASE}", {"uid": "bo", "cn": "bo", "sn": "B"}),
    ]


def test_the_same_chunk_twice_leaves_the_same_entries(remote, upsert):
    chunk = [upsert(number, mail=[f"{number}@x.org", f"{number}@y.org"]) for number in range(50)]
    first = remote.write(chunk)
    entries = remote.people()
    second = remote.write(chunk)
    assert remote.people() == entries
    assert len(entries) == 50
    assert {result.action for result in second.values()} == {Action.UNCHANGED}
    assert [result.remote_id for result in second.values()] == [result.remote_id for result in first.values()]


def test_only_what_differs_is_replaced(remote, upsert):
    (written,) = remote.write([upsert(1, uid="ana", mail="ana@example.org", telephoneNumber="+43 1")]).values()
    with remote.admin() as admin:
        admin.modify(f"uid=ana,{BASE}", {"description": [("MODIFY_REPLACE", ["by hand"])]})
    with remote.step() as context:
        kind = Kind(settings=context.settings.entries["employee"], directory=context.resource)
        change = upsert(1, written.remote_id, uid="ana", sn="Novotná", mail="ana@example.org")
        difference = kind.difference(kind.find(change), change.payload)
        assert difference.modifications == {
            "sn": [("MODIFY_REPLACE", ["Novotná".encode()])],
            "telephoneNumber": [("MODIFY_REPLACE", [])],
        }
        contraflow_ldap.write_items(items=[change], context=context)
    ((_, person),) = remote.people("sn", "mail", "telephoneNumber", "description")
    assert person == {"sn": "Novotná", "mail": "ana@example.org", "description": "by hand"}


@pytest.mark.parametrize("known", [True, False], ids=["by its entryUUID", "by the matched attribute"])
def test_a_rename_keeps_the_entry(remote, known):
    change = Change(key=(1,), payload={"cn": "Ana Nowak", "sn": "Nowak", "employeeNumber": "7"})
    (created,) = remote.write([change], BY_NUMBER).values()
    remote_id = created.remote_id if known else None
    renamed = Change(
        key=(1,), remote_id=remote_id, payload={"cn": "Ana Novák, Dr.", "sn": "Novák", "employeeNumber": "7"}
    )
    for action in (Action.UPDATED, Action.UNCHANGED):
        assert remote.write([renamed], BY_NUMBER) == {
            (1,): Written(key=(1,), action=action, remote_id=created.remote_id)
        }
    ((_, person),) = remote.people("cn", "sn", "employeeNumber")
    assert person == {"cn": "Ana Novák, Dr.", "sn": "Novák", "employeeNumber": "7"}


def test_a_rename_of_letters_case(remote, upsert):
    (created,) = remote.write([upsert(1, uid="ANA")]).values()
    (renamed,) = remote.write([upsert(1, created.remote_id, uid="Ana")]).values()
    assert (renamed.action, renamed.remote_id) == (Action.UPDATED, created.remote_id)
    assert [name for name, _ in remote.people("uid")] == [f"uid=Ana,{BASE}"]


def test_a_rename_onto_another_entry_is_refused(remote, upsert):
    ids = {key: result.remote_id for key, result in remote.write([upsert(1, uid="ana"), upsert(2, uid="bo")]).items()}
    (refused,) = remote.write([upsert(2, ids[(2,)], uid="ana")]).values()
    assert (type(refused), refused.code) == (Rejected, "exists")
    assert "uid=ana" in refused.reason


def test_an_entry_that_was_moved_is_found_where_it_is_now(remote, upsert):
    (created,) = remote.write([upsert(1, uid="ana")]).values()
    with remote.admin() as admin:
        admin.modify_dn(f"uid=ana,{BASE}", "uid=ana", new_superior=f"ou=leavers,{BASE}")
    (updated,) = remote.write([upsert(1, created.remote_id, uid="ana2")]).values()
    assert (updated.action, updated.remote_id) == (Action.UPDATED, created.remote_id)
    assert [name for name, _ in remote.people("uid")] == [f"uid=ana2,ou=leavers,{BASE}"]


def test_an_entry_that_somebody_removed_is_made_again(remote, upsert):
    (created,) = remote.write([upsert(1, uid="ana")]).values()
    with remote.admin() as admin:
        admin.delete(f"uid=ana,{BASE}")
    (again,) = remote.write([upsert(1, created.remote_id, uid="ana")]).values()
    assert again.action is Action.CREATED
    assert again.remote_id not in (None, created.remote_id)


def test_an_entry_of_other_makers_is_completed(remote, upsert):
    """It is named by another attribute, has fewer object classes, and a second value where we want one."""
    with remote.admin() as admin:
        admin.add(f"cn=Nowak+sn=x,{BASE}", ["person", "uidObject"], {"uid": ["ana", "nowak"], "cn": "Nowak", "sn": "x"})
    attributes = {"uid": "login", "cn": "name", "sn": "surname"}
    classes = ["person", "uidObject", "pkiUser"]
    entry = {"base": BASE, "rdn": "uid", "object_classes": classes, "attributes": attributes}
    change = upsert(1, uid="ana", cn="Ana Nowak")
    (written,) = remote.write([change], entry).values()
    assert written.action is Action.UPDATED
    with remote.admin() as admin:
        admin.search(BASE, "(uid=ana)", attributes=["*"])
        (found,) = admin.response
    assert found["dn"] == f"uid=ana,{BASE}"
    assert (found["attributes"]["uid"], found["attributes"]["cn"]) == (["ana"], ["Ana Nowak"])
    assert set(found["attributes"]["objectClass"]) >= set(classes)


NAMES = ["a,b+c", " x ", "#a", "nul\x00nul", "ž\\ü", 'q"<>;=', "a=b", "(*)", "*", "日本語 и", "x" * 200, "a\nb", "2c"]


def test_any_name_can_be_one(remote):
    changes = [
        Change(key=(number,), payload={"cn": name, "sn": name, "employeeNumber": str(number)})
        for number, name in enumerate(NAMES)
    ]
    first = remote.write(changes, BY_NUMBER)
    assert {type(result) for result in first.values()} == {Written}
    second = remote.write(changes, BY_NUMBER)
    assert {result.action for result in second.values()} == {Action.UNCHANGED}
    assert sorted(person["sn"] for _, person in remote.people("sn")) == sorted(NAMES)


def test_octets_stay_octets(remote):
    photo = bytes(range(256))
    change = Change(key=(1,), payload={"cn": "Ana", "sn": "A", "employeeNumber": "1", "jpegPhoto": photo})
    remote.write([change], BY_NUMBER)
    (again,) = remote.write([change], BY_NUMBER).values()
    assert again.action is Action.UNCHANGED
    with remote.admin() as admin:
        admin.search(BASE, "(cn=Ana)", attributes=["jpegPhoto"])
        assert admin.response[0]["raw_attributes"]["jpegPhoto"] == [photo]


def test_deletes(remote, upsert, delete):
    written = remote.write([upsert(1, uid="ana"), upsert(2, uid="bo"), upsert(3, uid="cy")])
    with remote.admin() as admin:
        admin.delete(f"uid=bo,{BASE}")
    results = remote.write(
        [
            delete(1, remote_id=written[(1,)].remote_id),
            delete(2, remote_id=written[(2,)].remote_id),
            delete(3, previous={"uid": "cy"}),
            delete(4),
        ]
    )
    assert [results[(number,)] for number in (1, 2, 3)] == [
        Written(key=(number,), action=Action.DELETED) for number in (1, 2, 3)
    ]
    assert (type(results[(4,)]), results[(4,)].code) == (Rejected, "key")
    assert remote.people() == []


def test_several_entries_with_the_matched_value_are_nobodys(remote):
    with remote.admin() as admin:
        for name in ("ana", "bo"):
            admin.add(f"cn={name},{BASE}", ["inetOrgPerson"], {"cn": name, "sn": name, "employeeNumber": "7"})
    change = Change(key=(1,), payload={"cn": "Ana", "sn": "A", "employeeNumber": "7"})
    (refused,) = remote.write([change], BY_NUMBER).values()
    assert (type(refused), refused.code) == (Rejected, "ambiguous")
    assert f"cn=ana,{BASE}" in refused.reason
