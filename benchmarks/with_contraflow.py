"""The contender: a project with a connector that writes nowhere, and a new ledger in a SQLite file.

python benchmarks/with_contraflow.py SOURCE ROWS DIRECTORY [RUNS]

The second run finds nothing changed, the third one field of every hundredth row.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from contender import measured, report, require
from projects import make_project
from source_table import TABLE

from contraflow.project import Project

_OUTCOMES = ("created", "unchanged", "updated")


def main(source: str, rows: int, directory: Path, runs: int) -> None:
    copy, ledger = directory / "source.db", directory / "ledger.db"
    shutil.copyfile(source, copy)
    project_file = make_project(directory, copy, "nowhere")
    for outcome in _OUTCOMES[:runs]:
        if outcome == "updated":
            _change_every_hundredth(copy)
        with Project.load(project_file) as project:
            project.sync("nowhere", ids=[])  # an export of nothing: imports what a run needs, and makes the ledger
            with measured(rows):
                execution = project.sync("nowhere", everything=True)
        expected = rows // 100 if outcome == "updated" else rows
        require(execution.counts.get(outcome, 0), expected, f"contraflow, {outcome} ({'; '.join(execution.errors)})")
        if outcome == "updated":
            require(_changed_in_company_alone(ledger), expected, "contraflow, changed in that field alone")
    report()


def _change_every_hundredth(source: Path) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(f"UPDATE {TABLE} SET company = 'Another' WHERE id % 100 = 0")  # noqa: S608


def _changed_in_company_alone(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT count(*) FROM cf_item_state WHERE changed = '[\"company\"]'"
        return int(connection.execute(query).fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
