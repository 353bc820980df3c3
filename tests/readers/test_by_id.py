"""``entity.by_id``, and ``entity.all`` of a run that asks for ids."""

from __future__ import annotations

import logging
import uuid
from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

import contraflow.readers.all as read_all
from contraflow.errors import Location
from contraflow.readers import by_id
from contraflow_hookspecs import Operation, SystemicError

HERE = Location(file="jobs.yml", line=7, path="a.b")
READERS = pytest.mark.parametrize("reader", [by_id, read_all])


def things(database, values, kind=sa.Integer):
    table = sa.Table(
        "thing",
        sa.MetaData(),
        sa.Column("id", kind, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(50)),
    )
    database.create(table, [{"id": value, "name": f"name {value}"} for value in values])
    return database.table_source("thing")


@READERS
def test_only_what_is_asked_for_in_the_order_asked(database, context, keys, reader):
    source = things(database, range(100))
    items = list(reader.read_items(context(source, ids=[7, 3, 0, 99, 3], entity="thing", batch_size=2)))
    assert keys(items) == [7, 3, 0, 99]
    assert [item.entity.name for item in items] == ["name 7", "name 3", "name 0", "name 99"]


@READERS
def test_no_ids_is_none_and_all_must_be_said(database, context, statements, reader):
    source = things(database, range(3))
    with statements(source) as seen:
        assert list(reader.read_items(context(source, ids=[], entity="thing"))) == []
        assert not [statement for statement in seen if "FROM thing" in statement]
    assert reader.count_items(context(source, ids=[], entity="thing")) == 0
    assert len(list(reader.read_items(context(source, ids=None, entity="thing")))) == 3


@pytest.mark.parametrize(("number", "batch_size"), [(51, 50), (1001, 100), (2500, 10_000)])
def test_many_ids(database, context, keys, number, batch_size):
    source = things(database, range(3000))
    ids = list(range(number, 0, -1))
    assert keys(by_id.read_items(context(source, ids=ids, entity="thing", batch_size=batch_size))) == ids
    assert by_id.count_items(context(source, ids=ids, entity="thing")) == number


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (sa.Integer, [0, 5, -1]),
        (sa.String(20), ["", "a,b", "0", "x'y", "100%"]),
        (sa.Date, [date(2026, 1, 31), date(1970, 1, 1)]),
        (sa.Numeric(10, 2), [Decimal("0.00"), Decimal("1.10")]),
        (sa.Uuid, [uuid.UUID(int=0), uuid.UUID(int=7)]),
    ],
)
def test_every_key_type(database, context, keys, kind, values):
    if kind is sa.Uuid and database.engine.dialect.name != "postgresql":
        kind, values = sa.String(36), [str(value) for value in values]
    source = things(database, values, kind)
    asked = source.key_shape({"entity": "thing"}).parse([str(value) for value in values])
    assert [value for (value,) in asked] == values
    assert keys(by_id.read_items(context(source, ids=asked, entity="thing"))) == values


@READERS
def test_composite_ids(database, context, reader):
    table = sa.Table(
        "entry",
        sa.MetaData(),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("code", sa.String(10), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
    )
    day = date(2026, 1, 31)
    database.create(table, [{"n": n, "code": code, "day": day} for n in range(5) for code in ("", "a,b", "c")])
    source = database.table_source("entry")
    asked = source.key_shape({"entity": "entry"}).parse(
        [
            "n=4,code=a,b,day=2026-01-31",
            {"day": "2026-01-31", "n": 0, "code": ""},
            (2, "c", day),
            '[4, "c", "2026-01-31"]',
        ]
    )
    read = [item.key for item in reader.read_items(context(source, ids=asked, entity="entry", batch_size=3))]
    assert read == [(4, "a,b", day), (0, "", day), (2, "c", day), (4, "c", day)]


def test_goes_on_behind_the_checkpoint_in_the_order_asked(sqlite, context, keys):
    source = things(sqlite, range(10))
    ids = [9, 1, 5, 3, 0]
    for place, checkpoint in enumerate(ids):
        wanted = context(source, ids=ids, checkpoint=(checkpoint,), entity="thing", batch_size=2)
        assert keys(by_id.read_items(wanted)) == ids[place + 1 :]
        assert by_id.count_items(wanted) == len(ids) - place - 1


def test_a_checkpoint_that_was_not_asked_for_skips_nothing(sqlite, context, keys):
    source = things(sqlite, range(10))
    assert keys(by_id.read_items(context(source, ids=[3, 1], checkpoint=(7,), entity="thing"))) == [3, 1]


def test_missing_ids_are_warned_of_once(database, context, keys, caplog):
    source = things(database, [1, 2])
    with caplog.at_level(logging.WARNING):
        items = by_id.read_items(context(source, ids=[8, 1, *range(10, 30), 2], entity="thing", batch_size=4))
        assert keys(items) == [1, 2]
    [record] = caplog.records
    assert record.getMessage() == "21 of 23 ids are not in entity 'thing': 8, 10, 11, 12, 13, …"


def test_a_page_that_vanished_whole_does_not_end_the_reading(database, context, keys):
    source = things(database, range(40))
    items = iter(by_id.read_items(context(source, ids=range(40), entity="thing", batch_size=10)))
    read = [next(items) for _ in range(5)]
    database.execute("DELETE FROM thing WHERE id BETWEEN 10 AND 29")
    assert keys([*read, *items]) == [*range(10), *range(30, 40)]


def test_missing_ids_can_be_a_failure_before_their_page_is_read(sqlite, context, keys):
    source = things(sqlite, [1, 2, 3, 4])
    items = iter(by_id.read_items(context(source, ids=[1, 2, 3, 9, 4], entity="thing", batch_size=2, missing="fail")))
    assert keys([next(items), next(items)]) == [1, 2]
    with pytest.raises(SystemicError, match=r"1 of 2 ids are not in entity 'thing': 9$"):
        next(items)


def test_missing_ids_can_be_deletions_in_their_place(database, context):
    source = things(database, [1, 2])
    items = list(by_id.read_items(context(source, ids=[1, 9, 2], entity="thing", missing="delete")))
    assert [(item.key, item.operation, item.entity is None) for item in items] == [
        ((1,), Operation.UPSERT, False),
        ((9,), Operation.DELETE, True),
        ((2,), Operation.UPSERT, False),
    ]


def test_an_id_that_the_database_takes_for_a_key_reads_it_once_by_its_own_key(mysql, context, keys, caplog):
    source = things(mysql, ["Ana", "Bo", "Cy"], sa.String(20))
    ids = ["bo", "ana", "ANA", "Ana", "BO", "no"]
    assert keys(by_id.read_items(context(source, ids=ids, entity="thing"))) == ["Bo", "Ana"]
    assert "1 of 6 ids" in caplog.text
    deletions = by_id.read_items(context(source, ids=["ana"], entity="thing", missing="delete"))
    assert [(item.key, item.operation) for item in deletions] == [(("Ana",), Operation.UPSERT)]


def test_padded_keys(postgresql, context, keys):
    source = things(postgresql, ["ab", "cde"], sa.CHAR(5))
    assert keys(by_id.read_items(context(source, ids=["cde", "ab"], entity="thing"))) == ["cde  ", "ab   "]


def test_reading_twice_keeps_nothing_from_the_first_time(sqlite, context, keys):
    source = things(sqlite, range(5))
    assert keys(by_id.read_items(context(source, ids=[1], entity="thing"))) == [1]
    assert keys(by_id.read_items(context(source, ids=[4, 2], entity="thing"))) == [4, 2]


def test_an_id_that_the_column_cannot_hold_stops_the_reading_with_a_reason(postgresql, context):
    source = things(postgresql, [1])
    with pytest.raises(SystemicError, match="integer out of range"):
        list(by_id.read_items(context(source, ids=[2**40], entity="thing")))


@pytest.mark.parametrize("size", [0, -1, "many", True, 1.5])
def test_a_batch_size_that_is_none_is_found_by_the_check(sqlite, size):
    source = things(sqlite, [1])
    [problem] = by_id.check({"entity": "thing", "batch_size": size}, source, HERE)
    assert "`batch_size`" in problem.message
    assert problem.location == HERE


def test_the_check_finds_everything_at_once(sqlite):
    source = things(sqlite, [1])
    problems = by_id.check({"entity": "think", "missing": "warm", "batch_size": 0}, source, HERE)
    assert {problem.hint for problem in problems} == {"did you mean 'thing'?", "did you mean 'warn'?", None}
    assert len(problems) == 3
    assert by_id.check({"entity": "thing", "missing": "fail", "batch_size": "20"}, source, HERE) == []
    [none] = read_all.check({}, source, HERE)
    assert "names no entity" in none.message
