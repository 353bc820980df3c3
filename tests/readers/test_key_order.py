"""Whole entities in key order: ``entity.all``, and ``entity.by_id`` of a run that asks for all."""

from __future__ import annotations

import itertools
import tracemalloc
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import contraflow.readers.all as read_all
from contraflow.readers import by_id
from contraflow_hookspecs import SystemicError

TEXTS = ["", " ", "0", "a,b", "A", "b", "a b", "ä", "z", "Zoë", "日本", "'; --", "%s", "100"]
TYPES = {
    "integer": (sa.Integer, [0, -5, 7, 1, 10, 2]),
    "bigint": (sa.BigInteger, [0, 2**62, -(2**62), 1]),
    "text": (sa.String(30), TEXTS),
    "date": (sa.Date, [date(2026, 1, 1) + timedelta(days=n) for n in (5, 0, 3)]),
    "datetime": (sa.DateTime, [datetime.fromisoformat(f"2026-01-01T12:{n}:00") for n in ("30", "00", "05")]),
    "decimal": (sa.Numeric(10, 2), [Decimal("0.00"), Decimal("-1.10"), Decimal("12.34"), Decimal("0.10"), Decimal(99)]),
    "boolean": (sa.Boolean, [True, False]),
    "bytes": (sa.LargeBinary(16), [b"", b"\x00", b"\xff\x00"]),
}


def simple_table(kind=sa.Integer, name="thing", **options):
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", kind, primary_key=True, autoincrement=False, **options),
        sa.Column("name", sa.String(50)),
    )


@pytest.mark.parametrize("kind", TYPES)
def test_every_row_once_in_key_order(database, context, keys, kind):
    column_type, values = TYPES[kind]
    if kind == "bytes" and database.engine.dialect.name == "mysql":
        column_type = sa.VARBINARY(16)
    if kind == "text" and database.engine.dialect.name == "mysql":
        values = [value for value in values if value not in (" ", "A", "ä")]  # equal to "" and to others there
    table = simple_table(column_type)
    database.create(table, [{"id": value, "name": str(n)} for n, value in enumerate(values)])
    source = database.table_source("thing")
    pages = [list(read_all.read_items(context(source, entity="thing", batch_size=size))) for size in (1, 2, 100)]
    items = pages[0]
    read = keys(items)
    assert [keys(other) for other in pages] == [read] * 3
    assert len(read) == len(values)
    if kind == "boolean":
        read = [bool(value) for value in read]
    assert set(read) == set(values)
    if kind != "text":
        assert read == sorted(values)
    assert {item.entity.name for item in items} == {str(n) for n in range(len(values))}
    assert read_all.count_items(context(source, entity="thing")) == len(values)
    for place, item in enumerate(items):  # a resumed run goes on behind any of them
        rest = read_all.read_items(context(source, entity="thing", batch_size=2, checkpoint=item.key))
        assert [each.key for each in rest] == [each.key for each in items[place + 1 :]]


def test_uuid_keys(postgresql, context, keys):
    values = [uuid.uuid4() for _ in range(25)]
    postgresql.create(simple_table(sa.Uuid), [{"id": value, "name": ""} for value in values])
    source = postgresql.table_source("thing")
    assert keys(read_all.read_items(context(source, entity="thing", batch_size=10))) == sorted(values)


def test_composite_keys(database, context):
    table = sa.Table(
        "entry",
        sa.MetaData(),
        sa.Column("list", sa.Integer, primary_key=True),
        sa.Column("code", sa.String(10), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
    )
    rows = [(n, code, date(2026, 1, day)) for n in (0, 1, 5) for code in ("", "a,b", "c") for day in (1, 2)]
    database.create(table, [{"list": n, "code": code, "day": day} for n, code, day in reversed(rows)])
    source = database.table_source("entry")
    for reader, batch_size in itertools.product((read_all, by_id), (1, 7, 1000)):
        read = [i.key for i in reader.read_items(context(source, entity="entry", batch_size=batch_size))]
        assert read == sorted(rows)
        for checkpoint in rows[::4]:
            wanted = context(source, entity="entry", batch_size=batch_size, checkpoint=checkpoint)
            assert [i.key for i in reader.read_items(wanted)] == [row for row in sorted(rows) if row > checkpoint]
            assert reader.count_items(wanted) == len([row for row in rows if row > checkpoint])


def test_key_columns_in_the_order_of_the_key_not_of_the_table(sqlite, context):
    sqlite.execute("CREATE TABLE entry (b INTEGER, a INTEGER, PRIMARY KEY (a, b))")
    sqlite.execute("INSERT INTO entry (a, b) VALUES (2, 1), (1, 9), (1, 3)")
    source = sqlite.table_source("entry")
    assert source.entity("entry").key_names == ("a", "b")
    read = [item.key for item in read_all.read_items(context(source, entity="entry", batch_size=1))]
    assert read == [(1, 3), (1, 9), (2, 1)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.tuples(st.integers(-3, 3), st.text("aAbB", max_size=2)), max_size=30),
    batch_size=st.integers(1, 8),
)
def test_pages_hold_every_row_whatever_their_size(sqlite, context, rows, batch_size):
    sqlite.execute("DROP TABLE IF EXISTS entry")
    sqlite.execute("CREATE TABLE entry (n INTEGER NOT NULL, code TEXT NOT NULL, PRIMARY KEY (n, code))")
    entry = sa.table("entry", sa.column("n"), sa.column("code"))
    with sqlite.engine.begin() as connection:
        for number, code in rows:
            connection.execute(entry.insert(), {"n": number, "code": code})
    source = sqlite.table_source("entry")
    read = [item.key for item in read_all.read_items(context(source, entity="entry", batch_size=batch_size))]
    assert read == sorted(rows)


def test_rows_that_appear_vanish_and_change_while_reading_disturb_no_other(database, context, keys):
    table = simple_table()
    database.create(table, [{"id": n, "name": "old"} for n in range(0, 100, 2)])
    source = database.table_source("thing")
    items = iter(read_all.read_items(context(source, entity="thing", batch_size=10)))
    read = [next(items) for _ in range(15)]  # ten, and half of the second page (20 to 38)
    database.execute("INSERT INTO thing VALUES (1, 'behind'), (51, 'ahead')")
    database.execute("DELETE FROM thing WHERE id IN (0, 10, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60)")
    database.execute("UPDATE thing SET name = 'new' WHERE id > 60")
    read += items
    assert keys(read) == [*range(0, 40, 2), 51, *range(62, 100, 2)]
    assert {item.entity.name for item in read if item.key[0] > 60} == {"new"}


def test_nothing_is_open_in_the_database_between_two_items(database, context):
    database.create(simple_table(), [{"id": n, "name": ""} for n in range(25)])
    source = database.table_source("thing")
    for wanted in (None, range(25)):
        for reader in (read_all, by_id):
            for _ in reader.read_items(context(source, ids=wanted, entity="thing", batch_size=10)):
                assert source.engine.pool.checkedout() == 0


def test_each_page_is_one_statement_with_a_limit(database, context, statements):
    database.create(simple_table(), [{"id": n, "name": ""} for n in range(1000)])
    source = database.table_source("thing")
    source.entity("thing")
    with statements(source) as seen:
        assert sum(1 for _ in read_all.read_items(context(source, entity="thing", batch_size=100))) == 1000
    pages = [statement for statement in seen if "NULL" not in statement]
    assert len(pages) == 10
    assert all("LIMIT" in statement for statement in seen)


def test_memory_is_bounded_by_the_page(sqlite, context):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)")
    source = sqlite.table_source("thing")

    def peak() -> int:
        tracemalloc.start()
        try:
            for _ in read_all.read_items(context(source, entity="thing", batch_size=500)):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    sqlite.insert("thing", "id", range(2_000))
    peak()  # what is kept for good, such as compiled statements, is made now
    small = peak()
    sqlite.insert("thing", "id", range(2_000, 40_000))
    assert peak() < small + 200_000  # a page is about 100 kB, all rows more than 5 MB


@pytest.mark.parametrize(
    "collation", ["utf8mb4_general_ci", "utf8mb4_unicode_nopad_ci", "utf8mb4_bin", "latin1_swedish_ci"]
)
def test_text_keys_under_every_collation_of_mariadb(mysql, context, keys, collation):
    charset = collation.split("_")[0]
    mysql.execute(
        f"CREATE TABLE thing (id VARCHAR(20) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY) ENGINE=InnoDB"
    )
    values = ["B", "a", "C", "d", "Ab", "aC", "é", "F", "öl", "Zz", "zy", "0"]
    mysql.insert("thing", "id", values)
    source = mysql.table_source("thing")
    for size in (1, 2, 5):
        read = keys(read_all.read_items(context(source, entity="thing", batch_size=size)))
        assert sorted(read) == sorted(values)


def test_keys_that_a_collation_takes_for_equal_are_not_lost(database, context, keys):
    """A table without primary key, whose `key:` is unique to the letter but not for the collation."""
    collation = {"sqlite": "COLLATE NOCASE", "mysql": "COLLATE utf8mb4_general_ci", "postgresql": "COLLATE ci"}
    if database.engine.dialect.name == "postgresql":
        database.execute("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    database.execute(f"CREATE TABLE thing (code VARCHAR(20) {collation[database.engine.dialect.name]} NOT NULL, n INT)")
    values = ["a", "A", "b", "B", "bb", "Bb", "BB", "bB", "c", "aA", "AA", "Aa"]
    database.insert("thing", "code", values)
    source = database.table_source("thing", key=("code",))
    for size in (1, 2, 3, 100):
        read = keys(read_all.read_items(context(source, entity="thing", batch_size=size)))
        assert sorted(read) == sorted(values)
    for value in values:
        wanted = context(source, entity="thing", batch_size=2, checkpoint=(value,))
        assert keys(read_all.read_items(wanted)) == read[read.index(value) + 1 :]
        assert keys(by_id.read_items(context(source, ids=[value], entity="thing"))) == [value]


def test_a_key_that_two_rows_have_is_refused(database, context):
    database.execute("CREATE TABLE thing (id INT NOT NULL, n INT)")
    database.execute("INSERT INTO thing VALUES (1, 1), (2, 2), (3, 3), (3, 4), (4, 5)")
    source = database.table_source("thing", key=("id",))
    for size in (1, 2, 3, 10):
        with pytest.raises(SystemicError, match=r"the key \(id\) of entity 'thing' is not unique"):
            list(read_all.read_items(context(source, entity="thing", batch_size=size)))
        with pytest.raises(SystemicError, match="not unique"):
            list(by_id.read_items(context(source, ids=[3], entity="thing", batch_size=size)))


def test_a_key_that_is_null_is_refused(database, context):
    database.execute("CREATE TABLE thing (id INT UNIQUE, n INT)")
    database.execute("INSERT INTO thing VALUES (1, 1), (NULL, 2), (3, 3)")
    source = database.table_source("thing", key=("id",))
    for size in (1, 10):
        with pytest.raises(SystemicError, match="is NULL in some rows"):
            list(read_all.read_items(context(source, entity="thing", batch_size=size)))


def test_a_key_whose_stored_values_its_type_cannot_hold_does_not_loop(sqlite, context):
    sqlite.execute("CREATE TABLE thing (id NUMERIC(10, 1) PRIMARY KEY)")
    sqlite.execute("INSERT INTO thing VALUES (1.04), (1.06), (1.26)")
    source = sqlite.table_source("thing")
    with pytest.raises(SystemicError, match="the same row again"):
        list(read_all.read_items(context(source, entity="thing", batch_size=1)))


def test_a_table_that_vanished_is_named_and_nothing_else(sqlite, context):
    sqlite.create(simple_table())
    source = sqlite.table_source("thing")
    items = read_all.read_items(context(source, entity="thing"))
    sqlite.execute("DROP TABLE thing")
    with pytest.raises(SystemicError, match=r"no such table: thing$"):
        list(items)


def test_an_empty_table_has_no_items(database, context):
    database.create(simple_table())
    source = database.table_source("thing")
    assert list(read_all.read_items(context(source, entity="thing"))) == []
    assert read_all.count_items(context(source, entity="thing")) == 0


def test_reserved_words_and_odd_names(database, context, keys):
    table = sa.Table(
        "order by", sa.MetaData(), sa.Column("group", sa.Integer, primary_key=True), sa.Column("a:b %s", sa.String(5))
    )
    database.create(table, [{"group": n, "a:b %s": "x"} for n in (1, 2, 3)])
    source = database.table_source("order by")
    items = list(read_all.read_items(context(source, entity="order by", batch_size=2)))
    assert keys(items) == [1, 2, 3]
    assert items[0].data == {"group": 1, "a:b %s": "x"}
