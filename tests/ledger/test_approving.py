from __future__ import annotations

from collections.abc import Callable

import pytest

from contraflow.errors import FencedError, LedgerError
from contraflow.ledger import ItemState, Lease, Ledger, Settlement, StepRecord

Begin = Callable[..., tuple[int, StepRecord]]


def test_the_known_items_are_those_that_the_remote_holds_from_the_step(ledger: Ledger, begin: Begin) -> None:
    execution_id, step = begin(ledger)
    states = [
        ItemState("[1]", "written", 1, "fp1:a"),
        ItemState("[2]", "rejected", 2, "fp1:a", "fp1:b"),
        ItemState("[3]", "in_doubt", 2, "", "fp1:b"),
        ItemState("[4]", "rejected", 1, None, "fp1:b"),
        ItemState("[5]", "deferred", 1, None, "fp1:b"),
        ItemState("[6]", "deleted", 2),
        ItemState("[7]", "archived", 2, "fp1:a"),
        ItemState("[8]", "gone", 2, "fp1:a"),
    ]
    assert ledger.known_items(step.stream_id) == 0
    ids = {"step_execution_id": step.id, "stream_id": step.stream_id, "execution_id": execution_id}
    ledger.settle(Settlement(**ids, states=states))
    assert ledger.known_items(step.stream_id) == 3
    assert ledger.known_items(step.stream_id + 1) == 0


def test_an_approval_is_used_once_and_counted_by_step(ledger: Ledger, begin: Begin, lease: Lease) -> None:
    execution_id, step = begin(ledger)
    assert ledger.approvals(step.stream_id) == 0
    ledger.use_approval(lease, step.stream_id, "aa", execution_id)
    assert ledger.approvals(step.stream_id) == 1
    with pytest.raises(LedgerError):
        ledger.use_approval(lease, step.stream_id, "aa", execution_id)
    assert ledger.approvals(step.stream_id) == 1
    assert ledger.approvals(step.stream_id + 1) == 0


def test_a_plan_is_begun_gone_on_with_and_ended_once(ledger: Ledger, begin: Begin, lease: Lease) -> None:
    execution_id, _ = begin(ledger)
    assert not ledger.knows_plan("p")
    assert ledger.begin_plan(lease, "p") is None
    assert ledger.knows_plan("p")
    assert ledger.begin_plan(lease, "p") is None, "it was interrupted"
    ledger.finish_plan(lease, "p", execution_id)
    assert ledger.begin_plan(lease, "p") == execution_id
    assert ledger.begin_plan(lease, "q") is None


def test_nothing_is_recorded_without_the_lease(ledger: Ledger, begin: Begin) -> None:
    execution_id, step = begin(ledger)
    other = Lease(integration="acme", job="customers_export", epoch=99, owner="nobody")
    with pytest.raises(FencedError):
        ledger.use_approval(other, step.stream_id, "aa", execution_id)
    with pytest.raises(FencedError):
        ledger.begin_plan(other, "p")
    with pytest.raises(FencedError):
        ledger.finish_plan(other, "p", execution_id)
    assert ledger.approvals(step.stream_id) == 0
    assert not ledger.knows_plan("p")
