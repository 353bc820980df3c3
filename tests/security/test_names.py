"""S14: names of tables and columns come from the schema, quoted by SQLAlchemy; values are always bound."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

TABLES = [
    'x") VALUES(1); DROP TABLE customer;--',
    "semi;colon",
    "quo'te",
    "per%cent%s",
    "sélect",
    "select",
    "a.b",
    "x" * 90,
]
COLUMNS = ['c") FROM customer;--', "per%(cent)s", "co:lon", "order"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("table", TABLES)
def test_s14_hostile_names_of_tables_and_columns(project: Any, table: str) -> None:
    columns = ", ".join(f"{quoted(name)} TEXT" for name in COLUMNS)
    key = quoted("k'); DROP TABLE customer;--")
    value = "v'); DROP TABLE customer;--"
    with closing(sqlite3.connect(project.directory / "shop.db")) as shop, shop:
        shop.execute(f"CREATE TABLE {quoted(table)} ({key} TEXT PRIMARY KEY, {columns})")
        shop.execute(f"INSERT INTO {quoted(table)} VALUES (?, ?, ?, ?, ?)", [value, *COLUMNS])  # noqa: S608
    project.replace("contraflow.yaml", "{table: customer}", f"{{table: {json.dumps(table)}}}")
    summary = project.json("sync", "acme", "--step", "customers")
    assert summary["counts"]["written"] == 1
    assert list(project.remote.values()) == [
        {"k'); DROP TABLE customer;--": value, **dict(zip(COLUMNS, COLUMNS, strict=True))}
    ]
    again = project.json("sync", "acme", "--step", "customers", "--id", value)
    assert again["counts"]["unchanged"] == 1
    with closing(sqlite3.connect(project.directory / "shop.db")) as shop:
        assert shop.execute("SELECT count(*) FROM customer").fetchone() == (3,)


@pytest.mark.parametrize("name", ["customer; DROP TABLE customer", "customer--", "CUSTOMER'", "", "\u202ecustomer"])
def test_s14_a_table_that_there_is_not_is_named_and_nothing_is_executed(project: Any, name: str) -> None:
    project.replace("contraflow.yaml", "{table: customer}", f"{{table: {json.dumps(name)}}}")
    result = project.run("sync", "acme")
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    with closing(sqlite3.connect(project.directory / "shop.db")) as shop:
        assert shop.execute("SELECT count(*) FROM customer").fetchone() == (3,)


def test_s18_the_source_is_opened_for_reading_alone(project: Any) -> None:
    """Whatever a query says, the source stays as it is."""
    project.replace(
        "jobs.yml",
        "services: {reader: entity.all, processor: crm, writer: crm}\n            parameters: {entity: customer}",
        "services: {reader: query, processor: crm, writer: crm}\n            parameters:\n"
        "                sql: DELETE FROM customer RETURNING id\n                key: id",
    )
    before = (project.directory / "shop.db").read_bytes()
    assert project.run("sync", "acme").exit_code != 0
    assert (project.directory / "shop.db").read_bytes() == before
