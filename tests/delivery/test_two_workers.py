"""Two processes want one job: one runs, the other says so; who was frozen past its lease can do nothing more."""

from __future__ import annotations

import pytest
from contention import FREEZING, freeze, race
from selection import EVERYTHING, selected


@pytest.mark.parametrize("ledger", selected(["sqlite", "postgresql"], ["sqlite"]))
def test_of_two_that_begin_at_one_moment_one_runs(make_bench, ledger):
    """The remote recognises nothing: each request is one more effect."""
    bench = make_bench("C", ledger, records=6, updates=6, workers=2, script={"pace": 0.003})
    bench.live()
    ends = race(bench, 100 if EVERYTHING else 5)
    assert set(ends) <= {"COMPLETED and JobRunningError", "COMPLETED and COMPLETED"}  # both: one after the other
    assert ends["COMPLETED and JobRunningError"] > 0
    bench.finish()
    assert [str(finding) for finding in bench.check().findings] == []


@pytest.mark.parametrize("delivery_class", "ABC" if EVERYTHING else "B")
def test_who_was_frozen_past_its_lease_sends_and_settles_nothing_more(make_bench, delivery_class):
    bench = make_bench(delivery_class, records=6, updates=6, workers=2)
    bench.live()
    points = FREEZING if EVERYTHING else FREEZING[1:3]
    assert freeze(bench, len(points), points) == {f"{point}: FencedError": 1 for point in points}
    bench.finish()
    assert [str(finding) for finding in bench.check().findings] == []
