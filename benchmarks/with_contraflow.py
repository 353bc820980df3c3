"""The contender: a project with a connector that writes nowhere, and a new ledger in a SQLite file.

python benchmarks/with_contraflow.py SOURCE ROWS DIRECTORY [RUNS]

Every run after the first finds nothing changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from contender import measured, report, require
from source_table import TABLE

from contraflow.project import Project

_PROJECT = """
source: sqlite:///{source}
ledger: sqlite:///{ledger}
entities:
  customer: {{table: {table}}}
plugins:
  nowhere: nowhere
integrations:
  nowhere: {{connector: nowhere}}
"""


def main(source: str, rows: int, directory: Path, runs: int) -> None:
    project_file = directory / "contraflow.yaml"
    project_file.write_text(_PROJECT.format(source=source, ledger=directory / "ledger.db", table=TABLE))
    for number in range(runs):
        with Project.load(project_file) as project:
            project.sync("nowhere", ids=[])  # an export of nothing: imports what a run needs, and makes the ledger
            with measured(rows):
                execution = project.sync("nowhere", everything=True)
        outcome = "unchanged" if number else "created"
        require(execution.counts.get(outcome, 0), rows, f"contraflow, {outcome} ({'; '.join(execution.errors)})")
    report()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
