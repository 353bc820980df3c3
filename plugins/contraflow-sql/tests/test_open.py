"""Settings that cannot be honoured are refused before anything is written, with the nearest valid name."""

from __future__ import annotations

import traceback
from pathlib import Path

import attrs
import cattrs
import pytest
import sqlalchemy as sa

from contraflow_hookspecs import SystemicError
from contraflow_sql import Mode, SqlSettings, TableSettings, open_database

MARKER = "s3cr3t-M4rker"


def refusal(warehouse, tables, **settings) -> str:
    with pytest.raises(SystemicError) as raised, warehouse.step(tables, **settings):
        pass
    return str(raised.value)


def test_an_unknown_table_names_the_nearest(warehouse, contacts):
    message = refusal(warehouse, {"customer": {"table": "contact"}})
    assert message == "tables.customer.table: no table 'contact'; did you mean 'contacts'?"


def test_a_hostile_table_name_is_an_unknown_table(warehouse, contacts):
    message = refusal(warehouse, {"customer": {"table": 'contacts"; DROP TABLE contacts;--'}})
    assert message.startswith("tables.customer.table: no table")
    assert warehouse.rows(contacts) == []


def test_unknown_columns_name_the_nearest(warehouse, contacts):
    columns = {"table": "contacts", "columns": {"e_mail": "Email"}}
    assert refusal(warehouse, {"c": columns}) == (
        "tables.c.columns: no column 'e_mail' in table 'contacts'; did you mean 'email'?"
    )
    assert "tables.c.key: no column 'contact'" in refusal(
        warehouse, {"c": {"table": "contacts", "key": {"contact": 1}}}
    )


def test_an_unknown_schema(warehouse, contacts):
    assert "schema: no schema 'nowhere_at_all'" in refusal(
        warehouse, {"c": {"table": "contacts"}}, schema="nowhere_at_all"
    )


@pytest.mark.parametrize("mode", ["upsert", "create", "update"])
def test_a_key_that_does_not_tell_rows_apart(warehouse, contacts, mode):
    message = refusal(warehouse, {"c": {"table": "contacts", "key": {"name": "Name"}, "mode": mode}})
    assert "(name) is neither the primary key nor a unique constraint or index of table 'contacts'" in message
    assert message.endswith("unique there: (contact_no) or (email)")


def test_a_unique_index_serves_as_key_and_a_partial_one_does_not(warehouse):
    warehouse.create("people", sa.Column("id", sa.Integer, primary_key=True), sa.Column("tag", sa.String(200)))
    tables = {"p": {"table": "people", "key": {"tag": "Tag"}}}
    partial = "(tag(10))" if warehouse.backend == "mysql" else "(tag) WHERE id > 0"
    warehouse.execute(f"CREATE UNIQUE INDEX part ON people {partial}")
    assert "neither" in refusal(warehouse, tables)
    warehouse.execute("CREATE UNIQUE INDEX whole ON people (tag)")
    with warehouse.step(tables) as context:
        assert [column.name for column in context.resource.targets["p"].key_columns] == ["tag"]


def test_a_table_without_primary_key_needs_a_key(warehouse):
    warehouse.create("loose", sa.Column("a", sa.Integer))
    assert "has no primary key; say under key:" in refusal(warehouse, {"x": {"table": "loose"}})


def test_a_required_column_that_nothing_fills(warehouse):
    warehouse.create(
        "people",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(9), nullable=False, server_default="x"),
    )
    tables = {"p": {"table": "people", "columns": {}}}
    assert "column 'name' of table 'people' must not be null and has no default" in refusal(warehouse, tables)
    with warehouse.step({"p": {**tables["p"], "mode": "update"}}):
        pass


def test_a_generated_column_cannot_be_written(warehouse):
    stored = "" if warehouse.backend == "sqlite" else " STORED"
    warehouse.execute(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER GENERATED ALWAYS AS (a + 1){stored})"
    )
    message = refusal(warehouse, {"t": {"table": "t", "columns": {"b": "B"}}})
    assert message == "tables.t.columns: column 'b' of table 't' is generated and cannot be written"


def test_a_mysql_table_without_transactions(mysql):
    mysql.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) ENGINE=MyISAM")
    assert refusal(mysql, {"t": {"table": "t"}}) == ("tables.t: table 't' is kept by MyISAM, which has no transactions")


def test_a_sqlite_file_is_never_created(tmp_path):
    file = tmp_path / "missing.db"
    settings = SqlSettings(url=f"sqlite:///{file}", tables={"t": TableSettings(table="t")})
    with pytest.raises(SystemicError, match=r"no SQLite file at .*missing\.db"), open_database(settings):
        pass
    assert not file.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_sqlite_database_in_memory_is_refused(url):
    settings = SqlSettings(url=url, tables={"t": TableSettings(table="t")})
    with pytest.raises(SystemicError, match="in-memory"), open_database(settings):
        pass


def test_a_file_that_is_no_database(tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at by SQLite" * 50)
    settings = SqlSettings(url=f"sqlite:///{file}", tables={"t": TableSettings(table="t")})
    with pytest.raises(SystemicError, match="file is not a database"), open_database(settings):
        pass


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        ("nosuch", "url: SQLAlchemy has no driver 'postgresql+nosuch'; expected postgresql+psycopg"),
        ("psycopg_async", "url: expected a synchronous driver, found postgresql+psycopg_async"),
    ],
)
def test_a_driver_that_does_not_serve(driver, message):
    settings = SqlSettings(url=f"postgresql+{driver}://u:{MARKER}@h/d", tables={"t": TableSettings(table="t")})
    with pytest.raises(SystemicError) as raised, open_database(settings):
        pass
    assert str(raised.value) == message
    assert MARKER not in "".join(traceback.format_exception(raised.value))


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    settings = SqlSettings(url=f"mysql://u:{MARKER}@h/d", tables={"t": TableSettings(table="t")})
    with pytest.raises(SystemicError, match=r'install "contraflow-sql\[mysql\]"') as raised, open_database(settings):
        pass
    assert MARKER not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"url": f"no url: {MARKER}"}, "expected a SQLAlchemy URL"),
        ({"url": f"postgresql://u:{MARKER}@h:port/d"}, "expected a SQLAlchemy URL"),
        ({"url": f"oracle://u:{MARKER}@h/d"}, "expected the URL of one of sqlite, postgresql, mysql, mariadb"),
        ({"tables": {}}, "tables"),
        ({"schema": "a\0b"}, "schema: expected a name of at most 128 characters"),
        ({"tables": {"t": {"table": "x" * 129}}}, "table: expected a name of at most 128 characters"),
        ({"tables": {"t": {"table": " "}}}, "table: expected the name"),
        ({"tables": {"t": {"table": "t", "mode": "merge"}}}, "merge"),
        (
            {"tables": {"t": {"table": "t", "mode": "create", "only_changed": True}}},
            "only_changed: mode create updates",
        ),
        ({"tables": {"t": {"table": "t", "key": {}}}}, "key: expected at least one column"),
        ({"tables": {"t": {"table": "t", "key": {"id": 0}}}}, "key.id: expected a position in the item's key, from 1"),
        ({"tables": {"t": {"table": "t", "key": {"id": None}}}}, "key.id: expected an attribute's name or a position"),
        (
            {"tables": {"t": {"table": "t", "key": {"id": 1}, "columns": {"id": "Id"}}}},
            "columns.id: the column is in key",
        ),
        (
            {"tables": {"t": {"table": "t", "key": {"id": 1}, "parents": {"id": "owner"}}}},
            "parents.id: the column is in key: already",
        ),
        (
            {"tables": {"t": {"table": "t", "columns": {"a": "A"}, "parents": {"a": "owner"}}}},
            "parents.a: the column is in columns: already",
        ),
        ({"tables": {"t": {"table": "t", "parents": {"a": " "}}}}, "parents.a: expected the name of one of the step's"),
        ({"tables": {"t": {"table": "t", "keys": {"id": 1}}}}, "keys"),
        ({"lock_timeout": 0}, "lock_timeout"),
    ],
)
def test_settings_that_need_no_database_to_be_refused(fault, message):
    settings = {"url": "sqlite:///x.db", "tables": {"t": {"table": "t"}}, **fault}
    with pytest.raises(cattrs.ClassValidationError) as raised:
        cattrs.Converter(forbid_extra_keys=True).structure(settings, SqlSettings)
    shown = "".join(traceback.format_exception(raised.value))
    assert message in shown
    assert MARKER not in shown + "\n".join(cattrs.transform_error(raised.value))


def test_the_url_is_secret():
    settings = SqlSettings(url=f"postgresql://u:{MARKER}@h/d", tables={"t": TableSettings(table="t")})
    assert attrs.fields(SqlSettings).url.metadata == {"secret": True}
    assert MARKER not in repr(settings)
    assert settings.tables["t"].mode is Mode.UPSERT
