"""Two processes that want the same job: at the same moment, and one that was frozen past its lease."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness import Bench, Life

FREEZING = ("P1", "P5", "P9", "P11")
"""Where a worker is frozen. Not between the last proof of its lease and the first byte of its request: nothing but the
remote itself could stop it there. Not within a transaction: an SQLite file would stay locked, and the other could not
begin."""


def end_of(life: Life) -> str:
    """How a life ended, in a word: ``COMPLETED``, or the error that it raised."""
    result = life.result or {}
    if result.get("status") == "RAISED":
        return str(result["errors"][0]).partition(":")[0]
    return str(result.get("status", f"signal {life.signal}"))


def race(bench: Bench, tries: int) -> Counter[str]:
    """Let two workers begin at the same moment, again and again, each time with changes to be sent.

    Returns:
        How often the pair ended how: ``COMPLETED and JobRunningError``.
    """
    ends: Counter[str] = Counter()
    for _ in range(tries):
        bench.change()
        ends[" and ".join(sorted(end_of(life) for life in bench.race()))] += 1
    return ends


def freeze(bench: Bench, tries: int, points: Sequence[str] = FREEZING) -> Counter[str]:
    """Freeze a worker at one point after the other, let another take over and end, and thaw the first.

    Returns:
        How often which point was followed by which end of the frozen one: ``P5: FencedError``.
    """
    ends: Counter[str] = Counter()
    for number in range(tries):
        bench.change()
        point = points[number % len(points)]
        with bench.frozen(point) as lives:
            bench.change()
            other = end_of(bench.live(wait=True))
        ends[f"{point}: {end_of(lives[0])}" + ("" if other == "COMPLETED" else f", the other {other}")] += 1
    return ends
