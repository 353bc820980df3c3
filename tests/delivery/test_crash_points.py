"""A worker that dies at any named point leaves nothing that the next runs do not put right."""

from __future__ import annotations

import pytest
from crash_points import POINTS, RECOVERY
from harness import LATER
from selection import selected

LATE = {"fault": "delay_before", "seconds": 0.3, "requests": [1]}
SINGLE = [point for point in POINTS if point not in ("P12", "P13")]
CASES = [(letter, point) for letter in "ABCD" for point in SINGLE]
QUICK = [
    *(("A", point) for point in ("P0", "P1", "P3", "P4", "P8", "P11", "P16")),
    *(("C", point) for point in ("P5", "P7", "P8", "P10")),
]
IN_RECOVERY = [
    *(("A", point) for point in RECOVERY if point.startswith("P15")),
    *(("B", point) for point in RECOVERY if "confirm" not in RECOVERY[point]),
    *(("C", point) for point in RECOVERY),
    ("D", "P15-T2"),
]
QUICK_IN_RECOVERY = [
    ("A", "P15"),
    ("C", "P14-after"),
    ("C", "P15-T2"),
]


@pytest.fixture
def benches(shared_bench):
    """Three records; all get a new version before each crash."""

    def get(*which):
        bench = shared_bench(*which, records=3, updates=3, inserts=0)
        if which[0] == "D":
            bench.workload.insert(2)  # those that are held take no new versions
        bench.change()
        return bench

    return get


def settle(bench, point: str) -> None:
    bench.remote.script({})
    bench.finish()
    assert bench.news() == [], point


@pytest.mark.parametrize(("delivery_class", "point"), selected(CASES, QUICK))
def test_one_crash(benches, delivery_class, point):
    bench = benches(delivery_class)
    bench.remote.script({"rules": [LATE] if point == "P7" else []})
    life = bench.live(point=point)
    assert life.signal is not None, f"{point} was never reached: {life}"
    settle(bench, point)


@pytest.mark.parametrize("point", selected(SINGLE, ["P10"]))
def test_one_crash_with_the_ledger_in_postgresql(benches, point):
    bench = benches("A", "postgresql")
    assert bench.live(point=point).signal is not None
    settle(bench, point)


@pytest.mark.parametrize(("delivery_class", "point"), selected(IN_RECOVERY, QUICK_IN_RECOVERY))
def test_a_crash_in_the_recovery_from_a_crash(benches, delivery_class, point):
    bench = benches(delivery_class)
    first = "P5-call" if point.startswith("P15") else "P8"  # sent again only if it did not arrive
    assert bench.live(point=first).signal is not None
    life = bench.live(point=point)
    assert life.signal is not None, f"{point} was never reached: {life}"
    settle(bench, point)


def test_a_crash_between_two_parts_of_a_batch(benches):
    bench = benches("A")
    bench.remote.script({"rules": [{"fault": "status", "status": 429, "retry_after": 0, "requests": [2]}]})
    assert bench.live(point="P12").signal is not None
    settle(bench, "P12")


def test_a_crash_in_the_backoff(benches):
    bench = benches("A")
    bench.remote.script({"rules": [{"fault": "status", "status": 503, "retry_after": 1, "requests": [1]}]})
    assert bench.live(point="P13").signal is not None
    settle(bench, "P13")


@pytest.mark.parametrize("delivery_class", selected(["B", "C"], ["C"]))
def test_the_quiesce_counts_from_the_last_request(benches, delivery_class):
    """The first two requests of a chunk take as long as a request may live; the third is on its way when the worker dies."""
    bench = benches(delivery_class)
    rules = [
        {"fault": "delay_after", "seconds": 0.35, "requests": [1, 2]},
        {"fault": "delay_before", "seconds": 0.45, "requests": [3]},
    ]
    bench.remote.script({"rules": rules})
    assert bench.live(point="P7:3").signal is not None
    bench.remote.script({})
    bench.change()  # what comes late must not overwrite this
    settle(bench, "P7:3")


@pytest.mark.parametrize("delivery_class", selected(["A", "B"], ["A"]))
def test_a_doubt_outlives_a_refusal(make_bench, delivery_class):
    """Applied, but the worker died; sent again, the remote says "later"; then the source takes the change back."""
    bench = make_bench(delivery_class, style="flipping", records=3, updates=3, inserts=0)
    bench.live()
    bench.change()
    assert bench.live(point="P8:3").signal is not None
    bench.remote.script({"rules": [{"fault": "status", "status": 503, "retry_after": 3600}]})
    bench.live()
    bench.change()
    bench.remote.script({})
    assert bench.live().result["counts"]["deferred"] == 3  # and nothing before its time
    bench.finish(later=LATER)
    assert bench.news() == [], "the remote must hold what the source has"
