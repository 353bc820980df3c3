"""One request for each change, against a real server."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from contraflow_hookspecs import (
    Action,
    Change,
    Conflict,
    Deferred,
    Gone,
    Operation,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    Written,
)
from contraflow_http import write_items

REST = """
auth: {bearer: secret-token}
timeout: 2
idempotency_header: Idempotency-Key
endpoints:
  customers:
    create: {path: /customers}
    update: {method: PATCH, path: "/customers/{remote_id}"}
    delete: {path: "/customers/{remote_id}"}
    id: data.id
    version: data.rev
    error: error.text
"""

NEW = Change(key=(7,), payload={"name": "Bjørn"}, idempotency_key="cf1-abc")
KNOWN = Change(key=(8,), payload={"name": "Ana"}, remote_id="r/8")
DELETED = Change(key=(9,), operation=Operation.DELETE, remote_id="r9")


def test_creates_updates_and_deletes(remote, connect, reply):
    remote.script(reply(201, {"data": {"id": 41, "rev": 3}}), reply(200, {}), reply(204))
    results = write_items(items=[NEW, KNOWN, DELETED], context=connect(REST))
    assert results == [
        Written(key=(7,), action=Action.CREATED, remote_id="41", remote_version="3"),
        Written(key=(8,), action=Action.UPDATED),
        Written(key=(9,), action=Action.DELETED),
    ]
    assert remote.paths == ["POST /v1/customers", "PATCH /v1/customers/r%2F8", "DELETE /v1/customers/r9"]
    created = remote.received[0]
    assert created.json == {"name": "Bjørn"}
    assert created.headers["Authorization"] == "Bearer secret-token"
    assert created.headers["Idempotency-Key"] == "cf1-abc"
    assert created.headers["Content-Type"] == "application/json"
    assert remote.received[2].body == b""


ONLY_CHANGED = REST.replace("method: PATCH,", "method: PATCH, only_changed: true,")


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        ({"city"}, {"city": "Brno"}),
        ({"city", "gone"}, {"city": "Brno"}),
        (None, {"name": "Ana", "city": "Brno", "tags": None}),  # nobody knows, or --force
        (set(), {"name": "Ana", "city": "Brno", "tags": None}),
        ({"gone"}, {"name": "Ana", "city": "Brno", "tags": None}),
        ({"tags"}, {"tags": None}),
    ],
)
def test_an_update_sends_only_what_changed(remote, connect, reply, changed, sent):
    remote.script(reply(200, {}))
    payload = {"name": "Ana", "city": "Brno", "tags": None}
    known = None if changed is None else frozenset(changed)
    (result,) = write_items(items=[attrs.evolve(KNOWN, payload=payload, changed=known)], context=connect(ONLY_CHANGED))
    assert isinstance(result, Written)
    assert remote.received[0].json == sent


def test_a_new_record_is_sent_whole(remote, connect, reply):
    remote.script(reply(201, {"data": {"id": 41}}))
    write_items(items=[attrs.evolve(NEW, payload={"name": "Bo", "city": "Oslo"})], context=connect(ONLY_CHANGED))
    assert remote.received[0].json == {"name": "Bo", "city": "Oslo"}


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        (NEW, 202, Written),
        (NEW, 303, Unknown),
        (NEW, 400, Rejected),
        (NEW, 404, Rejected),
        (KNOWN, 404, Gone),
        (KNOWN, 410, Gone),
        (DELETED, 404, Written),
        (DELETED, 410, Written),
        (NEW, 408, Deferred),
        (NEW, 409, Conflict),
        (KNOWN, 412, Conflict),
        (NEW, 413, Rejected),
        (NEW, 422, Rejected),
        (NEW, 423, Deferred),
        (NEW, 425, Deferred),
        (NEW, 429, Deferred),
        (NEW, 500, Unknown),
        (NEW, 501, Rejected),
        (NEW, 502, Unknown),
        (NEW, 503, Deferred),
        (NEW, 504, Unknown),
    ],
)
def test_each_status_has_its_meaning(remote, connect, reply, change, status, expected):
    remote.script(reply(status, {"data": {"id": 1}}))
    (result,) = write_items(items=[change], context=connect(REST))
    assert type(result) is expected
    assert result.key == change.key


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 407])
def test_a_systemic_answer_to_the_first_request_is_raised(remote, connect, reply, status):
    remote.script(reply(status, {"error": {"text": "who are you?"}}))
    with pytest.raises(SystemicError, match=f"POST /customers answered {status}"):
        write_items(items=[NEW], context=connect(REST))


def test_a_systemic_answer_loses_no_result_that_was_obtained(remote, connect, reply):
    remote.script(reply(200), reply(403, {"error": {"text": "quota of the key is spent"}}))
    first, second, third = write_items(items=[KNOWN, NEW, DELETED], context=connect(REST))
    assert type(first) is Written
    assert (type(second), type(third)) == (Deferred, Deferred)
    assert "quota of the key is spent" in second.reason
    assert len(remote.received) == 2


def test_the_settings_say_what_a_status_means(remote, connect, reply):
    remote.script(reply(409, {"data": {"id": "x"}}), reply(200), reply(402))
    context = connect(REST.replace("    id:", "    statuses: {409: written, 200: unchanged, 402: systemic}\n    id:"))
    created, updated, deleted = write_items(items=[NEW, KNOWN, DELETED], context=context)
    assert created == Written(key=(7,), action=Action.CREATED, remote_id="x")
    assert updated == Written(key=(8,), action=Action.UNCHANGED)
    assert type(deleted) is Deferred


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_request_makes_the_rest_wait(remote, connect, reply, status):
    remote.script(reply(200), reply(status, {}, {"Retry-After": "7"}))
    results = write_items(items=[KNOWN, NEW, DELETED], context=connect(REST))
    assert [(type(result), getattr(result, "retry_after", None)) for result in results] == [
        (Written, None),
        (Deferred, 7.0),
        (Deferred, 7.0),
    ]
    assert len(remote.received) == 2


def test_a_rejection_tells_the_remotes_reason_without_the_secret(remote, connect, reply):
    reason = "bad\nname for secret-token " + "x" * 400
    remote.script(reply(422, {"error": {"text": reason}}))
    (result,) = write_items(items=[NEW], context=connect(REST))
    assert result.code == "http_422"
    assert result.reason.startswith("POST /customers answered 422: bad name for *** xxx")
    assert "secret-token" not in result.reason
    assert len(result.reason) < 350


def test_a_server_error_does_not_stop_the_others(remote, connect, reply):
    remote.script(reply(500, b"<html>oops</html>"), reply(200))
    results = write_items(items=[NEW, KNOWN], context=connect(REST))
    assert [type(result) for result in results] == [Unknown, Written]


@pytest.mark.parametrize("trouble", ["hang_up", "silent"])
def test_a_lost_answer_leaves_the_item_in_doubt_and_the_rest_unsent(remote, connect, reply, trouble):
    remote.script(reply(200), reply(**{trouble: True}))
    results = write_items(items=[KNOWN, NEW, DELETED], context=connect(REST, timeout=0.2))
    assert [type(result) for result in results] == [Written, Unknown, Deferred]
    assert len(remote.received) == 2


def test_a_remote_that_is_not_there_is_transient(connect):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        context = connect(REST, url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(TransientError, match="POST /customers: no connection"):
            write_items(items=[NEW, KNOWN], context=context)


def test_an_answer_that_is_not_json_still_counts(remote, connect, reply):
    remote.script(reply(200, b"OK"))
    assert write_items(items=[KNOWN], context=connect(REST)) == [Written(key=(8,), action=Action.UPDATED)]


def test_a_create_without_the_id_that_updates_need_is_in_doubt(remote, connect, reply):
    remote.script(reply(201, {"data": {}}))
    (result,) = write_items(items=[NEW], context=connect(REST))
    assert result == Unknown(key=(7,), reason="POST /customers answered 201 without an id at 'data.id'")


def test_the_location_header_tells_an_id(remote, connect, reply):
    remote.script(reply(201, b"", {"Location": f"{remote.url}/v1/customers/a%2Fb/?x=1"}))
    (result,) = write_items(items=[NEW], context=connect(REST.replace("data.id", "header:Location")))
    assert result == Written(key=(7,), action=Action.CREATED, remote_id="a/b")


def test_without_an_id_the_key_is_remembered_so_that_nothing_is_created_twice(remote, connect):
    text = """
    endpoints:
      customers: {create: {path: /customers}, update: {path: "/customers/{key[0]}-{key[1]}"}}
    """
    context = connect(text)
    first = Change(key=(1, "b"), payload={})
    (result,) = write_items(items=[first], context=context)
    write_items(items=[attrs.evolve(first, remote_id=result.remote_id)], context=context)
    assert remote.paths == ["POST /v1/customers", "PUT /v1/customers/1-b"]


def test_an_item_without_a_route_is_rejected_and_its_neighbours_go(remote, connect):
    context = connect('endpoints: {customers: {upsert: {path: "/c/{key}"}}}')
    deleted, written = write_items(items=[DELETED, NEW], context=context)
    assert deleted.code == "no_delete"
    assert type(written) is Written
    assert remote.paths == ["PUT /v1/c/7"]


VERSIONED = """
endpoints:
  customers:
    upsert: {path: "/customers/{key}"}
    delete: {path: "/customers/{key}"}
    version: header:ETag
    if_match: true
    existing: details.existing
"""


def test_versions_guard_against_overwriting(remote, connect, reply):
    remote.respond = lambda received: reply(200, b"", {"ETag": '"v2"'})
    changes = [
        Change(key=(1,), payload={}),
        Change(key=(2,), payload={}, remote_version='"v1"'),
        Change(key=(3,), payload={}, remote_version="17"),
        Change(key=(4,), payload={}, previous={}),
    ]
    results = write_items(items=changes, context=connect(VERSIONED))
    assert {result.remote_version for result in results} == {'"v2"'}
    sent = [
        {name: r.headers[name] for name in ("If-Match", "If-None-Match") if name in r.headers} for r in remote.received
    ]
    assert sent == [{"If-None-Match": "*"}, {"If-Match": '"v1"'}, {"If-Match": '"17"'}, {}]


def test_a_conflict_shows_the_remotes_record(remote, connect, reply):
    remote.script(reply(412, {"details": {"existing": {"name": "Eve"}}}))
    (result,) = write_items(items=[NEW], context=connect(VERSIONED))
    assert result == Conflict(key=(7,), remote={"name": "Eve"})


def test_a_conflict_with_our_own_earlier_try_is_no_conflict(remote, connect, reply):
    remote.script(reply(412, {"details": {"existing": {"name": "Bjørn", "id": 7}}}, {"ETag": '"v9"'}))
    (result,) = write_items(items=[NEW], context=connect(VERSIONED))
    assert result == Written(key=(7,), action=Action.UNCHANGED, remote_version='"v9"')


def test_a_version_that_would_break_the_header_is_refused(remote, connect):
    change = Change(key=(1,), payload={}, remote_version='"1"\r\nX-Evil: 1')
    (result,) = write_items(items=[change], context=connect(VERSIONED))
    assert result.code == "bad_version"
    assert remote.received == []


def test_nothing_is_sent_behind_the_deadline(remote, connect):
    past = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(TransientError, match="deadline"):
        write_items(items=[NEW], context=attrs.evolve(connect(REST), deadline=past))
    assert remote.received == []


def test_the_deadline_shortens_the_wait_for_an_answer(remote, connect, reply):
    remote.script(reply(silent=True))
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    (result,) = write_items(items=[NEW], context=attrs.evolve(connect(REST, timeout=3600), deadline=soon))
    assert type(result) is Unknown


def test_a_payload_that_json_cannot_hold_is_rejected(remote, connect):
    changes = [Change(key=(1,), payload={"rate": float("nan")}), NEW]
    refused, written = write_items(items=changes, context=connect(REST.replace("data.id", "header:X-Id")))
    assert refused == Rejected(key=(1,), code="not_json", reason="field 'rate' is nan, which JSON cannot hold")
    assert type(written) is Unknown
    assert len(remote.received) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>Please log in</title>", "text/html; charset=utf-8"),
        (b"<p>Maintenance</p>", "text/html"),
        (b"\n<HTML><body>portal", None),
        (b'{"data": {"id": 4', "application/json"),
        (b'{"type": "about', "application/problem+json"),
    ],
)
@pytest.mark.parametrize("change", [KNOWN, DELETED])
def test_a_success_that_is_no_answer_of_the_remote_is_none(remote, connect, reply, body, kind, change):
    remote.script(reply(200, body, {"Content-Type": kind} if kind else {}))
    (result,) = write_items(items=[change], context=connect(REST))
    assert type(result) is Unknown
    assert "answered 200: " in result.reason


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "text/html"), (b"OK", "text/plain"), (b"<ok/>", "application/xml"), (b"{}", "text/html"), (b"", None)],
)
def test_a_success_may_say_little(remote, connect, reply, body, kind):
    remote.script(reply(200, body, {"Content-Type": kind} if kind else {}))
    (result,) = write_items(items=[KNOWN], context=connect(REST))
    assert type(result) is Written


def test_a_page_counts_as_a_success_where_the_settings_say_so(remote, connect, reply):
    remote.script(reply(200, b"<html>saved</html>", {"Content-Type": "text/html"}))
    settings = REST + "    statuses: {200: written}\n"
    (result,) = write_items(items=[KNOWN], context=connect(settings))
    assert type(result) is Written
