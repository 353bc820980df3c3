"""Measure contraflow against its baselines: ``python benchmarks``, with the extra ``bench`` installed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
from concurrency import measure_concurrency
from export import measure_export
from figures import Figure, markdown
from memory import measure_memory
from startup import measure_startup

MEASURES = ("export", "concurrency", "memory", "startup")


def main() -> int:
    options = _options()
    options.directory.mkdir(parents=True, exist_ok=True)
    directory = options.directory.resolve()
    wanted = options.measures or MEASURES
    figures: list[Figure] = []
    if "export" in wanted:
        figures += measure_export(directory, options.rows, options.repetitions, _tell)
    if "concurrency" in wanted:
        figures += measure_concurrency(directory, min(3, options.repetitions), _tell)
    if "memory" in wanted:
        figures += measure_memory(directory, _tell)
    if "startup" in wanted:
        figures += measure_startup(max(10, options.repetitions), _tell)
    print(f"\n{_circumstances(options.rows, options.repetitions)}\n\n{markdown(figures)}")
    if options.json:
        options.json.write_text(_as_json(figures, options.rows, options.repetitions), encoding="utf-8")
    return 1 if options.check and any(figure.missed for figure in figures) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"only these of: {', '.join(MEASURES)}")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the export (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="of every export (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=Path(".demo/benchmarks"), help="for the source databases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    for name in options.measures:
        if name not in MEASURES:
            parser.error(f"unknown measure '{name}'; expected {', '.join(MEASURES)}")
    return options


def _circumstances(rows: int, repetitions: int) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {rows:,} rows, medians of {repetitions}"
    )


def _as_json(figures: list[Figure], rows: int, repetitions: int) -> str:
    measured = [{**attrs.asdict(figure), "missed": figure.missed} for figure in figures]
    return json.dumps({"circumstances": _circumstances(rows, repetitions), "figures": measured}, indent=2) + "\n"


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
