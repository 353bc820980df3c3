"""Records are read back in the fields that ``process_item`` gives, one by one, by their ids, and page by page."""

from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from contraflow.fingerprint import canonical
from contraflow_hookspecs import (
    Change,
    Gone,
    Item,
    PermanentError,
    RemoteItem,
    SystemicError,
    TransientError,
)
from contraflow_http import check_step, fetch_items, list_items, process_item, write_items

CUSTOMER = """
endpoints:
  customers:
    upsert: {path: "/c/{key}"}
    fields: {name: Name, city: address.City}
    wrap: data
    id: data.id
    version: header:ETag
    READ
"""
READ = 'read: {path: "/c/{key}", record: data, modified: changed}'
FETCH = 'fetch: {path: "/c?ids={remote_ids}", records: data, size: 2, version: rev, modified: changed}'


def customer(*, read=""):
    return CUSTOMER.replace("READ", read)


def changes(*numbers):
    return [Change(key=(number,), remote_id=str(number)) for number in numbers]


class Colour(enum.Enum):
    RED = "red"


ENTITY = {
    "text": "ä ",
    "nothing": None,
    "whole": 2.0,
    "part": 0.1 + 0.2,
    "minus": -0.0,
    "truth": True,
    "price": Decimal("1.50"),
    "day": date(2024, 2, 29),
    "moment": datetime(2024, 1, 1, 12, tzinfo=UTC),
    "id_": UUID(int=5),
    "colour": Colour.RED,
    "list": (1.0, {"a": None}),
    "bytes": b"x",
}


@pytest.mark.parametrize("decimals", ["text", "number"])
def test_what_was_written_is_read_as_it_was_processed(remote, connect, reply, decimals):
    """From a remote that keeps numbers as JavaScript does: 2.0 is 2."""
    text = 'endpoints: {customers: {upsert: {path: "/c/{key}"}, read: {path: "/c/{key}"}}}'
    context = connect(text, decimals=decimals)
    payload = process_item(item=Item(key=(1,), entity=ENTITY), context=context)
    write_items(items=[Change(key=(1,), payload=payload)], context=context)
    kept = json.loads(
        remote.received[-1].body, parse_float=lambda text: int(float(text)) if float(text).is_integer() else float(text)
    )
    remote.script(reply(200, {**kept, "theirs": 1}))
    (fetched,) = fetch_items(items=changes(1), context=context)
    assert canonical({name: fetched.payload[name] for name in payload}) == canonical(payload)


def test_one_record(remote, connect, reply):
    body = {"data": {"id": "c1", "name": "Ana", "changed": "2024-05-01T12:00:00Z"}}
    remote.script(reply(200, body, {"ETag": '"v"'}), reply(404))
    items = [Change(key=(1,)), *changes(2)]
    found, gone = fetch_items(items=items, context=connect(customer(read=READ)))
    assert found == RemoteItem(
        key=(1,),
        remote_id="c1",
        remote_version='"v"',
        payload={"name": "Ana"},
        modified=datetime(2024, 5, 1, 12, tzinfo=UTC),
    )
    assert gone == Gone(key=(2,))
    assert remote.paths == ["GET /v1/c/1", "GET /v1/c/2"]


def test_several_records(remote, connect, reply):
    def record(number, name):
        return {"id": number, "name": name, "rev": 7, "changed": 1714564800}

    remote.script(reply(200, {"data": [record(2, "Bo"), record(1, "Ana")]}), reply(200, {"data": []}))
    items = [Change(key=(9,)), *changes(1, 2, 3)]
    first, second, third = fetch_items(items=items, context=connect(customer(read=FETCH)))
    assert first == RemoteItem(
        key=(1,),
        remote_id="1",
        remote_version="7",
        payload={"name": "Ana"},
        modified=datetime(2024, 5, 1, 12, tzinfo=UTC),
    )
    assert second.payload == {"name": "Bo"}
    assert third == Gone(key=(3,))
    assert remote.paths == ["GET /v1/c?ids=1,2", "GET /v1/c?ids=3"]


def test_ids_stay_what_they_are(remote, connect, reply):
    remote.script(reply(200, {"data": []}))
    fetch_items(items=[Change(key=(1,), remote_id="a,b&c/d")], context=connect(customer(read=FETCH)))
    assert remote.paths == ["GET /v1/c?ids=a%2Cb%26c%2Fd"]


def test_names_are_mapped_back(remote, connect, reply):
    read = 'read: {path: "/c/{key}", fields: {name: props.full_name}}'
    remote.script(reply(200, {"props": {"full_name": "Ana"}, "name": "other", "city": "Brno"}))
    (found,) = fetch_items(items=changes(1), context=connect(customer(read=read)))
    assert found.payload == {"name": "Ana"}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {}, SystemicError),
        (429, {}, TransientError),
        (500, {}, TransientError),
        (400, {"message": "no"}, PermanentError),
        (200, [1], PermanentError),
        (200, b"<html>", PermanentError),
    ],
)
@pytest.mark.parametrize("read", [READ, FETCH], ids=["read", "fetch"])
def test_what_cannot_be_read(remote, connect, reply, read, status, body, error):
    remote.script(reply(status, body))
    with pytest.raises(error):
        fetch_items(items=changes(1), context=connect(customer(read=read)))


def test_an_answer_that_was_lost_may_be_asked_for_again(remote, connect, reply):
    remote.script(reply(hang_up=True))
    with pytest.raises(TransientError):
        fetch_items(items=changes(1), context=connect(customer(read=READ)))


PAGES = {
    "next": ("next: links.next", ["/v1/c", "/v1/c?p=2", "/v1/c?p=3"]),
    "link": ("next: header:Link", ["/v1/c", "/v1/c?p=2", "/v1/c?p=3"]),
    "cursor": ("cursor: mark, cursor_parameter: after", ["/v1/c", "/v1/c?after=2", "/v1/c?after=3"]),
    "page": ("page_parameter: page", ["/v1/c?page=1", "/v1/c?page=2", "/v1/c?page=3", "/v1/c?page=4"]),
    "offset": ("offset_parameter: skip", ["/v1/c", "/v1/c?skip=2", "/v1/c?skip=4", "/v1/c?skip=5"]),
}


@pytest.mark.parametrize(("setting", "asked"), PAGES.values(), ids=PAGES)
def test_pages(remote, connect, reply, setting, asked):
    pages = [[1, 2], [3, 4], [5], []]

    def page(number):
        more = number < 3
        body = {"data": [{"id": each, "name": f"n{each}"} for each in pages[number - 1]]}
        if more:
            body |= {"links": {"next": f"/v1/c?p={number + 1}"}, "mark": number + 1}
        return reply(200, body, {"Link": f'<{remote.url}/v1/c?p={number + 1}>; rel="next"'} if more else {})

    remote.script(*(page(number) for number in (1, 2, 3, 4)))
    found = list(list_items(context=connect(customer(read=f"list: {{path: /c, records: data, {setting}}}"))))
    assert [(each.key, each.remote_id, each.payload) for each in found] == [
        (None, str(number), {"name": f"n{number}"}) for number in (1, 2, 3, 4, 5)
    ]
    assert remote.paths == [f"GET {path}" for path in asked]


def test_one_page(remote, connect, reply):
    remote.script(reply(200, [{"id": 1}]))
    (found,) = list_items(context=connect(customer(read="list: {path: /c}")))
    assert found == RemoteItem(key=None, remote_id="1", payload={})


@pytest.mark.parametrize("next_page", ["/v1/c", "https://elsewhere.example/c"])
def test_pages_that_lead_nowhere(remote, connect, reply, next_page):
    remote.respond = lambda received: reply(200, {"data": [], "next": next_page})
    with pytest.raises(PermanentError):
        list(list_items(context=connect(customer(read="list: {path: /c, records: data, next: next}"))))
    assert len(remote.received) == 1


def test_without_a_way_to_read_that_is_said(remote, connect):
    context = connect(customer(), parameters={"conflicts": "ask"})
    for call in (lambda: fetch_items(items=changes(1), context=context), lambda: list(list_items(context=context))):
        with pytest.raises(PermanentError) as caught:
            call()
        assert caught.value.code == "not_supported"
    assert check_step(context=context) == [
        "'conflicts' needs to read the remote's records, and the endpoint has neither 'read' nor 'fetch'"
    ]
    assert check_step(context=connect(customer(read=READ), parameters={"conflicts": "ask"})) == []
    assert remote.received == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("fetch: {path: /c}", "must name {remote_ids} once"),
        ('list: {path: "/c/{key}"}', "names a value of one item"),
        ("list: {path: /c, cursor: mark}", "belong together"),
        ("list: {path: /c, next: next, page_parameter: page}", "found next and page_parameter"),
    ],
)
def test_settings_that_contradict_themselves(structure, setting, said):
    with pytest.raises(Exception, match="structuring") as caught:
        structure(customer(read=setting), url="https://crm.example")
    assert said in _text(caught.value)


def _text(error):
    return " ".join([str(error), *(_text(each) for each in getattr(error, "exceptions", ()))])
