"""Random kills, a few of each class; ``soak.py`` does the thousands."""

from __future__ import annotations

import pytest
from large import cut_short
from selection import selected
from soak import SCRIPT

STORMS = [
    ("A", "single", "sqlite", 8),
    ("A", "batch", "postgresql", 8),
    ("B", "bulk", "sqlite", 8),
    ("C", "single", "sqlite", 6),
    ("D", "single", "sqlite", 10),
]


@pytest.mark.parametrize(
    ("delivery_class", "form", "ledger", "kills"),
    selected(STORMS, STORMS[:1]),
)
def test_nothing_is_lost_doubled_or_silent(make_bench, seed, delivery_class, form, ledger, kills):
    script = {"seed": seed, **SCRIPT}
    bench = make_bench(delivery_class, ledger, form=form, script=script)
    storm = bench.storm(kills)
    bench.remote.script({})
    bench.finish()
    report = bench.check(blames=True)
    assert [str(finding) for finding in report.findings] == [], storm


@pytest.mark.parametrize(("delivery_class", "form"), selected([("A", "batch"), ("C", "bulk")], [("C", "bulk")]))
def test_after_a_kill_among_many_rows_one_chunk_is_sent_again_at_most(make_bench, delivery_class, form):
    bench = make_bench(delivery_class, form=form, records=500, batch_size=25, timeout=1.0, lifetime=1.0)
    figures = cut_short(bench, calls=10)
    assert figures["killed"]
    assert figures["sent_again"] <= 25
    assert "its process ended without a word" in figures["status"].lower()
    assert "resumed behind" in figures["sync"]
    assert (figures["effects"], figures["findings"]) == (500, 0)


def test_the_command_survives_too(make_bench):
    bench = make_bench("A", records=5)
    assert bench.command(point="P9") == -9
    assert bench.command() == 0
    assert [str(finding) for finding in bench.check().findings] == []
    assert bench.check().counts["effects"] == 5
