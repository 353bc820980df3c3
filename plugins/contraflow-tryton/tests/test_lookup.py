"""Reading Tryton: by code, by natural key, by id, and all of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

import contraflow_tryton
from contraflow_hookspecs import Gone

HOME = {"street": "Lipová 1", "city": "Brno", "country": "CZ"}


def test_find_by_code_and_by_the_matched_type(remote, upsert, user):
    remote.write([upsert(1, name="Ours")])
    others = [
        {"name": "Theirs", "contact_mechanisms": [["create", [{"type": "email", "value": "Ana_B@x.org"}]]]},
        {"name": "Twin", "contact_mechanisms": [["create", [{"type": "email", "value": "ana_b@x.org"}]]]},
        {"name": "Alike", "contact_mechanisms": [["create", [{"type": "email", "value": "anaXb@x.org"}]]]},
    ]
    ids = user.call("party.party.create", [{**other, "code": f"{remote.prefix}t{n}"} for n, other in enumerate(others)])
    asked = [upsert(1), upsert(2, emails=["ana_b@X.org", "other@x.org"]), upsert(3, emails=["nobody@x.org"]), upsert(4)]
    with remote.step() as context:
        found = contraflow_tryton.find_items(items=asked, context=context)
    assert {(each.key, each.payload["name"]) for each in found} == {((1,), "Ours"), ((2,), "Theirs"), ((2,), "Twin")}
    assert {each.remote_id for each in found if each.key == (2,)} == {str(number) for number in ids[:2]}


def test_fetch_answers_in_the_payloads_own_types(remote, upsert, delete):
    change = upsert(1, name="Ana", emails=["a@x.org"], phones=["+43 1"], vat=["BE0897290877"], addresses=[HOME])
    before = datetime.now(UTC) - timedelta(seconds=1)
    (written,) = remote.write([change]).values()
    with remote.step() as context:  # which has not looked up any country yet
        asked = [attrs.evolve(change, remote_id=written.remote_id), delete(2, remote_id="999999"), delete(3)]
        first, *others = contraflow_tryton.fetch_items(items=asked, context=context)
    assert (first.key, first.remote_id, first.payload) == ((1,), written.remote_id, change.payload)
    assert before <= first.modified <= datetime.now(UTC)
    assert others == [Gone(key=(2,)), Gone(key=(3,))]


def test_list_streams_the_active_parties_of_the_prefix(remote, upsert, user):
    numbers = range(510)
    codes = [{"code": f"{remote.prefix}{number}", "name": f"n{number}"} for number in numbers]
    ids = user.call("party.party.create", codes)
    user.call("party.party.write", ids[:5], {"active": False})
    user.call("party.party.create", [{"code": f"x{remote.prefix}1", "name": "of others"}])
    with remote.step() as context:
        listed = list(contraflow_tryton.list_items(context=context))
    assert [each.remote_id for each in listed] == [str(number) for number in ids[5:]]
    assert listed[0].payload == upsert(5, name="n5").payload
    assert listed[0].key is None
