"""The remote ids of parents go out as fields of the payload, by configuration alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

import contraflow_http
from contraflow.check import check
from contraflow.errors import ConfigError
from contraflow_hookspecs import Change, Item
from contraflow_http.settings import Settings

ORDERS = {"create": {"path": "/orders"}, "update": {"method": "PATCH", "path": "/orders/{remote_id}"}, "id": "id"}
CUSTOMERS = {"create": {"path": "/c"}, "update": {"method": "PATCH", "path": "/c/{remote_id}"}, "id": "id"}
CUSTOMER = {"key": ["customer_id"], "step": "customer"}


class Shop:
    """Customers and orders in the source, and a project that exports them to the remote."""

    def __init__(self, project: Any, remote: Any, reply: Any) -> None:
        self.project, self.remote, self.reply = project, remote, reply
        self.numbers = iter(range(71, 99))
        remote.respond = self.answer
        project.source.fill("customer", {"id": 1, "name": "Ana"})
        project.source.fill("orders", {"no": 5, "customer_id": 1}, {"no": 6, "customer_id": None})

    def answer(self, received: Any) -> Any:
        number = received.path.rpartition("/")[2] if received.method == "PATCH" else next(self.numbers)
        return self.reply(200, {"id": number})

    def connect(self, orders: dict[str, Any], reference: dict[str, Any] | None = None, **settings: Any) -> None:
        endpoints = {"customer": CUSTOMERS, "orders": {**ORDERS, **orders}}
        settings = {"url": self.remote.url, "endpoints": endpoints, **settings}
        self.project.connect(contraflow_http, name="http", settings=settings)
        services = {"reader": "entity.all", "processor": "http", "writer": "http"}
        steps = {name: {"services": dict(services), "parameters": {"entity": name}} for name in ("orders", "customer")}
        if reference is not None:
            steps["orders"]["parameters"]["references"] = {"customer": {**CUSTOMER, **reference}}
        self.project.define({"http": {"type": "export", "steps": steps}})

    def run(self, *steps: str) -> list[tuple[str, Any]]:
        """What a run sends."""
        before = len(self.remote.received)
        self.project.run(**({"steps": list(steps)} if steps else {}))
        return [(f"{each.method} {each.path}", each.json) for each in self.remote.received[before:]]


@pytest.fixture
def shop(contraflow_project: Any, remote: Any, reply: Any) -> Shop:
    return Shop(contraflow_project, remote, reply)


def test_a_child_waits_for_its_parent_and_carries_its_remote_id(shop: Shop) -> None:
    shop.connect({"fields": {"number": "no"}, "parents": {"owner": "customer"}}, {})
    assert shop.run("orders") == [("POST /orders", {"number": 6, "owner": None})]
    assert shop.run() == [
        ("POST /c", {"id": 1, "name": "Ana"}),
        ("POST /orders", {"number": 5, "owner": "72"}),
    ]
    assert shop.run() == []


def test_an_optional_parent_is_null_until_it_is_there_and_then_the_child_is_sent_again(shop: Shop) -> None:
    shop.connect({"fields": {"number": "no"}, "parents": {"owner": "customer"}}, {"required": False})
    assert [body for _, body in shop.run("orders")] == [{"number": 5, "owner": None}, {"number": 6, "owner": None}]
    assert shop.run() == [
        ("POST /c", {"id": 1, "name": "Ana"}),
        ("PATCH /orders/71", {"number": 5, "owner": "73"}),
    ]
    assert shop.run() == []


def test_a_child_is_sent_again_when_its_parents_remote_id_changes_or_the_parent_goes(shop: Shop) -> None:
    shop.connect({"fields": {"number": "no"}, "parents": {"owner": "customer"}}, {})
    shop.run()
    shop.remote.respond = lambda received: shop.reply(200, {"id": "new"})
    shop.project.source.change("customer", 1, name="Anna")
    shop.run("customer")
    shop.remote.respond = shop.answer
    assert shop.run() == [("PATCH /orders/72", {"number": 5, "owner": "new"})]
    shop.project.source.change("orders", 5, customer_id=None)
    assert shop.run() == [("PATCH /orders/72", {"number": 5, "owner": None})]


def test_only_the_parent_is_sent_where_only_it_changed(shop: Shop) -> None:
    update = {**ORDERS["update"], "only_changed": True}
    shop.connect({"update": update, "fields": {"no": "no"}, "parents": {"owner": "customer"}}, {"required": False})
    shop.run("orders")
    assert shop.run()[1:] == [("PATCH /orders/71", {"owner": "73"})]


def test_beside_every_column_the_remote_id_takes_the_place_of_our_own_key(shop: Shop) -> None:
    shop.connect({"parents": {"customer_id": "customer"}}, {})
    assert shop.run()[1:] == [
        ("POST /orders", {"no": 5, "customer_id": "71"}),
        ("POST /orders", {"no": 6, "customer_id": None}),
    ]


def test_a_path_may_lead_through_the_parent(shop: Shop) -> None:
    nested = {"create": {"path": "/customers/{owner}/orders"}, "fields": {"no": "no"}}
    shop.connect({**nested, "parents": {"owner": "customer"}}, {})
    assert shop.run()[1:] == [("POST /customers/71/orders", {"no": 5, "owner": "71"})]


def test_whole_numbers_are_sent_as_such_where_the_remote_wants_them(shop: Shop) -> None:
    shop.connect({"fields": {"no": "no"}, "parents": {"owner": "customer"}}, {}, parent_ids="number")
    assert shop.run()[1:][0] == ("POST /orders", {"no": 5, "owner": 71})


@pytest.mark.parametrize(
    ("remote_id", "sent"),
    [
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("007", "007"),
        ("-0", "-0"),
        ("7.0", "7.0"),
        ("\u0667", "\u0667"),
        ("a7", "a7"),
        ("9" * 19, "9" * 19),
    ],
)
def test_no_other_id_becomes_a_number(connect: Any, remote_id: str, sent: Any) -> None:
    text = "endpoints: {o: {create: {path: /o}, parents: {owner: customer}}}"
    item = Item(key=(1,), entity={"no": 5, "owner": object()}, parents={"customer": remote_id})
    payload = contraflow_http.process_item(item=item, context=connect(text, parent_ids="number"))
    assert payload == {"no": 5, "owner": sent}


def test_a_record_that_is_read_is_compared_in_the_parent_as_well(connect: Any, remote: Any, reply: Any) -> None:
    text = "endpoints: {o: {create: {path: /o}, fields: {number: no}, parents: {owner: customer}, read: {path: '/o/{key}'}}}"
    remote.script(reply(200, {"number": 5, "owner": "71", "other": 1}))
    (fetched,) = contraflow_http.fetch_items(items=[Change(key=(1,), remote_id="1")], context=connect(text))
    assert fetched.payload == {"number": 5, "owner": "71"}


@pytest.mark.parametrize(
    ("reference", "wanted", "expected"),
    [
        ({}, "custmer", "one of customer; did you mean 'customer'?"),
        ({}, "site", "one of customer"),
        (None, "customer", "one of the step's 'references', and it has none"),
    ],
)
def test_an_unknown_reference_is_refused_by_check_and_before_a_run(
    shop: Shop, reference: Any, wanted: str, expected: str
) -> None:
    shop.connect({"parents": {"owner": wanted}}, reference)
    with shop.project.load() as project:
        (problem,) = [each for finding in check(project) for each in finding.problems]
    said = f"step 'orders': endpoints.orders.parents.owner: no reference '{wanted}'; expected {expected}"
    assert problem.message == said
    assert re.search(r"jobs\.yml:\d+", str(problem))
    with pytest.raises(ConfigError, match=re.escape(said)):
        shop.run()
    assert shop.remote.received == []


def test_a_field_cannot_be_both(structure: Any) -> None:
    text = "endpoints: {o: {create: {path: /o}, fields: {a: b}, parents: {a: customer}}}"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - cattrs raises a group
        structure(text, url="http://x")
    assert "endpoint: 'a' is in fields and in parents" in str(raised.value.exceptions[0].exceptions[0].exceptions[0])


def test_editors_are_told() -> None:
    from contraflow.settings_schema import settings_schema

    definitions: dict[str, Any] = {}
    settings_schema(Settings, definitions)
    endpoint = definitions["contraflow_http.settings.Endpoint"]["properties"]["parents"]
    assert endpoint["type"] == "object"
    assert endpoint["description"].startswith("Payload field: one of the step's references")
    assert definitions["contraflow_http.settings.Settings"]["properties"]["parent_ids"]["enum"] == ["text", "number"]
