"""What arrives in Tryton, and what is reported of it."""

from __future__ import annotations

import pytest

import contraflow_tryton
from contraflow_hookspecs import Action, Change, Conflict, Rejected, Written

HOME = {"street": "Lipová 1", "city": "Brno", "country": "CZ"}
WORK = {"street": "Ring 2", "city": "Wien", "country": "AT"}


def test_an_upsert_creates_and_then_updates(remote, upsert):
    created = remote.write(
        [upsert(1, emails=["a@x.org"], addresses=[HOME]), upsert(2, name="Bo", vat=["BE0897290877"])]
    )
    assert {result.action for result in created.values()} == {Action.CREATED}
    assert all(result.remote_id.isdecimal() for result in created.values())
    ids = {key: result.remote_id for key, result in created.items()}
    updated = remote.write(
        [
            upsert(1, ids[(1,)], name="Anna", emails=["a@x.org", "b@x.org"], phones=["+43 1"], addresses=[HOME, WORK]),
            upsert(2, ids[(2,)], name="Bo", vat=["BE0897290877"]),
        ]
    )
    assert updated == {
        (1,): Written(key=(1,), action=Action.UPDATED, remote_id=ids[(1,)]),
        (2,): Written(
            key=(2,), action=Action.UNCHANGED, remote_id=ids[(2,)], remote_version=updated[(2,)].remote_version
        ),
    }
    assert remote.parties() == [
        {
            "code": "1",
            "name": "Anna",
            "mechanisms": [("email", "a@x.org"), ("email", "b@x.org"), ("phone", "+43 1")],
            "addresses": [("Lipová 1", "Brno", "CZ"), ("Ring 2", "Wien", "AT")],
            "identifiers": [],
        },
        {"code": "2", "name": "Bo", "mechanisms": [], "addresses": [], "identifiers": ["BE0897290877"]},
    ]


def test_the_same_chunk_twice_leaves_the_same_parties(remote, upsert):
    chunk = [upsert(number, emails=[f"{number}@x.org"], addresses=[HOME]) for number in range(40)]
    first = remote.write(chunk)
    parties = remote.parties()
    second = remote.write(chunk)
    assert remote.parties() == parties
    assert len(parties) == 40
    assert {result.action for result in second.values()} == {Action.UNCHANGED}
    assert {key: result.remote_id for key, result in second.items()} == {
        key: result.remote_id for key, result in first.items()
    }


def test_a_chunk_takes_few_requests(remote, upsert, monkeypatch):
    with remote.step() as context:
        asked = []
        session = context.resource.session
        call = session.call
        monkeypatch.setattr(
            session, "call", lambda method, *rest, **more: (asked.append(method), call(method, *rest, **more))[1]
        )
        contraflow_tryton.write_items(items=[upsert(1), upsert(2, addresses=[HOME])], context=context)
        changed = [upsert(number, name="N", addresses=[HOME]) for number in (1, 2, 3)]
        contraflow_tryton.write_items(items=changed, context=context)
    assert [method.rpartition(".")[2] for method in asked] == [
        *("search_read", "search_read", "create"),
        *("search_read", "write", "create"),  # the country is known by now
    ]


def test_what_goes_away_is_deactivated_and_comes_back(remote, upsert):
    (created,) = remote.write([upsert(1, emails=["a@x.org", "b@x.org"], addresses=[HOME, WORK])]).values()
    children = "contact_mechanisms", "addresses"

    def ids() -> list[list[int]]:
        (party,) = remote.call("party.party.read", [int(created.remote_id)], list(children), active_test=False)
        return [party[name] for name in children]

    before = ids()
    remote.write([upsert(1, created.remote_id, emails=["b@x.org"], addresses=[WORK])])
    (party,) = remote.parties()
    assert party["mechanisms"] == [("email", "b@x.org")]
    assert party["addresses"] == [("Ring 2", "Wien", "AT")]
    remote.write([upsert(1, created.remote_id, emails=["a@x.org", "b@x.org"], addresses=[HOME, WORK])])
    (party,) = remote.parties()
    assert party["mechanisms"] == [("email", "a@x.org"), ("email", "b@x.org")]
    assert sorted(party["addresses"]) == [("Lipová 1", "Brno", "CZ"), ("Ring 2", "Wien", "AT")]
    assert ids() == before


def test_a_changed_address_stays_the_same_record(remote, upsert):
    (created,) = remote.write([upsert(1, emails=["a@x.org"], addresses=[HOME])]).values()
    number = int(created.remote_id)
    (before,) = remote.call("party.party.read", [number], ["addresses", "contact_mechanisms"])
    remote.write([upsert(1, created.remote_id, emails=["new@x.org"], addresses=[{**HOME, "street": "Nová 3"}])])
    (after,) = remote.call("party.party.read", [number], ["addresses", "contact_mechanisms"])
    assert after == before
    (party,) = remote.parties()
    assert party["addresses"] == [("Nová 3", "Brno", "CZ")]
    assert party["mechanisms"] == [("email", "new@x.org")]


def test_what_users_add_of_other_kinds_stays(remote, upsert):
    (created,) = remote.write([upsert(1, emails=["a@x.org"])]).values()
    number = int(created.remote_id)
    remote.call("party.contact_mechanism.create", [{"party": number, "type": "website", "value": "https://x.org"}])
    remote.write([upsert(1, created.remote_id, name="Anna", emails=["b@x.org"])])
    (party,) = remote.parties()
    assert party["mechanisms"] == [("email", "b@x.org"), ("website", "https://x.org")]


def test_a_party_with_another_code_is_found_by_its_id_and_keeps_it(remote, upsert):
    """It was made by somebody else, and adopted."""
    (number,) = remote.call("party.party.create", [{"code": f"{remote.prefix}other", "name": "Theirs"}])
    (written,) = remote.write([upsert(1, str(number), name="Ours")]).values()
    assert (written.action, written.remote_id) == (Action.UPDATED, str(number))
    assert [(party["code"], party["name"]) for party in remote.parties()] == [("other", "Ours")]


def test_a_party_that_somebody_removed_is_made_again(remote, upsert):
    (created,) = remote.write([upsert(1)]).values()
    remote.call("party.party.delete", [int(created.remote_id)])
    (again,) = remote.write([upsert(1, created.remote_id)]).values()
    assert again.action is Action.CREATED
    assert again.remote_id != created.remote_id


def test_deletes(remote, upsert, delete):
    written = remote.write([upsert(1), upsert(2), upsert(3)])
    remote.call("party.party.delete", [int(written[(2,)].remote_id)])
    results = remote.write(
        [
            delete(1, remote_id=written[(1,)].remote_id),
            delete(2, remote_id=written[(2,)].remote_id),
            delete(3),
            delete(4),
        ]
    )
    assert results == {(number,): Written(key=(number,), action=Action.DELETED) for number in (1, 2, 3, 4)}
    assert remote.parties(active_test=False) == []


def test_archived_parties_are_inactive_and_come_back(remote, upsert, delete):
    (created,) = remote.write([upsert(1, emails=["a@x.org"])]).values()
    with remote.step() as context:
        for _ in range(2):
            results = contraflow_tryton.archive_items(
                items=[delete(1, remote_id=created.remote_id), delete(9)], context=context
            )
            assert sorted(results, key=lambda result: result.key) == [
                Written(key=(key,), action=Action.DELETED) for key in (1, 9)
            ]
            assert remote.parties() == []
            assert len(remote.parties(active_test=False)) == 1
    (again,) = remote.write([upsert(1, created.remote_id, emails=["a@x.org"])]).values()
    assert (again.action, again.remote_id) == (Action.UPDATED, created.remote_id)
    assert len(remote.parties()) == 1


# Conflicts


def test_a_party_that_somebody_saved_is_a_conflict_where_that_is_guarded(remote, upsert):
    (created,) = remote.write([upsert(1, addresses=[HOME])], guard=True).values()
    assert created.remote_version
    remote.call("party.party.write", [int(created.remote_id)], {"name": "By hand"})
    change = upsert(1, created.remote_id, created.remote_version, name="Anna", addresses=[HOME])
    (conflict,) = remote.write([change], guard=True).values()
    held = {**upsert(1, name="By hand", addresses=[HOME]).payload}
    assert conflict == Conflict(key=(1,), remote=held)
    assert [party["name"] for party in remote.parties()] == ["By hand"]
    (written,) = remote.write([change]).values()
    assert written.action is Action.UPDATED


def test_what_we_wrote_ourselves_is_no_conflict(remote, upsert):
    (created,) = remote.write([upsert(1)], guard=True).values()
    change = upsert(1, created.remote_id, created.remote_version, name="Anna", emails=["a@x.org"])
    (first,) = remote.write([change], guard=True).values()
    (again,) = remote.write([change], guard=True).values()  # as after an answer that was lost
    assert (first.action, again.action) == (Action.UPDATED, Action.UNCHANGED)
    assert first.remote_version == again.remote_version != created.remote_version
    only_a_child = upsert(1, created.remote_id, first.remote_version, name="Anna", emails=["b@x.org"])
    (second,) = remote.write([only_a_child], guard=True).values()
    assert second.remote_version not in (None, first.remote_version)


# Refusals


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"vat": ["BE123"]}, "refused", '"BE123" for party "Ana" is not valid'),
        ({"name": "line\nbreak"}, "refused", "invalid"),
        ({"addresses": [{"city": "Nowhere", "country": "XX"}]}, "country", "no country of the code 'XX'"),
    ],
)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_one_refused_party_does_not_harm_the_others(remote, upsert, fields, code, words, existing):
    if existing:
        remote.write([upsert(number) for number in range(7)])
    results = remote.write(
        [upsert(number, emails=["a@x.org"], **(fields if number == 3 else {})) for number in range(7)]
    )
    refused = results.pop((3,))
    assert (type(refused), refused.code) == (Rejected, code)
    assert words in refused.reason
    assert {type(result) for result in results.values()} == {Written}
    assert [party["code"] for party in remote.parties() if party["mechanisms"]] == ["0", "1", "2", "4", "5", "6"]


def test_two_items_cannot_be_one_party(remote, upsert):
    (created,) = remote.write([upsert(1)]).values()
    results = remote.write([upsert(1, created.remote_id), upsert(2, created.remote_id, name="Bo")])
    assert (type(results[(2,)]), results[(2,)].code) == (Rejected, "duplicate")


def test_what_makes_the_server_fail_is_the_items_fault(remote, upsert):
    """Here a rule that somebody put into the database, of which Tryton knows nothing."""
    bad = f"{remote.prefix}Bad"
    when = f"WHEN NEW.name = '{bad}' BEGIN SELECT RAISE(ABORT, 'no bad'); END"
    remote.trytond.execute(f'CREATE TRIGGER "{bad}" BEFORE INSERT ON party_party {when}')
    results = remote.write([upsert(1), upsert(2, name=bad), upsert(3)])
    assert [type(results[(number,)]) for number in (1, 2, 3)] == [Written, Rejected, Written]
    assert results[(2,)].code == "server_error"
    assert "no bad" in results[(2,)].reason


def test_values_of_all_kinds_survive(remote):
    names = [" x ", "日本語 и 😀", "a'b\"c\\d%_", "x" * 500, "0", "false"]
    changes = [Change(key=(n,), payload={"name": name}) for n, name in enumerate(names)]
    kind = {"fields": {"name": "name"}}
    remote.write(changes, kind)
    assert {result.action for result in remote.write(changes, kind).values()} == {Action.UNCHANGED}
    assert [party["name"] for party in remote.parties()] == names
