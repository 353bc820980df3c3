"""The remote ids of parents go into columns, by configuration alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow.check import check
from contraflow.errors import ConfigError
from contraflow_hookspecs import Change, Item, ItemError, SystemicError
from contraflow_sql import SqlSettings

CONTACTS = {"table": "contacts", "key": {"contact_no": 1}, "columns": {"name": "name", "email": "email"}}
DEALS = {"table": "deals", "key": {"deal_no": 1}, "columns": {"total": "total"}, "parents": {"contact_id": "customer"}}
CUSTOMER = {"key": ["customer_id"], "step": "customer"}


class Shop:
    """Customers and orders in the source, and a project that exports them to the warehouse, which knows Ana as 90."""

    def __init__(self, project: Any, warehouse: Any) -> None:
        self.project, self.warehouse = project, warehouse
        warehouse.execute(
            "CREATE TABLE contacts (contact_no INTEGER PRIMARY KEY, name TEXT, email TEXT)",
            "CREATE TABLE deals (deal_no INTEGER PRIMARY KEY, total INTEGER, "
            "contact_id INTEGER REFERENCES contacts (contact_no))",
            "INSERT INTO contacts VALUES (90, 'A.', 'ana@x')",
        )
        project.source.fill("customer", {"id": 1, "name": "Ana", "email": "ana@x"})
        project.source.fill(
            "orders",
            {"no": 5, "total": 10, "customer_id": 1, "seen": 1},
            {"no": 6, "total": 20, "customer_id": None, "seen": 1},
            key="no",
        )

    def connect(self, deals: dict[str, Any], reference: dict[str, Any] | None = None, **parameters: Any) -> None:
        tables = {"customer": {**CONTACTS, "find": ["email"]}, "orders": {**DEALS, **deals}}
        self.project.connect(contraflow_sql, name="sql", settings={"url": self.warehouse.url, "tables": tables})
        orders = {"entity": "orders", **parameters}
        if reference is not None:
            orders["references"] = {"customer": {**CUSTOMER, **reference}}
        reader = "entity.changed" if "cursor" in parameters else "entity.all"
        steps = {
            "orders": {"services": {"reader": reader, "processor": "sql", "writer": "sql"}, "parameters": orders},
            "customer": {
                "services": {"reader": "entity.all", "processor": "sql", "writer": "sql"},
                "parameters": {"entity": "customer", "adopt": True},
            },
        }
        self.project.define({"sql": {"type": "export", "steps": steps}})

    def deals(self) -> list[tuple[Any, ...]]:
        with self.warehouse.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM deals ORDER BY 1")]

    def written(self, *steps: str, **request: Any) -> int:
        """How many rows a run writes."""
        return int(self.project.run(**({"steps": list(steps)} if steps else {}), **request).counts.get("written", 0))


@pytest.fixture
def shop(contraflow_project: Any, sqlite: Any) -> Shop:
    return Shop(contraflow_project, sqlite)


def test_a_child_waits_for_its_parent_and_carries_its_remote_id(shop: Shop) -> None:
    shop.connect({}, {})
    assert shop.written("orders") == 1
    assert shop.deals() == [(6, 20, None)]
    assert shop.written() == 2
    assert shop.deals() == [(5, 10, 90), (6, 20, None)]
    assert shop.written() == 0


def test_an_optional_parent_is_null_until_it_is_there_and_then_the_child_is_sent_again(shop: Shop) -> None:
    shop.connect({"only_changed": True}, {"required": False})
    assert shop.written("orders") == 2
    assert shop.deals() == [(5, 10, None), (6, 20, None)]
    assert shop.written() == 2  # the customer, and the one order that is its
    assert shop.deals() == [(5, 10, 90), (6, 20, None)]
    assert shop.written() == 0


def test_so_it_is_where_only_what_changed_is_read(shop: Shop) -> None:
    shop.connect({}, {"required": False}, cursor="seen", overlap=0)
    shop.project.source.fill("orders", {"no": 7, "total": 30, "customer_id": None, "seen": 2})
    shop.written("orders", everything=False)
    execution = shop.project.run(everything=False)
    # Two of three orders: the one behind which the cursor stands, and the one whose parent has come.
    assert [(step.step, step.counts["read"]) for step in execution.steps] == [("customer", 1), ("orders", 2)]
    assert shop.deals() == [(5, 10, 90), (6, 20, None), (7, 30, None)]


def test_a_child_is_sent_again_when_its_parents_remote_id_changes_or_the_parent_goes(shop: Shop) -> None:
    shop.connect({}, {})
    shop.written()
    shop.warehouse.execute("INSERT INTO contacts VALUES (91, 'A.', 'ana@y')")
    with shop.project.load() as project:
        project.relink("sql", 1, "91", step="customer")
    assert shop.written() == 2
    assert shop.deals() == [(5, 10, 91), (6, 20, None)]
    shop.project.source.change("orders", 5, customer_id=None)
    assert shop.written() == 1
    assert shop.deals() == [(5, 10, None), (6, 20, None)]


def test_beside_all_columns_the_remote_id_takes_the_place_of_our_own_key(shop: Shop) -> None:
    shop.warehouse.execute(
        "DROP TABLE deals", "CREATE TABLE deals (no INTEGER PRIMARY KEY, total INTEGER, customer_id INTEGER)"
    )
    table = {"key": {"no": 1}, "parents": {"customer_id": "customer"}, "columns": None}
    shop.connect(table, {})
    shop.written()
    assert shop.deals() == [(5, 10, 90), (6, 20, None)]


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
    shop.connect({"parents": {"contact_id": wanted}}, reference)
    with shop.project.load() as project:
        (problem,) = [each for finding in check(project) for each in finding.problems]
    said = f"step 'orders': tables.orders.parents.contact_id: no reference '{wanted}'; expected {expected}"
    assert problem.message == said
    assert re.search(r"jobs\.yml:\d+", str(problem))
    with pytest.raises(ConfigError, match=re.escape(said)):
        shop.written()
    assert shop.deals() == []


@pytest.mark.parametrize(
    ("kind", "remote_id", "kept"),
    [
        (sa.Integer(), "90", 90),
        (sa.Text(), "90", "90"),
        (sa.Text(), '["eu", "7"]', '["eu", "7"]'),
        (sa.LargeBinary(), "00ff", b"\x00\xff"),
    ],
    ids=["number", "text", "several columns", "bytes"],
)
def test_the_remote_id_is_fitted_to_its_column_and_read_again(
    warehouse: Any, kind: Any, remote_id: str, kept: Any
) -> None:
    table = warehouse.create("deals", sa.Column("deal_no", sa.Integer, primary_key=True), sa.Column("contact_id", kind))
    item = Item(key=(5,), entity={"contact_id": object()}, parents={"customer": remote_id})
    for columns in (None, {}):
        with warehouse.step({"orders": {**DEALS, "columns": columns}}) as context:
            payload = contraflow_sql.process_item(item=item, context=context)
            change = Change(key=(5,), payload=payload)
            contraflow_sql.write_items(items=[change], context=context)
            (fetched,) = contraflow_sql.fetch_items(items=[change], context=context)
        assert payload == fetched.payload == {"deal_no": 5, "contact_id": kept}
    assert warehouse.rows(table) == [(5, kept)]


def test_a_remote_id_that_does_not_fit_rejects_the_item(shop: Shop) -> None:
    item = Item(key=(5,), entity={"total": 1}, parents={"customer": "ana"})
    with (
        shop.warehouse.step({"orders": DEALS}) as context,
        pytest.raises(ItemError, match=r"^contact_id: the remote id of the parent: ") as raised,
    ):
        contraflow_sql.process_item(item=item, context=context)
    assert raised.value.code == "data"


def test_a_row_may_be_found_by_its_parent(warehouse: Any) -> None:
    table = warehouse.create(
        "deals",
        sa.Column("deal_no", sa.Integer, primary_key=True),
        sa.Column("contact_id", sa.Integer, nullable=False),
    )
    warehouse.insert(table, {"deal_no": 40, "contact_id": 90})
    item = Item(key=(5,), entity={}, parents={"customer": "90"})
    with warehouse.step({"orders": {**DEALS, "columns": {}, "find": ["contact_id"]}}) as context:
        payload = contraflow_sql.process_item(item=item, context=context)
        (found,) = contraflow_sql.find_items(items=[Change(key=(5,), payload=payload)], context=context)
    assert found.remote_id == "40"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"parents": {"contact": "customer"}}, "no column 'contact' in table 'deals'; did you mean 'contact_id'?"),
        ({"parents": {"deal_no": "customer"}, "key": None}, "column 'deal_no' of table 'deals' is in the key"),
    ],
)
def test_columns_that_no_parent_can_fill_are_refused(shop: Shop, table: dict[str, Any], message: str) -> None:
    with (
        pytest.raises(SystemicError, match=f"^tables.orders.parents: {re.escape(message)}"),
        shop.warehouse.step({"orders": {**DEALS, **table}}),
    ):
        pass


def test_editors_are_told() -> None:
    from contraflow.settings_schema import settings_schema

    definitions: dict[str, Any] = {}
    settings_schema(SqlSettings, definitions)
    parents = definitions["contraflow_sql.settings.TableSettings"]["properties"]["parents"]
    assert parents["type"] == "object"
    assert parents["description"].startswith("Target column -> one of the step's references")
