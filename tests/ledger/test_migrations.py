from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

import contraflow.ledger.migrations
from contraflow.errors import LedgerError
from contraflow.ledger import IntentItem, ItemState, Ledger, open_ledger
from contraflow.ledger.schema import HEAD, VERSION_TABLE, metadata

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"


def test_the_migrations_make_the_tables_that_the_queries_expect(ledger: Ledger) -> None:
    with ledger._database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        differences = [
            difference
            for difference in compare_metadata(context, metadata)
            if not (difference[0] == "remove_table" and not difference[1].name.startswith("cf_"))
        ]
        assert differences == []
        for table in metadata.sorted_tables:  # what the comparison passes over
            primary = inspect(connection).get_pk_constraint(table.name)["constrained_columns"]
            assert primary == [column.name for column in table.primary_key]
            checks = inspect(connection).get_check_constraints(table.name)
            assert len(checks) == (1 if table.name == "cf_item_state" else 0)


def test_sqlite_keeps_items_in_their_key_order(sqlite_url: str) -> None:
    with open_ledger(sqlite_url) as ledger, ledger._database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        made = {row.name: row.sql for row in rows}
    assert "WITHOUT ROWID" in made["cf_item_state"]
    assert "AUTOINCREMENT" in made["cf_job_execution"]


def test_the_newest_revision_is_the_one_that_the_code_names() -> None:
    migrations = contraflow.ledger.migrations.__path__[0]
    assert ScriptDirectory(migrations).get_heads() == [HEAD]


def test_an_up_to_date_ledger_opens_without_alembic(url: str) -> None:
    open_ledger(url).close()
    child = (
        f"import sys; from contraflow.ledger import open_ledger; open_ledger({url!r}).close(); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('alembic', 'mako')))"
    )
    ended = subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]"


def test_the_wheel_brings_the_migrations(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    here = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/contraflow/ledger").rglob("*.py")}
    assert here <= set(names)
    assert "contraflow/ledger/migrations/env.py" in names


@pytest.fixture
def old_url(url: str) -> str:
    """A ledger of revision 0001, as ``data/keep_revision.py`` kept it."""
    return kept(url, "0001")


def kept(url: str, revision: str) -> str:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((DATA / f"revision_{revision}.sqlite.sql").read_text())
    else:
        execute(url, (DATA / f"revision_{revision}.postgresql.sql").read_text())
    return url


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def test_a_ledger_of_revision_0001_keeps_all_that_it_knew(old_url: str) -> None:
    tables = ("cf_ledger", "cf_stream", "cf_item_state", "cf_dead_letter", "cf_job_execution", "cf_step_execution")
    before = {table: rows_of(old_url, table) for table in tables}
    with open_ledger(old_url) as ledger:
        assert [execution.id for execution in ledger.executions()] == [3, 2, 1]
        states = ledger.item_states(1, ["[1]", "[\"Zoë '♥'\",5]"])
        assert states["[1]"].remote_version == '"v1"'
        doubt = ItemState("[\"Zoë '♥'\",5]", "in_doubt", 3, "fp1:old", "fp1:tried", "r5", None)
        assert states[doubt.key] == doubt
        assert [item.key for item in ledger.items_in("in_doubt")] == [("Zoë '♥'", 5)]
        assert ledger.dead_letters()[0].reason == "it's no; e-mail\naddress"
        names = {"integration": "acme", "job": "customers_export"}
        assert ledger.checkpoint(**names, step="customers") == (3,)
        assert ledger.checkpoint(**names, step="customers", request="digest") is None
        assert ledger.start_job(**names, parameters={}, started=datetime.now(UTC)) == 4
    for table, rows in before.items():
        after = rows_of(old_url, table)[: len(rows)]
        assert [
            {**row, **dict.fromkeys(new.keys() - row.keys())} for row, new in zip(rows, after, strict=True)
        ] == after
    open_ledger(old_url).close()


def rows_of(url: str, table: str) -> list[dict[str, object]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        rows = [dict(row) for row in result.mappings()]
    engine.dispose()
    return rows


def test_a_ledger_of_revision_0002_keeps_what_was_in_flight(url: str) -> None:
    kept(url, "0002")
    with open_ledger(url) as ledger:
        (intent,) = ledger.intents(1)
        assert intent.items == (IntentItem("[6]", "upsert", 2, "fp1:sent", "cf1-key", '{"name":"Zoë"}', "r6", '"v6"'),)
        assert (intent.boot_id, intent.boot_time, intent.returned) == ("boot", 100.0, False)
        state = ledger.lease_state("acme", "customers_export")
        assert state is not None
        assert (state.epoch, state.owner) == (1, "dead")
        assert [request.body["ids"] for request in ledger.requests()] == [[7]]
        assert ledger.item_states(1, ["[1]"])["[1]"].remote_id == "r1"


def test_a_migration_that_cannot_be_ended_leaves_the_old_ledger(old_url: str) -> None:
    """A table of the last thing that the migration makes is in its way."""
    execute(old_url, "CREATE TABLE cf_request (id INTEGER)")
    with pytest.raises(LedgerError, match="already exists"):
        open_ledger(old_url)
    assert execute(old_url, "SELECT version_num FROM cf_alembic_version") == [("0001",)]
    execute(old_url, "DROP TABLE cf_request")
    open_ledger(old_url).close()


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from contraflow.ledger import open_ledger

left = int(sys.argv[2])

def count(connection, cursor, statement, *rest):
    global left
    if statement.startswith(("SELECT", "PRAGMA", "select")):
        return
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

event.listen(Engine, "after_cursor_execute", count)
open_ledger(sys.argv[1]).close()
"""


def test_40_killed_in_a_migration_the_old_ledger_or_the_new_is_left(url: str) -> None:
    """At every statement, every day at some; with an intent in doubt, which survives each of the deaths."""
    kept(url, "0002")
    deaths, stride = 0, 1 if os.environ.get("CONTRAFLOW_TEST_ALL") == "1" else 5
    while (died := subprocess.run([sys.executable, "-c", KILLED, url, str(deaths)], check=False).returncode) != 0:
        assert died == -9
        deaths += stride
        assert execute(url, "SELECT version_num FROM cf_alembic_version")[0][0] in ("0002", HEAD)
        ((count,),) = execute(url, "SELECT count(*) FROM cf_intent")
        assert count == 1
    assert deaths > 10
    with open_ledger(url) as ledger:
        (intent,) = ledger.intents(1)
        assert intent.items == (IntentItem("[6]", "upsert", 2, "fp1:sent", "cf1-key", '{"name":"Zoë"}', "r6", '"v6"'),)
