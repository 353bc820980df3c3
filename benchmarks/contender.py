"""What a contender's process does around its export: measure it, and report on standard output."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_runs: list[dict[str, float]] = []


@contextmanager
def measured(rows: int) -> Iterator[None]:
    """Measure one export of so many rows."""
    wall, user = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    yield
    _runs.append(
        {
            "rows": rows,
            "wall_seconds": time.perf_counter() - wall,
            "user_seconds": resource.getrusage(resource.RUSAGE_SELF).ru_utime - user,
        }
    )


def report(**more: Any) -> None:
    """Print what was measured, and the peak of the process's memory, as one line of JSON."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    print(json.dumps({"runs": _runs, "peak_kib": peak, **more}))


def require(found: int, expected: int, what: str) -> None:
    """End the process unless an export was complete: half an export is quick."""
    if found != expected:
        raise SystemExit(f"{what}: {found} rows instead of {expected}")
