"""``entity.changed``: what changed in a large table, in the order of cursor and key, with nothing lost among ties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql

from contraflow.errors import Location
from contraflow.ledger import encode_position
from contraflow.readers import changed
from contraflow.readers.cursor_values import lies_ahead, reaching_back
from contraflow.source import EntitySpec
from contraflow_hookspecs import Advice, IdFilter, Operation, SystemicError

NOON = datetime.fromisoformat("2026-03-01T12:00:00")


def thing_table(kind, *, nullable=True):
    return sa.Table(
        "thing",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("moved", kind, nullable=nullable, index=True),
        sa.Column("name", sa.String(20)),
    )


def moments():
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


@pytest.fixture
def reading(context):
    def build(source, *, cursor=None, changed=True, ids=None, checkpoint=None, **parameters):
        parameters = {"entity": "thing", "cursor": "moved", "batch_size": 2, **parameters}
        made = context(source, ids, checkpoint, **parameters)
        return attrs.evolve(made, cursor=cursor, filter=IdFilter(ids=made.filter.ids, changed=changed))

    return build


def read(context):
    return list(changed.read_items(context))


def cursor_of(items):
    return encode_position(items[-1].position)


KINDS = {
    "datetime": (moments(), [NOON + timedelta(hours=n) for n in range(4)]),
    "date": (sa.Date, [date(2026, 3, n) for n in (1, 3, 5, 7)]),
    "integer": (sa.Integer, [-5, 1000, 3000, 10**6]),
    "decimal": (sa.Numeric(12, 2), [Decimal("-1.10"), Decimal("1000.25"), Decimal("5000.5"), Decimal(99999)]),
    "text": (sa.String(20), ["a1", "b1", "c1", "d1"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_once_in_the_order_of_cursor_and_key(database, reading, keys, kind):
    column_type, (low, middle, high, top) = KINDS[kind]
    cursors = [high, low, None, low, top, high, None, low, high, middle]
    database.create(thing_table(column_type), [{"id": n, "moved": value} for n, value in enumerate(cursors)])
    source = database.table_source("thing")
    items = read(reading(source, changed=False))
    assert keys(items) == [2, 6, 1, 3, 7, 9, 0, 5, 8, 4]
    for size in (1, 3, 100):
        assert keys(read(reading(source, changed=False, batch_size=size))) == keys(items)
    for place, item in enumerate(items):  # a killed run goes on behind any of them
        rest = read(reading(source, changed=False, checkpoint=item.position))
        assert keys(rest) == keys(items)[place + 1 :]
    overlap = 0 if kind == "text" else 600
    again = read(reading(source, cursor=cursor_of(items), overlap=overlap))
    assert keys(again) == [2, 6, 4], "what has no cursor is read always, and what is tied with the last one, too"
    at_high = read(reading(source, cursor=encode_position(("thing.moved", items[-2].position[1], 8)), overlap=overlap))
    assert keys(at_high) == [2, 6, 0, 5, 8, 4]
    assert changed.count_items(reading(source, cursor=cursor_of(items), overlap=overlap)) == 3
    assert changed.count_items(reading(source, changed=False)) == 10
    assert [item.entity.id for item in items] == keys(items)
    assert set(items[0].data) == {"id", "moved", "name"}


def test_the_overlap_reaches_back_in_seconds(database, reading, keys):
    rows = [{"id": n, "moved": NOON + timedelta(minutes=5 * n)} for n in range(6)]
    database.create(thing_table(moments()), rows)
    source = database.table_source("thing")
    cursor = cursor_of(read(reading(source, changed=False)))
    assert keys(read(reading(source, cursor=cursor))) == [3, 4, 5], "ten minutes, if nothing else is said"
    assert keys(read(reading(source, cursor=cursor, overlap="5min"))) == [4, 5]
    assert keys(read(reading(source, cursor=cursor, overlap=0))) == [5]
    assert keys(read(reading(source, cursor=cursor, overlap="1d"))) == list(range(6))


def test_moments_that_sqlite_spells_in_several_ways_lose_no_row(sqlite, reading, keys):
    """CURRENT_TIMESTAMP writes no fraction, SQLAlchemy always one: the same moment, and two texts."""
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, moved DATETIME)")
    sqlite.execute(
        "INSERT INTO thing VALUES (1, '2026-03-01 12:00:00'), (2, '2026-03-01 12:00:00'), (3, '2026-03-01 12:00:00'), "
        "(4, '2026-03-01 12:00:00.000000'), (5, '2026-03-01 12:00:00.000000'), (6, '2026-03-01 12:00:01')"
    )
    source = sqlite.table_source("thing")
    items = read(reading(source, changed=False, batch_size=1))
    assert sorted(keys(items)) == [1, 2, 3, 4, 5, 6]
    assert sorted(keys(read(reading(source, cursor=cursor_of(items), overlap=1)))) == [1, 2, 3, 4, 5, 6]
    assert keys(read(reading(source, cursor=cursor_of(items), overlap=0))) == [6]


def test_moments_with_a_zone(postgresql, reading, keys):
    base = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = [{"id": n, "moved": base + timedelta(hours=n)} for n in range(3)]
    postgresql.create(thing_table(sa.DateTime(timezone=True)), rows)
    source = postgresql.table_source("thing")
    items = read(reading(source, changed=False))
    assert keys(read(reading(source, cursor=cursor_of(items), overlap="1h"))) == [1, 2]


def test_a_moment_in_the_future_does_not_carry_the_cursor_along(database, reading, keys):
    ahead = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(days=400)
    database.create(
        thing_table(moments()), [{"id": 1, "moved": NOON}, {"id": 2, "moved": ahead}, {"id": 3, "moved": None}]
    )
    source = database.table_source("thing")
    cursor = cursor_of(read(reading(source, changed=False)))
    database.execute("INSERT INTO thing (id, moved) VALUES (4, '2026-03-01 12:30:00')")
    again = read(reading(source, cursor=cursor, overlap=0))
    assert keys(again) == [3, 1, 4, 2]
    database.execute("DELETE FROM thing WHERE id IN (1, 4)")
    third = read(reading(source, cursor=cursor_of(again), overlap=0))
    assert keys(third) == [3, 2]
    database.execute("INSERT INTO thing (id, moved) VALUES (5, '2026-03-01 12:30:00'), (6, '2026-03-01 12:29:59')")
    assert keys(read(reading(source, cursor=cursor_of(third), overlap=0))) == [3, 5, 2]


def test_only_rows_without_a_cursor_leave_it_where_it_was(database, reading, keys):
    database.create(thing_table(moments()), [{"id": 1, "moved": NOON}, {"id": 2, "moved": None}])
    source = database.table_source("thing")
    cursor = cursor_of(read(reading(source, changed=False)))
    database.execute("DELETE FROM thing WHERE id = 1")
    items = read(reading(source, cursor=cursor, overlap=0))
    assert keys(items) == [2]
    database.execute("INSERT INTO thing (id, moved) VALUES (3, '2026-03-01 12:00:00'), (4, '2026-03-01 11:59:00')")
    assert keys(read(reading(source, cursor=cursor_of(items), overlap=0))) == [2, 3]


def test_the_cursor_of_another_column_means_nothing(sqlite, reading, keys):
    sqlite.create(thing_table(sa.Integer), [{"id": n, "moved": n} for n in range(3)])
    source = sqlite.table_source("thing")
    other = encode_position(("thing.updated", "2026-01-01", 2))
    assert keys(read(reading(source, cursor=other))) == [0, 1, 2]
    assert keys(read(reading(source, cursor="nonsense"))) == [0, 1, 2]
    assert keys(read(reading(source, changed=False, checkpoint=(2,)))) == [0, 1, 2]


def test_what_is_owed_is_read_by_id_unless_it_is_read_anyhow(database, reading, keys):
    rows = [{"id": n, "moved": NOON + timedelta(hours=n)} for n in range(5)] + [{"id": 7, "moved": None}]
    database.create(thing_table(moments()), rows)
    source = database.table_source("thing")
    cursor = cursor_of(read(reading(source, changed=False)))
    owed = read(reading(source, cursor=cursor, ids=[0, 2, 4, 7, 99]))
    assert keys(owed) == [0, 2]
    assert [item.position for item in owed] == [None, None]
    deleted = read(reading(source, cursor=cursor, ids=[0, 4, 99], missing="delete"))
    assert [(item.key, item.operation) for item in deleted] == [((0,), Operation.UPSERT), ((99,), Operation.DELETE)]
    assert keys(read(reading(source, cursor=cursor, ids=[0, 99], missing="fail"))) == [0]
    assert read(reading(source, ids=[0])) == [], "without a cursor everything is read"


def test_ids_are_read_as_by_every_reader(database, reading, keys, caplog):
    database.create(thing_table(moments()), [{"id": 1, "moved": NOON}, {"id": 2, "moved": NOON}])
    source = database.table_source("thing")
    assert keys(read(reading(source, ids=[2, 9, 1], changed=False))) == [2, 1]
    assert "1 of 3 ids are not in entity 'thing': 9" in caplog.text
    assert changed.count_items(reading(source, ids=[2, 9, 1], changed=False)) == 3
    with pytest.raises(SystemicError, match="1 of 1 ids"):
        read(reading(source, ids=[9], changed=False, missing="fail"))


def test_mapped_classes_with_their_relations(database, shop, context):
    shop.Base.metadata.create_all(database.engine)
    with sa.orm.Session(database.engine) as session:
        session.add_all(
            shop.Customer(number=n, name=name, orders=[shop.Order(id=10 * n), shop.Order(id=10 * n + 1)])
            for n, name in ((1, "Zoe"), (2, "Ana"), (3, "Ana"))
        )
        session.commit()
    source = database.source(EntitySpec(name="customer", mapped="reader_test_shop:Customer"))
    for load in ("orders", "joined:orders"):
        made = context(source, entity="customer", cursor="name", overlap=0, load=[load], batch_size=1)
        items = read(made)
        assert [item.key for item in items] == [(2,), (3,), (1,)]
        assert [[order.id for order in item.entity.orders] for item in items] == [[20, 21], [30, 31], [10, 11]]
        assert items[0].position == ("customer.name", "Ana", 2)


def test_a_key_that_is_not_unique_is_found_out(sqlite, reading):
    sqlite.execute("CREATE TABLE thing (id INTEGER NOT NULL, moved INTEGER)")
    sqlite.execute("INSERT INTO thing VALUES (1, 5), (1, 5)")
    source = sqlite.table_source("thing", key=("id",))
    with pytest.raises(SystemicError, match="is not unique: two rows have the same"):
        read(reading(source))


def test_a_cursor_that_cannot_be_kept_is_refused_in_words(postgresql, reading):
    postgresql.create(thing_table(sa.Interval), [{"id": 1, "moved": timedelta(hours=1)}])
    with pytest.raises(
        SystemicError, match=r"'thing\.moved' cannot be a cursor: a value of type timedelta cannot be part"
    ):
        read(reading(postgresql.table_source("thing"), overlap=0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=25),
    size=st.integers(1, 6),
    since=st.integers(0, 3),
    cut=st.integers(0, 30),
)
def test_ties_are_neither_lost_nor_repeated(database, context, rows, size, since, cut):
    """Whatever the ties, page sizes, and places at which a run is killed."""
    table = sa.Table(
        "entry",
        sa.MetaData(),
        sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("b", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("moved", sa.Integer),
    )
    given_rows = {(a, b): moved for moved, a, b in rows}
    table.metadata.drop_all(database.engine)
    database.create(table, [{"a": a, "b": b, "moved": moved} for (a, b), moved in given_rows.items()])
    source = database.table_source("entry")
    made = context(source, entity="entry", cursor="moved", batch_size=size, overlap=0)
    expected = sorted(given_rows, key=lambda key: (given_rows[key] is not None, given_rows[key] or 0, key))
    items = read(made)
    assert [item.key for item in items] == expected
    if items:
        cut %= len(items)
        rest = read(attrs.evolve(made, checkpoint=items[cut].position))
        assert [item.key for item in rest] == expected[cut + 1 :]
    from_cursor = attrs.evolve(
        made, cursor=encode_position(("entry.moved", since, 0, 0)), filter=IdFilter(changed=True)
    )
    wanted = [key for key in expected if given_rows[key] is None or given_rows[key] >= since]
    assert [item.key for item in read(from_cursor)] == wanted
    assert changed.count_items(from_cursor) == len(wanted)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"cursor": None}, "the step names no cursor column"),
        ({"cursor": "move"}, "did you mean 'moved'?"),
        ({"cursor": "move"}, "entity 'thing' has no column 'move'"),
        ({"overlap": "soon"}, "`overlap` is no length"),
        ({"overlap": -5}, "`overlap` is no length"),
        ({"cursor": "name"}, ""),
        ({"cursor": "name", "overlap": 5}, "`overlap` means nothing with the cursor column 'name'"),
        ({"sweep": "weekly"}, "`sweep` is no length of time"),
        ({"sweep": "nevr"}, "did you mean 'never'?"),
        ({"sweep": "never"}, ""),
        ({"sweep": "12h"}, ""),
        ({"entity": "thin"}, "did you mean 'thing'?"),
        ({"batch_size": 0}, "`batch_size` is no size"),
    ],
)
def test_wrong_parameters_are_told_in_words(sqlite, parameters, sentence):
    sqlite.create(thing_table(sa.Integer))
    problems = changed.check(
        {"entity": "thing", "cursor": "moved", **parameters}, sqlite.table_source("thing"), Location()
    )
    assert sentence in "\n".join(map(str, problems))
    assert bool(problems) is bool(sentence)


def test_a_cursor_without_index_is_advised_against(database, reading):
    database.create(thing_table(sa.Integer))
    source = database.table_source("thing")
    assert changed.check_step(reading(source)) == []
    unindexed = attrs.evolve(reading(source), parameters={"entity": "thing", "cursor": "name"})
    (advice,) = changed.check_step(unindexed)
    assert type(advice) is Advice
    statement = advice.rpartition(": ")[2]
    assert statement == "CREATE INDEX ix_thing_name ON thing (name, id)"
    database.execute(statement)
    assert changed.check_step(unindexed) == []


def test_values_reach_back_in_their_own_way():
    assert reaching_back(NOON, 60, temporal=True) == NOON - timedelta(minutes=1)
    assert reaching_back(date(2026, 3, 2), 60, temporal=True) == date(2026, 3, 1)
    assert reaching_back(7, 2.5, temporal=False) == 4
    assert reaching_back(Decimal("7.5"), 2, temporal=False) == Decimal("5.5")
    assert reaching_back("2026-03-01 12:00:00.5", 60, temporal=True) == "2026-03-01 11:59:00"
    assert reaching_back("2026-03-01T12:00:00Z", 60, temporal=True) == "2026-03-01T11:59:00"
    assert reaching_back("2026-03-02", 60, temporal=True) == "2026-03-01"
    assert reaching_back("whenever", 60, temporal=True) == "whenever"
    assert reaching_back("2026-03-02", 60, temporal=False) == "2026-03-02"
    first = datetime.fromisoformat("0001-01-01")
    assert reaching_back(first, 60, temporal=True) == first


def test_what_lies_ahead():
    def now():
        return datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert lies_ahead(now() + timedelta(seconds=1), now, temporal=True)
    assert not lies_ahead(now(), now, temporal=True)
    assert not lies_ahead(NOON, now, temporal=True)
    assert lies_ahead("2026-03-03 00:00:00", now, temporal=True)
    assert not lies_ahead("2026-03-03 00:00:00", now, temporal=False)
    assert lies_ahead(date(2026, 3, 3), now, temporal=True)
    assert not lies_ahead(10**12, now, temporal=False)
