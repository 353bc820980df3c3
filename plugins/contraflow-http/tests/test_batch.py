"""One request for many changes: requests within a request, and bare records."""

from __future__ import annotations

import pytest

from contraflow_hookspecs import (
    Action,
    Change,
    Conflict,
    Deferred,
    Operation,
    PermanentError,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    Written,
)
from contraflow_http import write_items

REQUESTS = """
idempotency_header: Idempotency-Key
batch: {path: /batch, size: 3, extra: {defaults: {headers: {X-Run: "1"}}}}
endpoints:
  customers:
    upsert: {path: "/customers/{key}"}
    delete: {path: "/customers/{key}"}
    wrap: data
    id: data.id
    version: header:etag
    error: message
"""

RECORDS = """
endpoints:
  customers:
    batch: {path: /customers/bulk, form: records, size: 3}
    delete: {path: "/customers/{key}"}
    id: id
    error: error.text
"""


def changes(*numbers: int) -> list[Change]:
    return [Change(key=(n,), payload={"n": n}, idempotency_key=f"cf1-{n}") for n in numbers]


def accept_all(reply):
    """A remote that carries out every request of a batch."""

    def respond(received):
        answers = [
            {"status": 201, "headers": {"ETag": f'"{r["path"]}"'}, "body": r["body"]} for r in received.json["requests"]
        ]
        return reply(200, {"responses": answers})

    return respond


def test_a_batch_of_requests_carries_each_change_whole(remote, connect, reply):
    answers = [
        {"status": 201, "headers": {"ETag": '"v1"'}, "body": {"data": {"id": "a"}}},
        {"status": 404, "body": {"message": "no such customer"}},
    ]
    remote.script(reply(200, {"responses": answers}))
    delete = Change(key=("x/y",), operation=Operation.DELETE)
    results = write_items(items=[*changes(1), delete], context=connect(REQUESTS))
    assert results == [
        Written(key=(1,), action=Action.CREATED, remote_id="a", remote_version='"v1"'),
        Written(key=("x/y",), action=Action.DELETED),
    ]
    (received,) = remote.received
    assert (received.method, received.path) == ("POST", "/v1/batch")
    assert received.json == {
        "defaults": {"headers": {"X-Run": "1"}},
        "requests": [
            {
                "method": "PUT",
                "path": "/customers/1",
                "headers": {"Idempotency-Key": "cf1-1"},
                "body": {"data": {"n": 1}},
            },
            {"method": "DELETE", "path": "/customers/x%2Fy"},
        ],
    }


def test_each_change_of_a_batch_has_a_fate_of_its_own(remote, connect, reply):
    statuses = [412, 422, 503]
    remote.script(
        reply(
            200,
            {"responses": [{"status": s, "body": {"message": "no"}, "headers": {"retry-after": 4}} for s in statuses]},
        )
    )
    results = write_items(items=changes(1, 2, 3), context=connect(REQUESTS))
    assert [type(result) for result in results] == [Conflict, Rejected, Deferred]
    assert results[1].reason == "PUT /customers/2 answered 422: no"
    assert results[2].retry_after == 4


def test_a_chunk_goes_in_batches_of_the_given_size(remote, connect, reply):
    remote.respond = accept_all(reply)
    results = write_items(items=changes(*range(7)), context=connect(REQUESTS))
    assert [len(received.json["requests"]) for received in remote.received] == [3, 3, 1]
    assert {type(result) for result in results} == {Written}


def test_a_refused_request_within_a_batch_stops_what_follows_and_loses_nothing(remote, connect, reply):
    remote.script(reply(200, {"responses": [{"status": 200}, {"status": 403}, {"status": 200}]}))
    results = {result.key: type(result) for result in write_items(items=changes(1, 2, 3, 4), context=connect(REQUESTS))}
    assert results == {(1,): Written, (2,): Deferred, (3,): Written, (4,): Deferred}


def test_a_batch_in_which_every_request_is_refused_is_systemic(remote, connect, reply):
    remote.script(reply(200, {"responses": [{"status": 403}, {"status": 403}]}))
    with pytest.raises(SystemicError, match="PUT /customers/2 answered 403"):
        write_items(items=changes(1, 2), context=connect(REQUESTS))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PermanentError),
        (413, PermanentError),
        (401, SystemicError),
        (404, SystemicError),
        (405, SystemicError),
        (429, TransientError),
        (503, TransientError),
    ],
)
def test_a_batch_refused_as_a_whole_is_raised(remote, connect, reply, status, error):
    remote.script(reply(status, {"message": "no"}))
    with pytest.raises(error, match=f"POST /batch answered {status}: no"):
        write_items(items=changes(1, 2), context=connect(REQUESTS))


def test_a_later_batch_refused_as_a_whole_does_not_lose_the_results_before_it(remote, connect, reply):
    accept = accept_all(reply)
    remote.respond = lambda received: accept(received) if len(remote.received) == 1 else reply(400)
    results = write_items(items=changes(1, 2, 3, 4, 5), context=connect(REQUESTS))
    assert [type(result) for result in results] == [Written] * 3 + [Deferred] * 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (200, b"<html>a proxy's page</html>"),
        (200, {"answers": []}),
        (200, {"responses": [{"status": 200}]}),
        (200, {"responses": [{}, {"status": "odd"}]}),
    ],
)
def test_a_batch_whose_answer_tells_nothing_is_in_doubt(remote, connect, reply, status, body):
    remote.script(reply(status, body))
    results = write_items(items=changes(1, 2), context=connect(REQUESTS))
    assert [type(result) for result in results] == [Unknown, Unknown]


def test_records_go_as_a_bare_list_and_are_matched_by_position(remote, connect, reply):
    remote.script(reply(207, [{"id": 11}, {"error": {"text": "no name"}}]))
    results = write_items(items=changes(1, 2), context=connect(RECORDS))
    assert remote.received[0].json == [{"n": 1}, {"n": 2}]
    assert results == [
        Written(key=(1,), action=Action.CREATED, remote_id="11"),
        Rejected(key=(2,), code="refused", reason="POST /customers/bulk: no name"),
    ]


def test_deletes_go_alone_beside_a_batch_of_records(remote, connect, reply):
    remote.script(reply(200, [{}]), reply(404))
    deleted = Change(key=(5,), operation=Operation.DELETE)
    results = write_items(items=[deleted, *changes(1)], context=connect(RECORDS))
    assert {result.key: result.action for result in results} == {(5,): Action.DELETED, (1,): Action.CREATED}
    assert remote.paths == ["POST /v1/customers/bulk", "DELETE /v1/customers/5"]


KEYED = """
endpoints:
  customers:
    batch:
      path: /import
      form: records
      list: customers
      extra: {mode: upsert}
      key_field: ref
      key: "{key[0]}-{key[1]}"
      id_field: id
      results: result.items
      match: ref
      status: state
      outcomes: {created: written, invalid: rejected, busy: deferred}
      upsert: true
    id: id
    error: why
"""


def test_records_are_matched_by_key_and_words_tell_their_fate(remote, connect, reply):
    items = [
        {"ref": "1-d", "state": 422, "why": "too long"},
        {"ref": "1-b", "state": "invalid", "why": "no mail"},
        {"ref": "1-a", "state": "created", "id": 9},
        {"ref": "1-c", "state": "busy"},
        {"ref": "1-f", "state": "created"},
        {"ref": "1-f", "state": "invalid"},
        {"ref": "1-g", "state": "marvellous"},
        {"ref": "stranger", "state": "created"},
    ]
    remote.script(reply(200, {"result": {"items": items}}))
    sent = [
        Change(key=(1, letter), payload={"x": letter}, remote_id="r" if letter == "b" else None) for letter in "abcdefg"
    ]
    results = write_items(items=sent, context=connect(KEYED))
    assert [type(result) for result in results] == [Written, Rejected, Deferred, Rejected, Unknown, Unknown, Unknown]
    assert (results[0].remote_id, results[1].code, results[3].code) == ("9", "refused", "http_422")
    body = remote.received[0].json
    assert body["mode"] == "upsert"
    assert body["customers"][:2] == [{"x": "a", "ref": "1-a"}, {"x": "b", "ref": "1-b", "id": "r"}]


def test_a_flag_tells_the_fate_of_a_record(remote, connect, reply):
    remote.script(reply(200, [{"ok": True}, {"ok": False, "error": {"text": "why not"}}, {}]))
    context = connect(RECORDS.replace("size: 3", "size: 3, ok: ok"))
    results = write_items(items=changes(1, 2, 3), context=context)
    assert [type(result) for result in results] == [Written, Rejected, Unknown]


def test_a_bulk_endpoint_without_outcomes_succeeds_as_a_whole(remote, connect, reply):
    remote.script(reply(204))
    context = connect(RECORDS.replace("size: 3", "size: 3, per_item: false"))
    assert [type(result) for result in write_items(items=changes(1, 2), context=context)] == [Written, Written]


def test_a_page_of_html_is_no_success_of_a_batch(remote, connect, reply):
    settings = """
    timeout: 2
    endpoints:
      customers: {batch: {path: /bulk, form: records, per_item: false, key_field: id, upsert: true}}
    """
    remote.script(reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"}))
    changes = [Change(key=(number,), payload={"name": "Ana"}) for number in (1, 2)]
    results = write_items(items=changes, context=connect(settings))
    assert [type(result) for result in results] == [Unknown, Unknown]
    assert "a page of HTML" in results[0].reason
