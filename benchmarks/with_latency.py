"""The contender with a slow remote: a first run with so many requests under way at once.

python benchmarks/with_latency.py SOURCE ROWS DIRECTORY CONCURRENCY BATCH
"""

from __future__ import annotations

import sys
from pathlib import Path

from contender import measured, report, require
from projects import make_project

from contraflow.project import Project


def main(source: str, rows: int, directory: Path, concurrency: int, batch: int) -> None:
    parameters = {"batch_size": batch, "concurrency": concurrency}
    with Project.load(make_project(directory, source, "far_away")) as project:
        project.sync("far_away", ids=[])
        with measured(rows):
            execution = project.sync("far_away", everything=True, parameters=parameters)
    require(execution.counts.get("created", 0), rows, f"contraflow ({'; '.join(execution.errors)})")
    report()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
