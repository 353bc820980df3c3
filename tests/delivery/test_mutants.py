"""The bench catches every broken variant of the protocol, and the sound one passes where they fail."""

from __future__ import annotations

import pytest
from mutants import MUTANTS
from scenarios import play
from selection import selected

QUICK = ["no quiesce", "no fence"]


@pytest.mark.parametrize("name", selected(list(MUTANTS), QUICK))
def test_a_broken_protocol_is_caught(make_bench, name):
    mutant = MUTANTS[name]
    bench = make_bench(mutant.scenario.delivery_class, setting=mutant.scenario.setting, workers=mutant.scenario.workers)
    report = play(mutant.scenario, bench, mutant=name)
    assert (bench.directory / "counters.mutant").exists(), "the engine no longer calls what the mutant replaces"
    tripped = bench.directory / "counters.tripped"
    assert not tripped.exists(), f"the mutant does not fit the engine: {tripped.read_text()}"
    assert {finding.kind for finding in report.findings} & mutant.caught_as, [str(each) for each in report.findings]


@pytest.mark.parametrize("name", selected(list(MUTANTS), QUICK[:1]))
def test_the_sound_protocol_passes_where_it_fails(make_bench, name):
    scenario = MUTANTS[name].scenario
    report = play(scenario, make_bench(scenario.delivery_class, setting=scenario.setting, workers=scenario.workers))
    assert [str(each) for each in report.findings] == []
