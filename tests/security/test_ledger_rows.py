"""S15: what the ledger holds is not trusted. A row that contraflow did not write is named, and no command falls over it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contraflow.ledger.schema import metadata

COLUMNS = [(table.name, column.name) for table in metadata.sorted_tables for column in table.c]
HOSTILE = ["\x1b]0;junk\x07", b"\xff\xfe", '{"a": 1}']
COMMANDS = [["status"], ["held"], ["dead-letters"], ["conflicts"], ["conflicts", "show", "1"]]
READ_BY_RUNS = ("cf_ledger", "cf_stream", "cf_item_state", "cf_intent", "cf_request", "cf_forgotten")
"""The others' rows a run only adds to; with a strange holder of a lease it would wait for 30 s."""

UNLUCKY = """
@hookimpl
def write_items(items, context):
    fates = [lambda key: Written(key=key), lambda key: Rejected(key=key, code="no", reason="no"),
             lambda key: Unknown(key=key, reason="who knows")]
    return [fates[at](each.key) for at, each in enumerate(items)]
"""

SILENT = """
@hookimpl
def write_items(items, context):
    return [Unknown(key=each.key, reason="who knows") for each in items]
"""

ROWS = """
INSERT INTO cf_request (integration, job, body, digest, requested)
VALUES ('acme', 'crm_export', '{"ids": [1], "steps": ["customers"], "parameters": {}}', 'x', '2026-01-01 00:00:00');
INSERT INTO cf_approval (stream_id, digest, execution_id, recorded) VALUES (1, 'x', 1, '2026-01-01 00:00:00');
INSERT INTO cf_plan (digest, integration, job, begun) VALUES ('x', 'acme', 'crm_export', '2026-01-01 00:00:00');
INSERT INTO cf_conflict (stream_id, key, fields, base, local, remote, decision, execution_id, recorded)
VALUES (1, '[1]', '["name"]', '{"name": 1}', '{"name": 2}', '{"name": 3}', '{"name": "local"}', 1, '2026-01-01 00:00:00');
INSERT INTO cf_forgetting (entity, key, begun) VALUES ('customer', '[2]', '2026-01-01 00:00:00');
INSERT INTO cf_forgotten (stream_id, digest) VALUES (1, 'x');
INSERT INTO cf_reference (stream_id, key, name, parent, met) VALUES (1, '[1]', 'customer', '[1]', 1);
"""
"""What only comes about while another process runs, or where somebody approved, planned, decided or forgot."""


@pytest.fixture(scope="session")
def owing_project(new_project: Any) -> Path:
    """A project whose ledger has a row in every table: items in each state, dead letters, an intent, a request."""
    back = Path.cwd()
    project = new_project("owing")
    project.capabilities("", UNLUCKY)
    project.sql("DELETE FROM order_line WHERE order_no = 'B'")
    project.run("sync", "acme")
    project.connector(SILENT)
    project.sql("UPDATE customer SET name = 'newer' WHERE id <> 3")
    project.run("sync", "acme")
    project.sql(ROWS, "ledger.db")
    project.forget_modules()
    os.chdir(back)
    return Path(project.directory)


@pytest.fixture
def owing(project: Any, owing_project: Path) -> Any:
    """A copy of it."""
    shutil.copytree(owing_project, project.directory, dirs_exist_ok=True)
    return project


def tampered(project: Any, table: str, column: str) -> Iterator[Any]:
    """The ledger with each hostile value in turn in all rows of a column."""
    path = project.directory / "ledger.db"
    sound = path.read_bytes()
    for value in HOSTILE:
        path.write_bytes(sound)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            try:
                connection.execute(f"UPDATE {table} SET {column} = ?", [value])  # noqa: S608 - names of our own schema
            except sqlite3.IntegrityError:
                continue  # the database itself refuses it
        yield value


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda name: name.removeprefix("cf_"))
def test_s15_a_tampered_row_gives_a_clean_error(owing: Any, table: str, column: str) -> None:
    with closing(sqlite3.connect(owing.directory / "ledger.db")) as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    assert rows > 0, "there is something to tamper with"
    for value in tampered(owing, table, column):
        for command in [*COMMANDS, ["sync", "acme"]] if table in READ_BY_RUNS else COMMANDS:
            result = owing.run(*command)
            told = f"{command} with {value!r} in {table}.{column}: {result.output}"
            assert result.exit_code != 70, told
            assert "Traceback" not in result.output, told
            assert "\x1b" not in result.output, told
            assert not isinstance(result.exception, Exception), told
