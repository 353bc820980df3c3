"""Rows are read in the fields and types that ``process_item`` gives, so that an unedited row never looks edited."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow.fingerprint import canonical
from contraflow_hookspecs import Change, Gone, Item, ItemError, RemoteItem, SystemicError

CONTACTS = {"customer": {"table": "contacts", "key": {"contact_no": 1}}}


class Colour(enum.Enum):
    RED = "red"


ENTITIES = [
    {"email": "ä@x", "name": "Ana ", "notes": "", "balance": 0.1 + 0.2, "active": 1},
    {"email": None, "name": Colour.RED, "notes": {"a": [1, 2.5]}, "balance": "7", "active": False},
    {"born": "2000-02-29", "seen": datetime(2024, 1, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))},
    {"born": datetime(2000, 2, 29), "seen": datetime(2024, 1, 1, 12), "balance": Decimal("7.00")},  # noqa: DTZ001 - on purpose
    {"name": UUID(int=5), "notes": Decimal("1.50"), "seen": date(2024, 1, 1), "balance": -0.0},
]


@pytest.mark.parametrize("entity", ENTITIES, ids=range(len(ENTITIES)))
def test_what_was_written_is_read_as_it_was_processed(warehouse, contacts, entity):
    with warehouse.step(CONTACTS) as context:
        payload = contraflow_sql.process_item(item=Item(key=(1,), entity=entity), context=context)
        change = Change(key=(1,), payload=payload)
        (written,) = contraflow_sql.write_items(items=[change], context=context)
        (fetched,) = contraflow_sql.fetch_items(items=[Change(key=(1,), remote_id=written.remote_id)], context=context)
        (listed,) = contraflow_sql.list_items(context=context)
    assert isinstance(fetched, RemoteItem)
    assert (fetched.key, fetched.remote_id) == ((1,), "1")
    assert (listed.key, listed.remote_id) == (None, "1")
    assert listed.payload == fetched.payload
    for name, value in payload.items():
        assert canonical({"": fetched.payload[name]}) == canonical({"": value}), name


def test_an_edit_is_seen(warehouse, contacts, upsert):
    warehouse.write(CONTACTS, [upsert(1, name="Ana"), upsert(2, name="Bo")])
    warehouse.execute("UPDATE contacts SET name = 'Eve' WHERE contact_no = 1")
    with warehouse.step(CONTACTS) as context:
        changes = [Change(key=(number,), remote_id=str(number)) for number in (1, 2, 3)]
        one, two, three = contraflow_sql.fetch_items(items=changes, context=context)
    assert (one.payload["name"], two.payload["name"]) == ("Eve", "Bo")
    assert three == Gone(key=(3,))


def test_padded_text_and_numbers_of_single_precision(warehouse):
    """A padded CHAR comes back as it was sent; a rounded number cannot, and is not compared."""
    warehouse.create(
        "codes",
        sa.Column("code", sa.CHAR(8), primary_key=True),
        sa.Column("rate", sa.REAL if warehouse.backend == "postgresql" else sa.FLOAT(20)),
        sa.Column("tag", sa.CHAR(5)),
    )
    with warehouse.step({"code": {"table": "codes"}}) as context:
        entity = {"code": "ab", "rate": 0.1, "tag": "a"}
        payload = contraflow_sql.process_item(item=Item(key=("ab",), entity=entity), context=context)
        (written,) = contraflow_sql.write_items(items=[Change(key=("ab",), payload=payload)], context=context)
        change = Change(key=("ab",), remote_id=written.remote_id)
        (fetched,) = contraflow_sql.fetch_items(items=[change], context=context)
        (listed,) = contraflow_sql.list_items(context=context)
    assert fetched.payload == listed.payload == {"code": "ab", "tag": "a"}
    assert fetched.remote_id == listed.remote_id == written.remote_id


def test_only_what_is_mapped_is_read(warehouse, contacts, upsert):
    tables = {"customer": {"table": "contacts", "key": {"contact_no": 1}, "columns": {"name": "FirstName"}}}
    warehouse.write(CONTACTS, [upsert(1, name="Ana", email="a@x")])
    with warehouse.step(tables) as context:
        (fetched,) = contraflow_sql.fetch_items(items=[Change(key=(1,))], context=context)
    assert fetched.payload == {"contact_no": 1, "name": "Ana"}


def test_a_row_that_cannot_be_told_is_left_out(warehouse, contacts):
    tables = {"customer": {"table": "contacts", "key": {"contact_no": "number"}}}
    with warehouse.step(tables) as context:
        assert contraflow_sql.fetch_items(items=[Change(key=(1,))], context=context) == []


def test_many_rows_are_streamed_in_the_order_of_the_key(warehouse, contacts, upsert):
    warehouse.insert(contacts, *({"contact_no": number} for number in range(1200, 0, -1)))
    with warehouse.step(CONTACTS) as context:
        assert [item.remote_id for item in contraflow_sql.list_items(context=context)] == [
            str(number) for number in range(1, 1201)
        ]


def test_a_value_that_does_not_fit_is_told_when_it_is_processed(warehouse, contacts):
    with warehouse.step(CONTACTS) as context, pytest.raises(ItemError) as caught:
        contraflow_sql.process_item(item=Item(key=(1,), entity={"born": "yesterday"}), context=context)
    assert (caught.value.code, caught.value.reason) == ("data", "born: text where the column keeps a date")


def test_a_table_that_is_gone_is_systemic(warehouse, contacts):
    with warehouse.step(CONTACTS) as context:
        warehouse.execute("DROP TABLE contacts")
        with pytest.raises(SystemicError, match="reading table 'contacts'"):
            contraflow_sql.fetch_items(items=[Change(key=(1,))], context=context)
        with pytest.raises(SystemicError, match="reading table 'contacts'"):
            list(contraflow_sql.list_items(context=context))


def test_moments_are_the_same_moment(warehouse, contacts, upsert):
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    warehouse.write(CONTACTS, [upsert(1, seen=moment)])
    with warehouse.step(CONTACTS) as context:
        (fetched,) = contraflow_sql.fetch_items(items=[Change(key=(1,))], context=context)
    seen = fetched.payload["seen"]
    assert (seen if seen.tzinfo else seen.replace(tzinfo=UTC)) == moment
