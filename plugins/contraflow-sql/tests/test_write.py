"""What arrives in the tables, and what is reported of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import Action, Change, Gone, Item, Rejected, Written

CONTACTS = {"customer": {"table": "contacts", "key": {"contact_no": 1}}}


def mode(name: str) -> dict[str, Any]:
    return {"customer": {**CONTACTS["customer"], "mode": name}}


def test_upsert_creates_the_new_and_updates_the_known(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 2, "name": "old", "email": "b@x"})
    results = warehouse.write(CONTACTS, [upsert(1, name="Ana"), upsert(2, name="Bo")])
    assert results[(1,)] == Written(key=(1,), action=Action.CREATED, remote_id="1")
    assert results[(2,)] == Written(key=(2,), action=Action.UPDATED, remote_id="2")
    assert warehouse.rows(contacts, "contact_no", "name", "email") == [(1, "Ana", None), (2, "Bo", "b@x")]


def test_the_same_chunk_twice_leaves_the_same_rows(warehouse, contacts, upsert):
    chunk = [upsert(number, name=f"n{number}", balance=Decimal("1.50")) for number in range(300)]
    first = warehouse.write(CONTACTS, chunk)
    rows = warehouse.rows(contacts)
    second = warehouse.write(CONTACTS, chunk)
    assert warehouse.rows(contacts) == rows
    assert len(rows) == 300
    assert {result.action for result in first.values()} == {Action.CREATED}
    assert {result.action for result in second.values()} == {Action.UPDATED}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name"}, ("Ana", "theirs", "old")),
        ({"name", "notes"}, ("Ana", "theirs", "new")),
        ({"gone"}, ("Ana", "a@x", "new")),
        (set(), ("Ana", "a@x", "new")),
        (None, ("Ana", "a@x", "new")),
    ],
)
def test_an_update_sets_only_what_changed(warehouse, contacts, upsert, changed, expected):
    tables = {"customer": {**CONTACTS["customer"], "only_changed": True}}
    warehouse.insert(contacts, {"contact_no": 1, "name": "A", "email": "theirs", "notes": "old"})
    known = None if changed is None else frozenset(changed)
    change = attrs.evolve(upsert(1, name="Ana", email="a@x", notes="new"), changed=known)
    new = attrs.evolve(upsert(2, name="Bo", email="b@x", notes="n"), changed=frozenset({"name"}))
    results = warehouse.write(tables, [change, new])
    assert [results[key].action for key in ((1,), (2,))] == [Action.UPDATED, Action.CREATED]
    rows = warehouse.rows(contacts, "name", "email", "notes")
    assert rows == [expected, ("Bo", "b@x", "n")]  # what is not there is made whole


def test_create_leaves_a_known_row_alone(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 2, "name": "old"})
    results = warehouse.write(mode("create"), [upsert(1, name="Ana"), upsert(2, name="Bo")])
    assert results[(1,)].action is Action.CREATED
    assert (type(results[(2,)]), results[(2,)].code) == (Rejected, "exists")
    assert warehouse.rows(contacts, "contact_no", "name") == [(1, "Ana"), (2, "old")]


def test_update_reports_a_missing_row_as_gone(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 2, "name": "old"})
    results = warehouse.write(mode("update"), [upsert(1, name="Ana"), upsert(2, name="Bo")])
    assert results == {(1,): Gone(key=(1,)), (2,): Written(key=(2,), action=Action.UPDATED, remote_id="2")}
    assert warehouse.rows(contacts, "contact_no", "name") == [(2, "Bo")]


def test_delete_of_a_row_and_of_a_missing_one(warehouse, contacts, delete):
    warehouse.insert(contacts, {"contact_no": 1}, {"contact_no": 2})
    results = warehouse.write(CONTACTS, [delete(1), delete(9)])
    assert [result.action for result in results.values()] == [Action.DELETED, Action.DELETED]
    assert warehouse.rows(contacts, "contact_no") == [(2,)]


def test_composite_keys(warehouse, delete):
    entries = warehouse.create(
        "entries",
        sa.Column("list_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(20), primary_key=True),
        sa.Column("place", sa.Integer),
    )
    warehouse.insert(entries, {"list_no": 1, "code": "a,b", "place": 0}, {"list_no": 2, "code": "a,b", "place": 0})
    chunk = [
        Change(key=key, payload={"list_no": key[0], "code": key[1], "place": 5})
        for key in ((1, "a,b"), (1, "ü"), (3, '"]'))
    ]
    tables = {"entry": {"table": "entries"}}
    results = warehouse.write(tables, chunk)
    assert [results[change.key].action for change in chunk] == [Action.UPDATED, Action.CREATED, Action.CREATED]
    assert warehouse.rows(entries) == [(1, "a,b", 5), (1, "ü", 5), (2, "a,b", 0), (3, '"]', 5)]
    written = [delete(*key, remote_id=results[key].remote_id) for key in ((1, "ü"), (3, '"]'))]
    warehouse.write(tables, written)
    assert warehouse.rows(entries) == [(1, "a,b", 5), (2, "a,b", 0)]


def test_a_table_of_nothing_but_its_key(warehouse):
    pairs = warehouse.create(
        "pairs",
        sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("b", sa.Integer, primary_key=True, autoincrement=False),
    )
    chunk = [Change(key=(1, 2), payload={"a": 1, "b": 2})]
    assert warehouse.write({"pair": {"table": "pairs"}}, chunk)[(1, 2)].action is Action.CREATED
    assert warehouse.write({"pair": {"table": "pairs"}}, chunk)[(1, 2)].action is Action.UNCHANGED
    assert warehouse.rows(pairs) == [(1, 2)]


def test_every_kind_of_value_arrives_as_it_was(warehouse, contacts, upsert):
    payload = {
        "email": None,
        "name": "Łukasz Ünal 李 😀 'quoted\" \\ %s :x",
        "notes": "x" * 60_000,
        "balance": Decimal("12345678.91"),
        "born": date(1815, 12, 10),
        "seen": datetime(2024, 3, 31, 2, 30, tzinfo=timezone(timedelta(hours=2))),
        "active": False,
    }
    warehouse.write(CONTACTS, [upsert(1, **payload)])
    (row,) = warehouse.rows(contacts)
    seen = row[6] if row[6].tzinfo else row[6].replace(tzinfo=UTC)
    assert (*row[:6], seen, row[7]) == (1, *payload.values())


def test_decimals_that_no_float_can_hold(warehouse):
    """They arrive to the last digit; SQLite, which would keep 15 digits and say nothing, is not given them."""
    ledger = warehouse.create(
        "ledger", sa.Column("no", sa.Integer, primary_key=True), sa.Column("amount", sa.Numeric(30, 10))
    )
    amount = Decimal("12345678901234567890.0123456789")
    change = Change(key=(1,), payload={"no": 1, "amount": amount})
    result = warehouse.write({"x": {"table": "ledger"}}, [change])[(1,)]
    if warehouse.backend == "sqlite":
        assert result == Rejected(
            key=(1,), code="data", reason="amount: a number with more digits than SQLite can keep"
        )
    else:
        assert warehouse.rows(ledger) == [(1, amount)]


def test_uuids_in_text_columns_and_zero_as_key(warehouse):
    things = warehouse.create(
        "things",
        sa.Column("no", sa.Integer, primary_key=True),  # generates numbers, and must not for a 0
        sa.Column("dashed", sa.String(36)),
        sa.Column("plain", sa.CHAR(32)),
        sa.Column("native", sa.Uuid),
    )
    value = UUID("12345678-1234-5678-1234-567812345678")
    payload = {"no": 0, "dashed": value, "plain": value, "native": value}
    warehouse.write({"x": {"table": "things"}}, [Change(key=(0,), payload=payload)])
    assert warehouse.rows(things) == [(0, str(value), value.hex, value)]


def test_structures_in_json_columns(warehouse):
    """With what JSON lacks as text; a missing value is NULL, not JSON's null."""
    things = warehouse.create("things", sa.Column("no", sa.Integer, primary_key=True), sa.Column("data", sa.JSON))
    data = {"tags": ["ü", 1, None], "on": date(2024, 1, 2), "price": Decimal("1.50")}
    chunk = [Change(key=(number,), payload={"no": number, "data": value}) for number, value in ((1, data), (2, None))]
    warehouse.write({"x": {"table": "things"}}, chunk)
    assert warehouse.rows(things)[0] == (1, {"tags": ["ü", 1, None], "on": "2024-01-02", "price": "1.50"})
    with warehouse.engine.connect() as connection:
        count = "SELECT count(*) FROM things WHERE data IS NULL"
        assert connection.exec_driver_sql(count).scalar_one() == 1


def test_columns_that_the_payload_leaves_out_keep_their_values(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 1, "name": "Ana", "notes": "kept"})
    warehouse.write(CONTACTS, [upsert(1, name="Bea"), upsert(2, notes="new")])
    assert warehouse.rows(contacts, "contact_no", "name", "notes") == [(1, "Bea", "kept"), (2, None, "new")]


def test_identifiers_of_a_real_schema_may_be_hostile(warehouse):
    name = 'x"; DROP TABLE t;--' if warehouse.backend != "mysql" else "x`; DROP TABLE t;--"
    column = "c%(a)s:b?\"'--"
    hostile = warehouse.create(name, sa.Column("id", sa.Integer, primary_key=True), sa.Column(column, sa.Text))
    tables = {"x": {"table": name, "columns": {column: "A"}}}
    for value in ("'; DROP TABLE t;--", "again"):
        warehouse.write(tables, [Change(key=(1,), payload={"id": 1, column: value})])
    assert warehouse.rows(hostile) == [(1, "again")]


def test_two_items_of_one_row_in_a_chunk(warehouse, contacts):
    """The target's key is another than the item's, and two items share it: the second is not silently the winner."""
    tables = {"customer": {"table": "contacts", "key": {"email": "Email"}}}
    chunk = [Change(key=(n,), payload={"email": "a@x", "contact_no": n}) for n in (1, 2)]
    results = warehouse.write(tables, chunk)
    assert results[(1,)] == Written(key=(1,), action=Action.CREATED, remote_id="a@x")
    assert (type(results[(2,)]), results[(2,)].code) == (Rejected, "duplicate")
    assert warehouse.rows(contacts, "contact_no") == [(1,)]


def test_a_key_that_passes_from_a_deleted_item_to_a_living_one(warehouse, contacts, delete):
    tables = {"customer": {"table": "contacts", "key": {"email": "Email"}}}
    warehouse.insert(contacts, {"contact_no": 1, "email": "a@x"})
    living = Change(key=(2,), payload={"email": "a@x", "contact_no": 2})
    warehouse.write(tables, [living, delete(1, remote_id="a@x")])
    assert warehouse.rows(contacts, "contact_no", "email") == [(2, "a@x")]


def test_a_delete_that_names_no_row_deletes_none(warehouse, contacts, delete):
    """The item's key 1 is not the contact's number here, although it looks like one."""
    tables = {"customer": {"table": "contacts", "key": {"contact_no": "ParentId"}}}
    warehouse.insert(contacts, {"contact_no": 1})
    results = warehouse.write(tables, [delete(1)])
    assert (type(results[(1,)]), results[(1,)].code) == (Rejected, "key")
    assert "key: {contact_no: 1}" in results[(1,)].reason
    assert warehouse.rows(contacts, "contact_no") == [(1,)]


@pytest.mark.parametrize("known", [{"remote_id": "5"}, {"previous": {"contact_no": 5}}])
def test_a_delete_finds_the_row_by_what_was_written_before(warehouse, contacts, delete, known):
    tables = {"customer": {"table": "contacts", "key": {"contact_no": "ParentId"}}}
    warehouse.insert(contacts, {"contact_no": 1}, {"contact_no": 5})
    warehouse.write(tables, [delete(1, **known)])
    assert warehouse.rows(contacts, "contact_no") == [(1,)]


def test_keys_that_the_database_alone_holds_equal(mysql):
    """Created and updated are told apart by the database's own idea of equality."""
    codes = mysql.create("codes", sa.Column("code", sa.String(20), primary_key=True), sa.Column("n", sa.Integer))
    mysql.insert(codes, {"code": "abc", "n": 0})
    chunk = [Change(key=(code,), payload={"code": code, "n": 1}) for code in ("ABC", "x")]
    results = mysql.write({"x": {"table": "codes"}}, chunk)
    assert [results[change.key].action for change in chunk] == [Action.UPDATED, Action.CREATED]
    assert [n for (n,) in mysql.rows(codes, "n")] == [1, 1]


def test_another_unique_column_never_leads_to_another_row(warehouse, contacts, upsert):
    """MySQL's ON DUPLICATE KEY would update contact 1 here."""
    warehouse.insert(contacts, {"contact_no": 1, "email": "a@x", "name": "Ana"})
    results = warehouse.write(CONTACTS, [upsert(2, email="a@x", name="Bo")])
    assert (type(results[(2,)]), results[(2,)].code) == (Rejected, "integrity")
    assert "a@x" not in results[(2,)].reason
    assert warehouse.rows(contacts, "contact_no", "name") == [(1, "Ana")]


@pytest.mark.parametrize("warehouse", ["postgresql", "mysql"], indirect=True)
def test_schema_of_its_own(warehouse, upsert):
    schema = f"contraflow_sql_{uuid4().hex[:12]}"
    word, end = ("SCHEMA", " CASCADE") if warehouse.backend == "postgresql" else ("DATABASE", "")
    warehouse.execute(f"CREATE {word} {schema}")
    try:
        table = sa.Table("people", sa.MetaData(schema=schema), sa.Column("contact_no", sa.Integer, primary_key=True))
        table.create(warehouse.engine)
        warehouse.write({"customer": {"table": "people"}}, [upsert(1)], schema=schema)
        assert warehouse.rows(table) == [(1,)]
    finally:
        warehouse.execute(f"DROP {word} {schema}{end}")


def test_process_and_write_agree(warehouse, contacts):
    entity = {"Email": "a@x", "address": {"city": {"name": "Łódź"}}}
    tables = {
        "customer": {
            "table": "contacts",
            "key": {"contact_no": 1},
            "columns": {"email": "Email", "name": "address.city.name"},
        }
    }
    with warehouse.step(tables) as context:
        payload = contraflow_sql.process_item(item=Item(key=(7,), entity=entity), context=context)
        contraflow_sql.write_items(items=[Change(key=(7,), payload=payload)], context=context)
    assert warehouse.rows(contacts, "contact_no", "email", "name") == [(7, "a@x", "Łódź")]
