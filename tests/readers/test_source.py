"""The source database: reaching it, and finding the entities in it."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import sys

import pytest
import sqlalchemy as sa

from contraflow.errors import ConfigError, Location, SourceError
from contraflow.source import EntitySpec, Source

HERE = Location(file="contraflow.yaml", line=4, path="entities.thing")
SECRET = "hunter2-marker"


def spec(**options):
    return EntitySpec(name="thing", location=HERE, **options)


def problem_of(source, name="thing"):
    with pytest.raises(ConfigError) as raised:
        source.entity(name)
    [problem] = raised.value.problems
    assert source.check() == [problem] or name != "thing"
    return problem


def test_a_file_that_does_not_exist_is_an_error_and_not_created(tmp_path):
    with Source("sqlite:///shop.db", {}, directory=tmp_path) as source:
        with pytest.raises(SourceError, match=r"shop\.db does not exist"):
            source.engine  # noqa: B018
        [problem] = source.check()
        assert "does not exist" in problem.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["shop.db", "my shop?#%41&.db", "söme.db"])
def test_a_file_relative_to_the_project_with_any_name(tmp_path, name):
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
        connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    url = sa.URL.create("sqlite", database=name)
    with Source(url, {"thing": spec(table="thing")}, directory=tmp_path) as source:
        assert source.entity("thing").key_names == ("id",)
        assert source.check() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_the_source_cannot_be_written(kind, request):
    database = request.getfixturevalue(kind)
    database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    source = database.source()
    insertion = sa.text("INSERT INTO thing VALUES (1)")
    with pytest.raises(SourceError, match="cannot read the source database"):
        source.run(lambda connection: (connection.execute(insertion), connection.commit()))
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM thing")).scalar() == 0


def test_a_file_in_write_ahead_mode_can_be_read(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    with sqlite.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    sqlite.engine.dispose()
    assert sqlite.table_source("thing").entity("thing").key_names == ("id",)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "shop.db").write_text("This is not a database." * 100)
    with Source(f"sqlite:///{tmp_path}/shop.db", {"thing": spec(table="thing")}) as source:
        with pytest.raises(SourceError, match="file is not a database"):
            source.entity("thing")
        assert "file is not a database" in source.check()[0].message


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_a_server_that_cannot_be_reached(scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"{scheme}://ana:{SECRET}@127.0.0.1:{port}/shop?application_name={SECRET}"
        url = url if scheme == "postgresql" else url.partition("?")[0]
        with Source(url, {"thing": spec(table="thing")}) as source:
            with pytest.raises(SourceError, match="cannot reach the source database") as raised:
                source.entity("thing")
            [problem] = source.check()
    for message in (str(raised.value), problem.message):
        assert SECRET not in message
        assert "\n" not in message
        assert f"ana:***@127.0.0.1:{port}/shop" in message


def test_a_refused_password_is_not_shown(mysql):
    url = mysql.url.set(username="contraflow_nobody", password=SECRET)
    with Source(url, {}) as source, pytest.raises(SourceError, match="Access denied") as raised, source.connect():
        pass
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        (f"no url with {SECRET}", "not a database URL", None),
        (f"postgresql://u:{SECRET}@host:port/x", "not a database URL", None),
        ("", "not a database URL", None),
        ("postgersql://host/x", "unknown kind of database 'postgersql'", "did you mean 'postgresql'?"),
    ],
)
def test_a_url_that_is_none(url, message, hint):
    with Source(url, {}) as source:
        [problem] = source.check()
    assert message in problem.message
    assert problem.hint == hint
    assert SECRET not in str(problem)


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("postgresql", "psycopg", "postgresql"), ("mysql", "pymysql", "mysql")]
)
def test_a_driver_that_is_not_installed(monkeypatch, scheme, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with Source(f"{scheme}://host/shop", {}) as source:
        [problem] = source.check()
    assert problem.message == f"the driver '{module}' for {scheme} is not installed"
    assert problem.hint == f"pip install 'contraflow[{extra}]'"


def test_an_unknown_entity(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    problem = problem_of(sqlite.source(spec(table="thing")), "thign")
    assert (problem.message, problem.hint) == ("unknown entity 'thign'", "did you mean 'thing'?")


def test_a_missing_table(database):
    database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    problem = problem_of(database.source(spec(table="customer")))
    assert problem.message == "the source database has no table 'customer'"
    assert problem.hint == "did you mean 'customers'?"
    assert problem.location == HERE


def test_a_missing_schema(database):
    database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    schema = sa.inspect(database.engine).default_schema_name
    problem = problem_of(database.source(spec(table="customers", schema=f"{schema}x")))
    assert problem.message == f"the source database has no schema '{schema}x'"
    assert problem.location == HERE
    if database.engine.dialect.name != "postgresql":  # whose default schema here is another
        assert problem.hint == f"did you mean '{schema}'?"


def test_a_table_in_a_schema(postgresql):
    postgresql.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    with postgresql.engine.connect() as connection:
        schema = connection.execute(sa.text("SELECT current_schema()")).scalar()
    elsewhere = Source(postgresql.url.set(query={}), {"thing": spec(table="thing", schema=schema)})
    with elsewhere as source:
        assert source.check() == []
        assert len(source.rows(sa.select(source.entity("thing").table))) == 0


def test_a_table_without_primary_key_needs_a_key(database):
    database.execute("CREATE TABLE thing (a INTEGER NOT NULL, b INTEGER)")
    problem = problem_of(database.source(spec(table="thing")))
    assert problem.message == "table 'thing' has no primary key"
    assert "`key: [column, ...]`" in problem.hint
    entity = database.source(spec(table="thing", key=("b", "a"))).entity("thing")
    assert entity.key_names == ("b", "a")
    assert not entity.unique


def test_views_are_tables_with_a_key(database):
    database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    database.execute("CREATE VIEW seen AS SELECT id AS ident FROM thing")
    entity = database.source(spec(table="seen", key=("ident",))).entity("thing")
    assert entity.key_names == ("ident",)
    assert "no primary key" in problem_of(database.source(spec(table="seen"))).message


@pytest.mark.parametrize(("key", "message"), [(("idd",), "no column 'idd'"), ((), "is empty"), (("id", "id"), "twice")])
def test_a_key_that_is_none(sqlite, key, message):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    problem = problem_of(sqlite.source(spec(table="thing", key=key)))
    assert message in problem.message
    assert problem.hint == ("did you mean 'id'?" if "idd" in key else None)


def test_what_the_database_keeps_unique(database):
    database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, UNIQUE (a, b))")
    database.execute("CREATE UNIQUE INDEX on_c ON thing (c)")
    cases = {("id",): True, ("c", "id"): True, ("a", "b"): True, ("c",): True, ("a",): False, ("b",): False}
    for key, unique in cases.items():
        assert database.source(spec(table="thing", key=key)).entity("thing").unique is unique


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_partial_unique_index_keeps_nothing_unique(kind, request):
    database = request.getfixturevalue(kind)
    database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, a INTEGER)")
    database.execute("CREATE UNIQUE INDEX part ON thing (a) WHERE id > 5")
    assert not database.source(spec(table="thing", key=("a",))).entity("thing").unique


@pytest.mark.parametrize(
    ("mapped", "message", "hint"),
    [
        ("reader_test_shop", "'reader_test_shop' names nothing that can be imported", None),
        (":Customer", "names nothing that can be imported", None),
        ("no_such_module:Customer", "module 'no_such_module' cannot be imported", None),
        ("reader_test_shop:Custmer", "has no 'Custmer'", "did you mean 'Customer'?"),
        ("reader_test_shop:NotMapped", "'reader_test_shop:NotMapped' is not a mapped class", None),
        ("reader_test_shop:annotations", "is not a mapped class", None),
    ],
)
def test_mapped_classes_that_are_none(sqlite, shop, mapped, message, hint):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    problem = problem_of(sqlite.source(spec(mapped=mapped)))
    assert message in problem.message
    assert problem.hint == hint
    assert problem.location == HERE


def test_a_module_that_fails_while_it_is_imported(sqlite, tmp_path, monkeypatch):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    (tmp_path / "broken_models.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    problem = problem_of(sqlite.source(spec(mapped="broken_models:Customer")))
    assert problem.found == "ZeroDivisionError: division by zero"


def test_mapped_classes_are_compared_with_the_database(database, shop):
    database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, custmer_id INTEGER)")
    found = database.source(
        spec(mapped="reader_test_shop:Customer"),
        EntitySpec(name="order", mapped="reader_test_shop:Order", location=HERE),
    ).check()
    assert [(problem.message, problem.hint) for problem in found] == [
        ("the source database has no table 'customer'", "did you mean 'customers'?"),
        ("table 'orders' has no column 'customer_id', which reader_test_shop:Order maps", "did you mean 'custmer_id'?"),
    ]


def test_every_problem_at_once(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    names = ["a", "b", "c"]
    source = sqlite.source(*(EntitySpec(name=name, table=f"no_{name}") for name in names), spec(table="thing"))
    assert [problem.message for problem in source.check()] == [
        f"the source database has no table 'no_{n}'" for n in names
    ]


def test_columns_of_a_type_that_sqlalchemy_does_not_know_are_read(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, g GEOMETRY_OF_SORTS, n)")
    assert list(sqlite.table_source("thing").entity("thing").columns) == ["id", "g", "n"]


def test_nothing_is_connected_before_it_is_needed_and_all_is_closed(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
    with Source("postgresql://nobody@127.0.0.1:1/none", {"thing": spec(table="thing")}) as source:
        assert source.entity_names == ("thing",)
    source = sqlite.table_source("thing")
    source.entity("thing")
    pool = source.engine.pool
    assert pool.checkedin() == 1
    source.close()
    assert source.engine.pool is not pool


def test_the_shape_of_the_ids_of_a_step(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, code TEXT)")
    sqlite.execute("INSERT INTO thing VALUES (1, 'a')")
    source = sqlite.table_source("thing")
    query = {"sql": "SELECT code FROM thing", "key": ["code"]}
    assert source.key_shape({"entity": "thing"}).types == (int,)
    assert source.key_shape(query).types == source.key_shape({**query, "entity": "thing"}).types == (str,)
    for foreign in ({}, {"entity": "of_another_reader"}, {"key": "secret"}, {"sql": "SELECT 1"}):
        assert source.key_shape(foreign) is None


def test_a_stored_value_that_is_none_of_its_type_is_not_repeated_in_the_message(sqlite):
    sqlite.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, day DATE)")
    sqlite.execute(f"INSERT INTO thing VALUES (1, '{SECRET}')")  # noqa: S608
    source = sqlite.table_source("thing")
    statement = sa.select(source.entity("thing").table)
    with pytest.raises(SourceError, match="none of its column's type") as raised:
        source.rows(statement)
    assert SECRET not in str(raised.value)
