"""Records that the remote has already are found by a natural key; others are put away, or forgotten."""

from __future__ import annotations

import attrs
import pytest

from contraflow_hookspecs import (
    Action,
    Change,
    Deferred,
    Gone,
    Operation,
    PermanentError,
    Rejected,
    TransientError,
    Unknown,
    Written,
)
from contraflow_http import archive_items, check_step, find_items, forget_items

BASE = """
endpoints:
  customers:
    create: {path: /c}
    update: {path: "/c/{remote_id}"}
    fields: {email: Email}
    id: id
    version: header:ETag
    if_match: true
"""
FIND = '    find: {path: "/c?email={email}", records: data, version: rev}\n'
ARCHIVE = '    archive: {method: PATCH, path: "/c/{remote_id}", body: {active: false}}\n'
FORGET = '    forget: {path: "/c/{remote_id}/anonymize"}\n'
DELETE = '    delete: {path: "/c/{remote_id}"}\n'


def mails(*texts):
    return [Change(key=(number,), payload={"email": text}) for number, text in enumerate(texts, 1)]


def gone(*numbers):
    return [Change(key=(n,), operation=Operation.DELETE, remote_id=f"r{n}", remote_version="v") for n in numbers]


def test_all_that_match_are_told(remote, connect, reply):
    remote.script(
        reply(200, {"data": [{"id": 7, "email": "a@x", "rev": 3}, {"id": 8, "email": "a@x"}]}),
        reply(200, {"data": []}),
        reply(404),
    )
    found = find_items(items=mails("a@x", "b&c@x", "d@x"), context=connect(BASE + FIND))
    assert [(each.key, each.remote_id, each.remote_version) for each in found] == [((1,), "7", "3"), ((1,), "8", None)]
    assert found[0].payload == {"email": "a@x"}
    assert remote.paths == ["GET /v1/c?email=a%40x", "GET /v1/c?email=b%26c%40x", "GET /v1/c?email=d%40x"]


@pytest.mark.parametrize(
    ("way", "paths"),
    [
        ("", ["/v1/c?email=a%40x"]),
        ("next: next, ", ["/v1/c?email=a%40x", "/v1/c?email=a%40x&p=2"]),
        ("cursor: mark, cursor_parameter: after, ", ["/v1/c?email=a%40x", "/v1/c?email=a%40x&after=m2"]),
        ("page_parameter: page, ", [f"/v1/c?email=a%40x&page={number}" for number in (1, 2, 3)]),
        ("offset_parameter: skip, ", ["/v1/c?email=a%40x", "/v1/c?email=a%40x&skip=2", "/v1/c?email=a%40x&skip=3"]),
    ],
    ids=["one page", "next", "cursor", "page", "offset"],
)
def test_what_is_found_comes_in_pages(remote, connect, reply, way, paths):
    first = {"data": [{"id": 7}, {"id": 8}], "next": "?email=a%40x&p=2", "mark": "m2"}
    remote.script(reply(200, first), reply(200, {"data": [{"id": 9}]}), reply(404))
    find = FIND.replace("records: data,", f"records: data, {way}")
    found = find_items(items=mails("a@x"), context=connect(BASE + find))
    assert [each.remote_id for each in found] == ["7", "8", "9"][: 2 if not way else 3]
    assert remote.paths == [f"GET {path}" for path in paths]


def test_what_is_only_alike_is_not_taken(remote, connect, reply):
    find = '    find: {path: "/c?q={email}", match: {email: props.mail, number: props.no}}\n'
    same, text = {"mail": "a@x", "no": 7}, {"mail": "a@x", "no": "7"}
    others = [{"mail": "a@xy", "no": 7}, {"mail": "a@x", "no": 8}, {"mail": "a@x"}, {"mail": True, "no": 7}]
    records = [{"id": number, "props": props} for number, props in enumerate([same, *others, text])]
    remote.script(reply(200, records))
    change = Change(key=(1,), payload={"email": "a@x", "number": 7})
    assert [each.remote_id for each in find_items(items=[change], context=connect(BASE + find))] == ["0", "5"]


def test_a_record_may_stand_alone(remote, connect, reply):
    remote.script(reply(200, {"data": {"id": 7, "email": "a@x"}}))
    (found,) = find_items(items=mails("a@x"), context=connect(BASE + FIND))
    assert found.remote_id == "7"


@pytest.mark.parametrize("mail", ["", None])
def test_an_item_without_a_natural_key_is_not_looked_for(remote, connect, mail):
    assert find_items(items=mails(mail), context=connect(BASE + FIND)) == []
    assert remote.received == []


@pytest.mark.parametrize(("status", "error"), [(400, PermanentError), (429, TransientError), (500, TransientError)])
def test_a_remote_that_cannot_be_asked_is_no_empty_list(remote, connect, reply, status, error):
    remote.script(reply(status))
    with pytest.raises(error):
        find_items(items=mails("a@x"), context=connect(BASE + FIND))


def test_records_are_put_away(remote, connect, reply):
    remote.script(reply(200, {"id": "r1", "active": False}), reply(404), reply(422, {"message": "owes us"}))
    results = archive_items(items=gone(1, 2, 3), context=connect(BASE + ARCHIVE))
    assert results[:2] == [Written(key=(1,)), Gone(key=(2,))]
    assert isinstance(results[2], Rejected)
    assert results[2].reason.endswith("owes us")
    assert remote.received[0].json == {"active": False}
    assert remote.received[0].headers["If-Match"] == '"v"'


def test_what_is_put_away_again_is_not_refused_for_the_version_of_the_first_time(remote, connect, reply):
    remote.script(reply(200))
    again = [attrs.evolve(change, attempt=2) for change in gone(1)]
    assert archive_items(items=again, context=connect(BASE + ARCHIVE)) == [Written(key=(1,))]
    assert "If-Match" not in remote.received[0].headers


def test_records_are_forgotten_whatever_their_version(remote, connect, reply):
    remote.script(reply(204), reply(404), reply(503), reply(204))
    one, two, three, four = forget_items(items=gone(1, 2, 3, 4), context=connect(BASE + FORGET))
    assert (one, two) == (Written(key=(1,)), Written(key=(2,)))
    assert isinstance(three, Deferred)
    assert isinstance(four, Deferred)
    assert remote.paths == [f"POST /v1/c/r{number}/anonymize" for number in (1, 2, 3)]
    assert "If-Match" not in remote.received[0].headers


def test_an_answer_that_is_lost_leaves_it_open(remote, connect, reply):
    remote.script(reply(hang_up=True))
    (result,) = forget_items(items=gone(1), context=connect(BASE + FORGET))
    assert isinstance(result, Unknown)


def test_without_a_way_of_its_own_it_is_deleted(remote, connect, reply):
    remote.script(reply(204))
    (result,) = forget_items(items=gone(1), context=connect(BASE + DELETE))
    assert result == Written(key=(1,), action=Action.DELETED)
    assert remote.paths == ["DELETE /v1/c/r1"]
    assert "If-Match" not in remote.received[0].headers


def test_a_batch_carries_them_too(remote, connect, reply):
    batch = "    batch: {path: /batch}\n"
    remote.script(reply(200, {"responses": [{"status": 200}, {"status": 404}]}))
    context = connect(BASE + ARCHIVE + batch)
    assert archive_items(items=gone(1, 2), context=context) == [Written(key=(1,)), Gone(key=(2,))]
    assert [each["body"] for each in remote.received[0].json["requests"]] == [{"active": False}] * 2


@pytest.mark.parametrize(
    ("parameters", "hook", "there", "missing"),
    [
        ({"adopt": True}, find_items, FIND, "look for the remote's records, and the endpoint has no 'find'"),
        ({"deletions": "archive"}, archive_items, ARCHIVE, "put records away, and the endpoint has no 'archive'"),
        ({"forget": True}, forget_items, DELETE, "remove records, and the endpoint has neither 'forget' nor 'delete'"),
    ],
    ids=["find", "archive", "forget"],
)
def test_what_is_not_configured_is_refused(remote, connect, parameters, hook, there, missing):
    context = connect(BASE, parameters=parameters)
    assert check_step(context=context) == [f"'{name}' needs to {missing}" for name in parameters]
    assert check_step(context=connect(BASE + there, parameters=parameters)) == []
    with pytest.raises(PermanentError) as caught:
        hook(items=mails("a@x"), context=context)
    assert caught.value.code == "not_supported"
    assert remote.received == []


OWN = """
endpoints:
  customers:
    upsert: {path: "/c/{key}"}
    find: {path: "/c?email={email}"}
    id: id
"""


@pytest.mark.parametrize(
    ("deed", "what"), [("relink", "the record of that id"), ("adopt", "the record that was found")]
)
def test_records_that_are_named_by_our_own_key_are_linked_to_no_other(connect, deed, what):
    (sentence,) = check_step(context=connect(OWN, parameters={deed: True}))
    assert sentence.startswith(f"'{deed}' needs to write to {what}, and the endpoint has neither an 'update' with")
    assert check_step(context=connect(BASE + FIND, parameters={deed: True})) == []
    batch = """
endpoints:
  customers:
    batch: {path: /c, form: records, id_field: Id}
    find: {path: "/c?email={email}"}
    id: id
"""
    assert check_step(context=connect(batch, parameters={deed: True})) == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("    find: {path: /c}\n", "must name what records are told by"),
        ('    archive: {path: "/c/{email}"}\n', "names {email}: expected {key}"),
        ('    find: {path: "/c?e={email}", next: n, cursor: m, cursor_parameter: c}\n', "find: expected one way to"),
        ('    forget: {path: "/c/{remote_id}"}\n', None),
    ],
)
def test_settings_that_contradict_themselves(structure, setting, said):
    nameless = BASE.replace("    id: id\n", "").replace("/{remote_id}", "")
    text = nameless if said is None else BASE
    with pytest.raises(Exception, match="structuring") as caught:
        structure(text + setting, url="https://crm.example")
    assert (said or "id must say where the remote tells it") in _text(caught.value)


def _text(error):
    return " ".join([str(error), *(_text(each) for each in getattr(error, "exceptions", ()))])
