"""A change in doubt is looked up, and nothing is claimed that the remote does not show."""

from __future__ import annotations

import pytest

from contraflow_hookspecs import Action, Change, Deferred, Operation, TransientError, Unknown, Written
from contraflow_http import confirm_items

UPSERT = """
timeout: 2
endpoints:
  customers:
    upsert: {path: "/c/{key}"}
    delete: {path: "/c/{key}"}
    read: {path: "/c/{key}", record: data}
    wrap: data
    version: header:ETag
"""
CREATE = UPSERT.replace('upsert: {path: "/c/{key}"}', 'create: {path: /c}\n    update: {path: "/c/{key}"}')

CHANGE = Change(key=(1,), payload={"name": "Ana"})
DELETED = Change(key=(1,), operation=Operation.DELETE)
SAME = {"data": {"name": "Ana", "id": 1}}
OTHER = {"data": {"name": "Eve"}}


@pytest.mark.parametrize(
    ("text", "change", "status", "body", "expected"),
    [
        (UPSERT, CHANGE, 200, SAME, Written),
        (UPSERT, CHANGE, 200, OTHER, Deferred),
        (UPSERT, CHANGE, 404, {}, Deferred),
        (UPSERT, CHANGE, 200, b"<html>", Unknown),
        (UPSERT, CHANGE, 503, {}, Unknown),
        (UPSERT, CHANGE, 401, {}, Unknown),
        (UPSERT, DELETED, 404, {}, Written),
        (UPSERT, DELETED, 200, SAME, Deferred),
        (CREATE, CHANGE, 404, {}, Deferred),
        (CREATE, CHANGE, 200, OTHER, Unknown),
    ],
)
def test_what_the_remote_shows_decides(remote, connect, reply, text, change, status, body, expected):
    remote.script(reply(status, body, {"ETag": '"v"'}))
    (result,) = confirm_items(items=[change], context=connect(text))
    assert type(result) is expected
    assert remote.paths == ["GET /v1/c/1"]


def test_a_confirmed_change_brings_its_version_and_an_id(remote, connect, reply):
    remote.script(reply(200, SAME, {"ETag": '"v"'}))
    (result,) = confirm_items(items=[CHANGE], context=connect(CREATE))
    assert result == Written(key=(1,), action=Action.CREATED, remote_id="1", remote_version='"v"')


def test_an_answer_that_is_lost_confirms_nothing(remote, connect, reply):
    remote.script(reply(hang_up=True))
    assert type(confirm_items(items=[CHANGE], context=connect(UPSERT))[0]) is Unknown


def test_a_remote_that_is_not_there_cannot_be_asked(remote, connect):
    context = connect(UPSERT)
    remote.close()
    remote.close = lambda: None
    with pytest.raises(TransientError):
        confirm_items(items=[CHANGE], context=context)


def test_without_a_way_to_read_nothing_is_confirmed(remote, connect):
    (result,) = confirm_items(items=[CHANGE], context=connect('endpoints: {c: {upsert: {path: "/c/{key}"}}}'))
    assert type(result) is Unknown
    assert remote.received == []
