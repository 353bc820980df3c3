"""How much quicker a run is with several requests under way at once, where each takes 20 ms."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from figures import Figure
from processes import run_contender
from source_table import make_source

_MANY = 16
_LEAST = 10.0
# Chunks of one size and rows of one number; in a chunk of 1,000 the interpreter's own work takes as long as the request.
_SIZES = ((10, 4_000, _LEAST), (100, 20_000, None))


def measure_concurrency(directory: Path, repetitions: int, tell: Callable[[str], None]) -> list[Figure]:
    """Export a table to a remote that is 20 ms away, one request at a time and many.

    Args:
        directory: Where the source databases are kept.
        repetitions: How many times each is measured, in turn.
        tell: Told of the progress.

    Returns:
        For each size of a chunk the ratio of the two times, as the median of the ratios within a repetition.
    """
    figures = []
    for batch, rows, least in _SIZES:
        source = directory / f"source-{rows}.db"
        make_source(source, rows)
        ratios, rates = [], []
        for number in range(1, repetitions + 1):
            tell(f"20 ms a request, chunks of {batch}, {number} of {repetitions}")
            one, many = (_seconds(source, rows, concurrency, batch) for concurrency in (1, _MANY))
            ratios.append(one / many)
            rates.append(rows / many)
        name = f"20 ms a request, chunks of {batch}: {_MANY} at once / one"
        note = f"{statistics.median(rates):,.0f} rows/s with {_MANY}"
        figures.append(Figure(name=name, value=statistics.median(ratios), unit="times", at_least=least, note=note))
    return figures


def _seconds(source: Path, rows: int, concurrency: int, batch: int) -> float:
    report = run_contender("with_latency", source, rows, str(concurrency), str(batch))
    return float(report["runs"][0]["wall_seconds"])
