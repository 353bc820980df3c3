"""Random kills, a few of each class; ``soak.py`` does the thousands."""

from __future__ import annotations

import pytest
from soak import SCRIPT


@pytest.mark.parametrize(
    ("delivery_class", "form", "ledger", "kills"),
    [
        ("A", "single", "sqlite", 15),
        ("A", "batch", "postgresql", 8),
        ("B", "bulk", "sqlite", 8),
        ("C", "single", "sqlite", 10),
        ("D", "single", "sqlite", 10),
    ],
)
def test_nothing_is_lost_doubled_or_silent(make_bench, seed, delivery_class, form, ledger, kills):
    script = {"seed": seed, **SCRIPT}
    bench = make_bench(delivery_class, ledger, form=form, script=script)
    storm = bench.storm(kills)
    bench.remote.script({})
    bench.finish()
    report = bench.check(blames=True)
    assert [str(finding) for finding in report.findings] == [], storm


def test_the_command_survives_too(make_bench):
    bench = make_bench("A", records=5)
    assert bench.command(point="P9") == -9
    assert bench.command() == 0
    assert [str(finding) for finding in bench.check().findings] == []
    assert bench.check().counts["effects"] == 5
