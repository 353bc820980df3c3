"""What ``confirm_items`` says of changes in doubt."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import Action, Change, Deferred, Written

CONTACTS = {"customer": {"table": "contacts", "key": {"contact_no": 1}}}


def confirm(warehouse, tables, changes):
    with warehouse.step(tables) as context:
        results = contraflow_sql.confirm_items(items=changes, context=context)
    return {result.key: result for result in results}


def test_written_changes_are_confirmed_value_by_value(warehouse, contacts, upsert):
    full = {
        "email": "ä@x",
        "name": "Ana ",
        "notes": None,
        "balance": 0.1 + 0.2,
        "born": date(2000, 2, 29),
        "seen": datetime(2024, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
        "active": True,
    }
    chunk = [upsert(1, **full), upsert(2, balance=Decimal("7"))]
    warehouse.write(CONTACTS, chunk)
    assert confirm(warehouse, CONTACTS, chunk) == {
        (1,): Written(key=(1,), remote_id="1"),
        (2,): Written(key=(2,), remote_id="2"),
    }


def test_changes_that_did_not_arrive_are_deferred(warehouse, contacts, upsert, delete):
    warehouse.insert(contacts, {"contact_no": 1, "name": "old"}, {"contact_no": 3})
    changes = [upsert(1, name="new"), upsert(2), delete(3), delete(4), upsert(5, name="n" * 41)]
    results = confirm(warehouse, CONTACTS, changes)
    assert results == {
        (1,): Deferred(key=(1,), reason="column name of table 'contacts' holds another value"),
        (2,): Deferred(key=(2,), reason="no such row in table 'contacts'"),
        (3,): Deferred(key=(3,), reason="the row is still in table 'contacts'"),
        (4,): Written(key=(4,), action=Action.DELETED, remote_id="4"),
        (5,): Deferred(key=(5,), reason="name: text of 41 characters; the column keeps 40"),
    }
    assert warehouse.rows(contacts, "contact_no", "name") == [(1, "old"), (3, None)]


def test_keys_and_floats_that_come_back_in_another_shape(warehouse):
    """A padded CHAR key, and a float of single precision."""
    table = warehouse.create(
        "codes",
        sa.Column("code", sa.CHAR(8), primary_key=True),
        sa.Column("rate", sa.REAL),
        sa.Column("tag", sa.CHAR(5)),
    )
    chunk = [Change(key=(code,), payload={"code": code, "rate": 0.1, "tag": "a"}) for code in ("ab", "cd")]
    tables = {"code": {"table": "codes"}}
    warehouse.write(tables, chunk)
    again = warehouse.write(tables, chunk)
    assert {result.action for result in again.values()} == {Action.UPDATED}
    assert len(warehouse.rows(table)) == 2
    assert [type(result) for result in confirm(warehouse, tables, chunk).values()] == [Written, Written]
