"""How quickly a whole table is exported, beside two baselines."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Figure
from processes import run_contender
from source_table import make_source

CONTENDERS = {
    "plain loop": ("plain_loop",),
    "contraflow": ("with_contraflow", "3"),
    "dlt, row by row": ("with_dlt",),
    "dlt, pages": ("with_dlt", "pages"),
}
"""By name: a module, and what it is told."""

_LATER_RUNS = ("contraflow, nothing changed", "contraflow, 1 % changed")
_LEAST_OF_PLAIN_LOOP = 0.20
_LEAST_OF_PLAIN_LOOP_UNCHANGED = 0.40
_LEAST_OF_DLT = 1.0


def measure_export(directory: Path, rows: int, repetitions: int, tell: Callable[[str], None]) -> list[Figure]:
    """Export the table with each contender, again and again in turn, so that a busy machine hinders all of them.

    The plain loop, which takes least, runs before and behind contraflow: what it gets of a machine that changes its pace
    within seconds is then told by the mean of both.

    Args:
        directory: Where the source database is kept.
        rows: Size of the table.
        repetitions: How many times each contender runs.
        tell: Told of the progress.

    Returns:
        Rates, which are medians, and ratios, which are medians of the ratios within a repetition.
    """
    source = directory / f"source-{rows}.db"
    make_source(source, rows)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*CONTENDERS, *_LATER_RUNS)}
    for number in range(1, repetitions + 1):
        for name, (module, *arguments) in CONTENDERS.items():
            tell(f"export of {rows:,} rows, {number} of {repetitions}: {name}")
            first, *later = run_contender(module, source, rows, *arguments)["runs"]
            runs[name].append(first)
            for later_name, run in zip(_LATER_RUNS, later, strict=False):  # the baselines have no later runs
                runs[later_name].append(run)
            if name == "contraflow":
                (behind,) = run_contender("plain_loop", source, rows)["runs"]
                before = runs["plain loop"][-1]
                runs["plain loop"][-1] = {what: (before[what] + behind[what]) / 2 for what in before}
    return _figures(runs, rows)


def _figures(runs: dict[str, list[dict[str, Any]]], rows: int) -> list[Figure]:
    def rate(name: str, contender: str) -> Figure:
        wall = statistics.median(run["wall_seconds"] for run in runs[contender])
        user = statistics.median(run["user_seconds"] for run in runs[contender])
        note = f"{wall / rows * 1e6:.1f} µs a row, {user / rows * 1e6:.1f} µs of it CPU (user)"
        return Figure(name=name, value=rows / wall, unit="rows/s", note=note)

    def ratio(name: str, baseline: str, at_least: float | None, ours: str = "contraflow") -> Figure:
        pairs = list(zip(runs[baseline], runs[ours], strict=True))
        by_wall = statistics.median(base["wall_seconds"] / own["wall_seconds"] for base, own in pairs)
        by_user = statistics.median(base["user_seconds"] / own["user_seconds"] for base, own in pairs)
        return Figure(name=name, value=by_wall, unit="times", at_least=at_least, note=f"by CPU (user) {by_user:.2f}")

    return [
        rate("plain SQLAlchemy loop", "plain loop"),
        rate("contraflow, first run", "contraflow"),
        *(rate(name, name) for name in _LATER_RUNS),
        rate("dlt, resource yields rows", "dlt, row by row"),
        rate("dlt, resource yields pages", "dlt, pages"),
        ratio("first run / plain loop", "plain loop", _LEAST_OF_PLAIN_LOOP),
        ratio("nothing changed / plain loop", "plain loop", _LEAST_OF_PLAIN_LOOP_UNCHANGED, _LATER_RUNS[0]),
        ratio("1 % changed / plain loop", "plain loop", None, _LATER_RUNS[1]),
        ratio("first run / dlt, rows", "dlt, row by row", _LEAST_OF_DLT),
        ratio("first run / dlt, pages", "dlt, pages", _LEAST_OF_DLT),
    ]
