"""The second baseline: a custom destination of dlt, which is what its documentation recommends for reverse ETL.

python benchmarks/with_dlt.py SOURCE ROWS DIRECTORY [pages]

The resource yields single records, as most of dlt's examples do; with ``pages``, a list of 1,000 at a time, which is what
dlt recommends where speed matters.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt  # after its environment is set
import sqlalchemy as sa
from contender import measured, report, require
from source_table import BATCH, TABLE, record


def records(source: str, *, pages: bool) -> Iterator[Any]:
    """The same rows, read in the same way as in the plain loop."""
    engine = sa.create_engine(f"sqlite:///{source}")
    table = sa.Table(TABLE, sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        result = connection.execution_options(yield_per=BATCH).execute(sa.select(table).order_by(table.c.id))
        for page in result.partitions():
            if pages:
                yield [record(row) for row in page]
            else:
                yield from map(record, page)
    engine.dispose()


def main(source: str, rows: int, directory: Path, *, pages: bool) -> None:
    handed_on: list[int] = []  # of numbers, because dlt calls the destination from several threads

    @dlt.destination(batch_size=BATCH)
    def nowhere(items: Any, table: Any, /) -> None:
        handed_on.append(len(items))

    pipeline = dlt.pipeline("benchmark", destination=nowhere, pipelines_dir=str(directory / "dlt"))
    pipeline.run([], table_name="warm_up")
    with measured(rows):
        resource = dlt.resource(records(source, pages=pages), name=TABLE)
        pipeline.run(resource).raise_on_failed_jobs()
    require(sum(handed_on), rows, "dlt")
    report()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), pages=sys.argv[4:] == ["pages"])
