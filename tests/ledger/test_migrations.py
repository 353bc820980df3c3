from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import contraflow.ledger.migrations
from contraflow.ledger import Ledger, open_ledger
from contraflow.ledger.schema import HEAD, VERSION_TABLE, metadata

ROOT = Path(__file__).parents[2]


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
