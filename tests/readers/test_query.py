"""The reader ``query``: SQL text and SQLAlchemy selectables."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from contraflow.errors import Location, SourceError
from contraflow.readers import query
from contraflow_hookspecs import Operation, SystemicError

HERE = Location(file="jobs.yml", line=3)
SQL = "SELECT id AS number, name FROM thing WHERE n >= :least -- the comment's end"


def things(database, rows=30):
    table = sa.Table(
        "thing",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer),
        sa.Column("name", sa.String(20)),
    )
    database.create(table, [{"id": i, "n": i % 3, "name": f"name {i}"} for i in range(rows)])
    return database.source()


@pytest.mark.parametrize("key", [["number"], "number", {"number": "integer"}])
def test_sql_with_parameters(database, context, keys, key):
    source = things(database)
    parameters = {"sql": SQL, "key": key, "least": 1}
    wanted = [i for i in range(30) if i % 3 >= 1]
    for size in (1, 7):
        assert keys(query.read_items(context(source, batch_size=size, **parameters))) == wanted
    items = list(query.read_items(context(source, **parameters)))
    assert keys(items) == wanted
    assert items[0].data == {"number": 1, "name": "name 1"}
    assert query.count_items(context(source, **parameters)) == 20
    assert keys(query.read_items(context(source, checkpoint=(10,), **parameters))) == [i for i in wanted if i > 10]
    assert query.count_items(context(source, checkpoint=(10,), **parameters)) == 13


def test_ids_are_looked_up_in_the_result_of_the_query(database, context, keys, caplog):
    source = things(database)
    parameters = {"sql": SQL, "key": ["number"], "least": 1}
    ids = source.key_shape(parameters).parse(["7", "5", "6"])
    assert ids == ((7,), (5,), (6,))
    assert keys(query.read_items(context(source, ids=ids, **parameters))) == [7, 5]  # 6 is not in the result
    assert "1 of 3 ids are not in the query: 6" in caplog.text
    last = list(query.read_items(context(source, ids=ids, missing="delete", **parameters)))[-1]
    assert (last.key, last.operation) == ((6,), Operation.DELETE)


def test_composite_text_keys_and_common_table_expressions(database, context):
    source = things(database)
    sql = "WITH t AS (SELECT n, name, id FROM thing) SELECT n, name, id FROM t ORDER BY name DESC;"
    read = [item.key for item in query.read_items(context(source, sql=sql, key=["n", "name"], batch_size=4))]
    assert read == sorted((i % 3, f"name {i}") for i in range(30))
    items = query.read_items(context(source, ids=[(2, "name 5"), (0, "name 3")], sql=sql, key=["n", "name"]))
    assert [item.entity.id for item in items] == [5, 3]


def test_a_list_is_a_parameter_too(database, context, keys):
    source = things(database)
    parameters = {"sql": "SELECT id FROM thing WHERE id IN :wanted", "key": ["id"], "wanted": [3, 1, 28]}
    assert keys(query.read_items(context(source, **parameters))) == [1, 3, 28]


def test_the_value_of_a_parameter_is_never_sql(database, context):
    source = things(database)
    parameters = {"sql": "SELECT id FROM thing WHERE name = :name", "key": ["id"], "name": "x' OR '1'='1"}
    assert list(query.read_items(context(source, **parameters))) == []


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_keys_that_a_collation_takes_for_equal_are_not_lost(mysql, context, keys, batch_size):
    source = things(mysql, 0)
    mysql.execute("CREATE TABLE word (w VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_general_ci)")
    words = ["a", "A", "b", "B", "bb", "BB", "Bb", "é", "É", "a "]
    mysql.insert("word", "w", words)
    items = query.read_items(context(source, sql="SELECT w FROM word", key=["w"], batch_size=batch_size))
    assert sorted(keys(items)) == sorted(words)


def test_a_key_that_is_not_unique_is_refused(database, context):
    source = things(database)
    for size in (1, 2, 3, 100):
        with pytest.raises(SystemicError, match=r"the key \(n\) of the query is not unique"):
            list(query.read_items(context(source, sql="SELECT n, id FROM thing", key=["n"], batch_size=size)))


def test_a_key_that_is_null_is_refused(database, context):
    source = things(database)
    sql = "SELECT CASE WHEN id > 5 THEN id END AS id FROM thing"
    with pytest.raises(SystemicError, match="NULL"):
        list(query.read_items(context(source, sql=sql, key=["id"])))


def test_typed_keys_of_a_server(postgresql, context, keys):
    source = things(postgresql, 0)
    postgresql.execute("CREATE TABLE typed (u UUID, d DATE, t TIMESTAMPTZ, n NUMERIC(10,2), s TEXT)")
    one = uuid.UUID(int=1)
    postgresql.execute(
        "INSERT INTO typed VALUES ('00000000-0000-0000-0000-000000000001', '2026-01-31', '2026-01-31 12:00+02', 1.50, 'a'),"
        " ('ffffffff-0000-0000-0000-000000000000', '2026-02-01', '2026-02-01 12:00Z', 2, 'B')"
    )
    moment = datetime(2026, 1, 31, 10, tzinfo=UTC)
    kinds = {"u": "uuid", "d": "date", "t": "datetime", "n": "decimal", "s": "text"}
    values = {"u": one, "d": date(2026, 1, 31), "t": moment, "n": Decimal("1.50"), "s": "a"}
    for name, kind in kinds.items():
        for key in ({name: kind}, [name]):
            parameters = {"sql": "SELECT * FROM typed", "key": key, "batch_size": 1}
            assert len(keys(query.read_items(context(source, **parameters)))) == 2
            text = values[name].isoformat() if hasattr(values[name], "isoformat") else str(values[name])
            ids = source.key_shape(parameters).parse(text)
            assert ids == ((values[name],),)
            assert keys(query.read_items(context(source, ids=ids, **parameters))) == [values[name]]


def test_typed_keys_of_sqlite(sqlite, context, keys):
    source = things(sqlite, 0)
    sqlite.execute("CREATE TABLE typed (d DATE, t DATETIME, n NUMERIC)")
    sqlite.execute(
        "INSERT INTO typed VALUES ('2026-01-31', '2026-01-31 12:00:00.000000', 1.5),"
        " ('2026-02-01', '2026-02-01 12:00:00.000000', 2)"
    )
    values = {
        "date": ("d", date(2026, 1, 31)),
        "datetime": ("t", datetime.fromisoformat("2026-01-31T12:00:00")),
        "decimal": ("n", Decimal("1.5")),
    }
    for kind, (name, value) in values.items():
        parameters = {"sql": "SELECT * FROM typed", "key": {name: kind}, "batch_size": 1}
        assert keys(query.read_items(context(source, **parameters)))[0] == value
        ids = source.key_shape(parameters).parse(str(value))
        assert keys(query.read_items(context(source, ids=ids, **parameters))) == [value]
    [problem] = query.check({"sql": "SELECT * FROM typed", "key": {"d": "uuid"}}, source, HERE)
    assert "no UUID type" in problem.message


SELECTABLES = """
import sqlalchemy as sa
meta = sa.MetaData()
columns = [sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer), sa.Column("name", sa.String)]
thing = sa.Table("thing", meta, *columns)
few = sa.select(thing.c.id, thing.c.name).where(thing.c.n == sa.bindparam("which"))
def chosen(parameters):
    return sa.select(thing.c.id.label("ident")).where(thing.c.id < parameters["below"])
number = 5
"""


@pytest.fixture
def selectables(tmp_path, monkeypatch):
    name = f"selectables_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(SELECTABLES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_selectables(database, context, keys, selectables):
    source = things(database)
    cases = [
        ({"selectable": f"{selectables}:thing", "key": ["id"]}, list(range(30))),
        ({"selectable": f"{selectables}:few", "key": {"id": "integer"}, "which": 2}, list(range(2, 30, 3))),
        ({"selectable": f"{selectables}:chosen", "key": ["ident"], "below": 9}, list(range(9))),
    ]
    for parameters, expected in cases:
        assert query.check(parameters, source, HERE) == []
        assert keys(query.read_items(context(source, batch_size=4, **parameters))) == expected
        assert query.count_items(context(source, **parameters)) == len(expected)
        ids = source.key_shape(parameters).parse(["5", "2"])
        assert keys(query.read_items(context(source, ids=ids, **parameters))) == [i for i in (5, 2) if i in expected]
        assert set(parameters) <= set(query.describe_parameters(parameters))


@pytest.mark.parametrize(
    ("parameters", "message", "hint"),
    [
        ({"sql": SQL, "key": ["number"]}, "parameter ':least' has no value", None),
        ({"sql": SQL, "key": ["number"], "leats": 1}, "parameter ':least' has no value", "did you mean 'leats'?"),
        ({"sql": SQL, "key": ["numbr"], "least": 1}, "key column 'numbr' is not in", "did you mean 'number'?"),
        ({"sql": SQL, "least": 1}, "a query needs a `key`", None),
        ({"sql": SQL, "key": [], "least": 1}, "a query needs a `key`", None),
        ({"sql": SQL, "key": {"number": "integr"}, "least": 1}, "unknown type 'integr'", "did you mean 'integer'?"),
        ({"key": ["id"]}, "in one of two ways", None),
        ({"sql": SQL, "selectable": "a:b", "key": ["id"]}, "in one of two ways", None),
        ({"sql": "SELECT id, n, n + 1 AS n FROM thing", "key": ["id"]}, "two columns named n", "give each"),
        ({"selectable": "no_such_module:x", "key": ["id"]}, "module 'no_such_module' cannot be imported", None),
        ({"selectable": "SELECTABLES:fev", "key": ["id"]}, "has no 'fev'", "did you mean 'few'?"),
        ({"selectable": "SELECTABLES:number", "key": ["id"]}, "is nothing to select from", None),
        ({"selectable": "SELECTABLES:few", "key": ["id"]}, "parameter ':which' has no value", None),
    ],
)
def test_wrong_parameters_are_found_by_the_check(postgresql, selectables, parameters, message, hint):
    source = things(postgresql, 1)
    if "selectable" in parameters:
        parameters = {**parameters, "selectable": parameters["selectable"].replace("SELECTABLES", selectables)}
    [problem] = query.check(parameters, source, HERE)
    assert message in problem.message
    assert problem.location == HERE
    assert (problem.hint or "").startswith(hint or "")


def test_only_a_select_can_be_a_query(database, context):
    source = things(database)
    for sql in ("DELETE FROM thing", "DELETE FROM thing RETURNING id", "SELECT id FROM thing; DELETE FROM thing"):
        with pytest.raises(SourceError, match="source database"):
            list(query.read_items(context(source, sql=sql, key=["id"])))
    assert query.count_items(context(source, sql="SELECT id FROM thing", key=["id"])) == 30


def test_parameters_of_sql_text_are_described():
    described = query.describe_parameters({"sql": "SELECT ':no' AS x, id::text FROM t WHERE a = :a AND b = :b"})
    assert {"a", "b", "sql", "key"} <= set(described)
    assert "text" not in described
