"""The first baseline: a loop over SQLAlchemy Core that makes the records and hands them on, and does nothing else.

python benchmarks/plain_loop.py SOURCE ROWS DIRECTORY
"""

from __future__ import annotations

import sys
from typing import Any

import sqlalchemy as sa
from contender import measured, report, require
from source_table import BATCH, TABLE, record


def main(source: str, rows: int) -> None:
    handed_on = 0

    def write(batch: list[dict[str, Any]]) -> None:
        nonlocal handed_on
        handed_on += len(batch)

    engine = sa.create_engine(f"sqlite:///{source}")
    table = sa.Table(TABLE, sa.MetaData(), autoload_with=engine)
    with measured(rows), engine.connect() as connection:
        result = connection.execution_options(yield_per=BATCH).execute(sa.select(table).order_by(table.c.id))
        for page in result.partitions():
            write([record(row) for row in page])
    engine.dispose()
    require(handed_on, rows, "the plain loop")
    report()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
