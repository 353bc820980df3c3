"""The status algebra of the ancestor: ST-1 to ST-5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.engine.status import ExitStatus, is_running, is_unsuccessful, upgrade, worst
from contraflow_hookspecs import BatchStatus

S = BatchStatus
statuses = st.sampled_from(BatchStatus)
codes = st.sampled_from(["EXECUTING", "COMPLETED", "NOOP", "STOPPED", "FAILED", "UNKNOWN"])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (S.FAILED, S.COMPLETED, S.FAILED),
        (S.COMPLETED, S.FAILED, S.FAILED),
        (S.FAILED, S.FAILED, S.FAILED),
        (S.STARTED, S.STARTING, S.STARTED),
        (S.COMPLETED, S.STARTED, S.STARTED),
    ],
)
def test_worst(left: S, right: S, expected: S) -> None:
    assert worst(left, right) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (S.FAILED, S.COMPLETED, S.FAILED),
        (S.COMPLETED, S.FAILED, S.FAILED),
        (S.STARTING, S.COMPLETED, S.COMPLETED),
        (S.COMPLETED, S.STARTING, S.COMPLETED),
        (S.STARTING, S.STARTED, S.STARTED),
        (S.STARTED, S.STARTING, S.STARTED),
    ],
)
def test_upgrade(left: S, right: S, expected: S) -> None:
    assert upgrade(left, right) is expected


def test_upgrade_of_all_pairs_follows_the_ancestors_rule() -> None:
    """If either is worse than STARTED the worst; else if either is COMPLETED that; else the worst."""
    for left in S:
        for right in S:
            beyond = [each for each in (left, right) if worst(each, S.STARTED) is not S.STARTED]
            if beyond:
                expected = worst(left, right)
            elif S.COMPLETED in (left, right):
                expected = S.COMPLETED
            else:
                expected = worst(left, right)
            assert upgrade(left, right) is expected


@given(statuses, statuses, statuses)
def test_upgrade_is_the_maximum_of_a_total_order(a: S, b: S, c: S) -> None:
    assert upgrade(a, b) is upgrade(b, a)
    assert upgrade(a, upgrade(b, c)) is upgrade(upgrade(a, b), c)
    assert upgrade(a, a) is a


def test_running_and_unsuccessful() -> None:
    assert {status for status in S if is_running(status)} == {S.STARTING, S.STARTED}
    assert {status for status in S if is_unsuccessful(status)} == {S.FAILED, S.ABANDONED, S.UNKNOWN}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("EXECUTING", "EXECUTING", "EXECUTING"),
        ("EXECUTING", "COMPLETED", "COMPLETED"),
        ("COMPLETED", "EXECUTING", "COMPLETED"),
        ("EXECUTING", "CUSTOM", "CUSTOM"),
        ("COMPLETED", "COMPLETED_CUSTOM", "COMPLETED_CUSTOM"),
        ("COMPLETED", "FAILED", "FAILED"),
        ("FAILED", "COMPLETED", "FAILED"),
        ("CUSTOM_1", "CUSTOM_2", "CUSTOM_1"),
        ("STOPPED", "NOOP", "STOPPED"),
        ("FAILED", "UNKNOWN", "UNKNOWN"),
    ],
)
def test_combined_exit_codes(left: str, right: str, expected: str) -> None:
    assert ExitStatus(left).combine(ExitStatus(right)).code == expected


@given(codes, codes, codes)
def test_combining_is_associative_and_idempotent_on_codes(a: str, b: str, c: str) -> None:
    x, y, z = ExitStatus(a), ExitStatus(b), ExitStatus(c)
    assert x.combine(y).combine(z).code == x.combine(y.combine(z)).code
    assert x.combine(x).code == a


def test_descriptions() -> None:
    status = ExitStatus("FAILED")
    assert status.describe("Foo").describe("Foo").describe("").description == "Foo"
    assert status.describe("Foo").describe("Bar").describe("Foo").description == "Foo;Bar;Foo"
    assert ExitStatus("A", "x").combine(ExitStatus("B", "y")).description == "x;y"
    assert str(ExitStatus("FAILED", "no")) == "[FAILED] no"
    assert ExitStatus("10").code == "10"
    assert ExitStatus("RUNNING").is_running
    assert ExitStatus().is_running
    assert not ExitStatus("COMPLETED").is_running
    assert ExitStatus("A", "x") == ExitStatus("A", "x")
