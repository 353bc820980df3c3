"""Whether the memory of a run depends on the size of the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from figures import Figure
from processes import run_contender
from source_table import make_source

_SIZES = (10_000, 1_000_000)
_MOST_GROWTH = 32.0  # MiB


def measure_memory(directory: Path, tell: Callable[[str], None]) -> list[Figure]:
    """Export a small and a large table with contraflow, each in a process of its own, and compare the peaks of memory.

    Args:
        directory: Where the source databases are kept.
        tell: Told of the progress.
    """
    peaks = []
    for rows in _SIZES:
        source = directory / f"source-{rows}.db"
        make_source(source, rows)
        tell(f"peak memory with {rows:,} rows")
        peaks.append(run_contender("with_contraflow", source, rows)["peak_kib"] / 1024)
    figures = [
        Figure(name=f"peak memory, {rows:,} rows", value=peak, unit="MiB")
        for rows, peak in zip(_SIZES, peaks, strict=True)
    ]
    return [
        *figures,
        Figure(name="growth of the peak", value=peaks[1] - peaks[0], unit="MiB", at_most=_MOST_GROWTH),
    ]
