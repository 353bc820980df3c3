from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from contraflow.errors import FencedError, LedgerError
from contraflow.ledger import (
    IntentItem,
    ItemState,
    Lease,
    LeaseState,
    Ledger,
    NewDeadLetter,
    Settlement,
    StepRecord,
    open_ledger,
)
from contraflow_hookspecs import BatchStatus, JobExecution, StepExecution

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
JOB = ("acme", "customers_export")
NAMES = {"integration": "acme", "job": "customers_export"}
ITEM = IntentItem("[1]", "upsert", 1, "fp1:a", "cf1-a", "{}")
Begin = Callable[..., tuple[int, StepRecord]]
Take = Callable[..., Lease]


def test_a_lease_is_held_until_released_and_every_holder_has_a_higher_epoch(ledger: Ledger, take: Take) -> None:
    assert ledger.lease_state(*JOB) is None
    lease = take(ledger)
    assert lease == Lease(integration="acme", job="customers_export", epoch=1, owner="one")
    held = LeaseState(*JOB, 1, 0, "one", "here", 17, MOMENT, None, False)
    assert ledger.lease_state(*JOB) == held
    assert take(ledger, "two") is None
    assert ledger.lease_state(*JOB) == held
    ledger.release(lease)
    free = ledger.lease_state(*JOB)
    assert free is not None
    assert (free.owner, free.epoch) == (None, 1)
    assert take(ledger, "two").epoch == 2


def test_leases_of_other_jobs_and_integrations_are_others(ledger: Ledger, lease: Lease) -> None:
    for names in (("acme", "orders"), ("zeta", "customers_export")):
        other = ledger.take_lease(*names, owner="two", host="here", pid=1, since=MOMENT)
        assert other is not None
        assert other.epoch == 1
    assert ledger.beat(lease)


def test_a_holder_that_still_beats_is_not_replaced(ledger: Ledger, take: Take, lease: Lease) -> None:
    seen = ledger.lease_state(*JOB)
    assert ledger.beat(lease)
    assert take(ledger, "two", seen=seen) is None
    after = ledger.lease_state(*JOB)
    assert after is not None
    assert after.beat == 1
    second = take(ledger, "two", seen=after)
    assert (second.epoch, second.owner) == (2, "two")
    assert take(ledger, "three", seen=after) is None
    assert not ledger.beat(lease)
    ledger.release(lease)
    assert ledger.beat(second)


def test_who_asks_the_holder_to_stop_learns_who_that_is(ledger: Ledger, take: Take, begin: Begin) -> None:
    assert ledger.request_stop(*JOB) is None
    lease = take(ledger)
    execution_id = ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=lease)
    assert not ledger.stop_requested(lease)
    asked = ledger.request_stop(*JOB)
    assert asked is not None
    assert (asked.owner, asked.execution_id, asked.stop_requested) == ("one", execution_id, True)
    assert ledger.stop_requested(lease)
    ledger.release(lease)
    assert ledger.request_stop(*JOB) is None
    second = take(ledger, "two")
    assert not ledger.stop_requested(second)
    assert not ledger.stop_requested(lease)


CONTENDER = """
import json, sys
from datetime import datetime, UTC
from contraflow.ledger import LeaseState, open_ledger
with open_ledger(sys.argv[1]) as ledger:
    print("ready", flush=True)
    for line in sys.stdin:
        job, beat = json.loads(line)
        now = datetime.now(UTC)
        seen = None if beat is None else LeaseState("acme", job, 1, beat, "dead", "", 0, now, None, False)
        lease = ledger.take_lease("acme", job, owner=sys.argv[2], host="", pid=1, since=now, seen=seen)
        print(json.dumps(lease and lease.epoch), flush=True)
"""


def test_of_two_processes_that_want_a_lease_exactly_one_gets_it(url: str, ledger: Ledger) -> None:
    """Half of the leases were never held, the others are those of a holder that both found dead."""
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        contenders = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", CONTENDER, url, name], **pipes))  # type: ignore[call-overload]
            for name in ("one", "two")
        ]
        for contender in contenders:
            assert contender.stdout.readline() == "ready\n"
        for number in range(50):
            job, beat = f"job{number}", None
            if number % 2:
                dead = ledger.take_lease("acme", job, owner="dead", host="", pid=0, since=MOMENT)
                assert dead is not None
                beat = 0
            for contender in contenders:
                contender.stdin.write(json.dumps([job, beat]) + "\n")
            for contender in contenders:
                contender.stdin.flush()
            answers = [json.loads(contender.stdout.readline()) for contender in contenders]
            assert sorted(answers, key=str) == [1 + number % 2, None]
            held = ledger.lease_state("acme", job)
            assert held is not None
            assert held.owner == ("one" if answers[1] is None else "two")
        for contender in contenders:
            contender.stdin.close()


def finished(execution_id: int) -> JobExecution:
    return JobExecution(id=execution_id, **NAMES, status=BatchStatus.COMPLETED, ended=MOMENT)


WRITES = {
    "start_job": lambda ledger, lease, e, s, i: ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=lease),
    "finish_job": lambda ledger, lease, e, s, i: ledger.finish_job(finished(e), lease=lease),
    "start_step": lambda ledger, lease, e, s, i: ledger.start_step(
        e, **NAMES, step="tracks", total=None, started=MOMENT, lease=lease
    ),
    "finish_step": lambda ledger, lease, e, s, i: ledger.finish_step(
        s.id, StepExecution(**NAMES, step="customers", status=BatchStatus.COMPLETED), lease=lease
    ),
    "intend": lambda ledger, lease, e, s, i: ledger.intend(lease, stream_id=s.stream_id, execution_id=e, items=[ITEM]),
    "adopt_intent": lambda ledger, lease, e, s, i: ledger.adopt_intent(lease, i),
    "retry_intent": lambda ledger, lease, e, s, i: ledger.retry_intent(lease, i, 2, [ITEM]),
    "settle": lambda ledger, lease, e, s, i: ledger.settle(full(e, s, i), lease=lease),
    "settle without intent": lambda ledger, lease, e, s, i: ledger.settle(full(e, s, None), lease=lease),
    "interrupt_executions": lambda ledger, lease, e, s, i: ledger.interrupt_executions(
        lease, exit_code="INTERRUPTED", reason="", ended=MOMENT
    ),
    "take_requests": lambda ledger, lease, e, s, i: ledger.take_requests(lease),
    "finish_request": lambda ledger, lease, e, s, i: ledger.finish_request(lease, 1),
    "settle_by_hand": lambda ledger, lease, e, s, i: ledger.settle_by_hand(
        **NAMES, step="customers", key=(9,), verdict="resend", lease=lease
    ),
    "beat": lambda ledger, lease, e, s, i: ledger.beat(lease),
    "release": lambda ledger, lease, e, s, i: ledger.release(lease),
    "release_if_idle": lambda ledger, lease, e, s, i: ledger.release_if_idle(lease),
}


def full(execution_id: int, step: StepRecord, intent_id: int | None) -> Settlement:
    return Settlement(
        step_execution_id=step.id,
        stream_id=step.stream_id,
        execution_id=execution_id,
        states=[ItemState("[1]", "written", 1, "fp1:a")],
        dead_letters=[NewDeadLetter("[2]", "invalid", "no")],
        checkpoint=(1,),
        counts={"read": 1},
        intent_id=intent_id,
    )


def content(ledger: Ledger) -> dict[str, list[str]]:
    """All rows of the ledger."""
    from contraflow.ledger.schema import metadata

    with ledger._database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(table.select()).all())) for table in metadata.sorted_tables
        }


@pytest.mark.parametrize("write", WRITES)
def test_a_run_whose_lease_was_taken_over_changes_nothing(ledger: Ledger, begin: Begin, take: Take, write: str) -> None:
    lease = take(ledger)
    execution_id, step = begin(ledger)
    intent_id = ledger.intend(lease, stream_id=step.stream_id, execution_id=execution_id, items=[ITEM])
    ids = {"step_execution_id": step.id, "stream_id": step.stream_id, "execution_id": execution_id}
    ledger.settle(Settlement(**ids, states=[ItemState("[9]", "in_doubt", 1, None, "fp1:b")]))
    if "request" in write:
        ledger.add_request(*JOB, {"ids": [1]})
    second = take(ledger, "two", host="elsewhere", seen=ledger.lease_state(*JOB))
    before = content(ledger)

    if write in ("beat", "release", "release_if_idle"):
        WRITES[write](ledger, lease, execution_id, step, intent_id)
    else:
        with pytest.raises(FencedError, match=r"process 17 on elsewhere has taken the job over \(epoch 2\)") as caught:
            WRITES[write](ledger, lease, execution_id, step, intent_id)
        assert (caught.value.exit_code, isinstance(caught.value, LedgerError)) == (5, True)
    assert content(ledger) == before

    if write == "finish_request":
        ledger.take_requests(second)
    before = content(ledger)
    WRITES[write](ledger, second, execution_id, step, intent_id)
    assert content(ledger) != before  # so it would have been seen above


def test_a_lease_that_was_given_back_proves_nothing(ledger: Ledger, take: Take, lease: Lease) -> None:
    ledger.release(lease)
    with pytest.raises(FencedError, match="it has given up the job"):
        ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=lease)
    again = take(ledger)  # by the same owner
    with pytest.raises(FencedError, match="epoch 2"):
        ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=lease)
    assert ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=again)


def test_a_take_over_waits_for_a_settlement_that_has_proven_its_lease(url: str, begin: Begin, take: Take) -> None:
    """The clock is read in the middle of a settlement: there the other contender begins."""
    taken: list[Lease] = []

    def contend() -> None:
        with open_ledger(url) as other:
            taken.append(take(other, "two", seen=other.lease_state(*JOB)))

    contender = threading.Thread(target=contend)
    begun: list[bool] = []

    def clock() -> datetime:
        if lease is not None and not begun:
            begun.append(True)
            contender.start()
            contender.join(0.3)
            assert not taken
        return MOMENT

    lease = None
    with open_ledger(url, clock=clock) as ledger:
        lease = take(ledger)
        execution_id, step = begin(ledger)
        assert ledger.settle(full(execution_id, step, None), lease=lease)
        contender.join(30)
        assert [second.epoch for second in taken] == [2]
        with pytest.raises(FencedError):
            ledger.settle(attrs.evolve(full(execution_id, step, None), checkpoint=(2,)), lease=lease)
        assert ledger.checkpoint(**NAMES, step="customers") == (1,)


def test_what_dead_runs_left_open_is_closed_by_the_next_holder(ledger: Ledger, take: Take) -> None:
    old = ledger.start_job(**NAMES, parameters={}, started=MOMENT)  # of a version that knew no leases
    first = take(ledger)
    dead = ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=first)
    step = ledger.start_step(dead, **NAMES, step="customers", total=None, started=MOMENT, lease=first)
    ledger.settle(full(dead, step, None), lease=first)
    other = ledger.start_job(integration="zeta", job="customers_export", parameters={}, started=MOMENT)
    second = take(ledger, "two", seen=ledger.lease_state(*JOB))
    mine = ledger.start_job(**NAMES, parameters={}, started=MOMENT, lease=second)

    ended = MOMENT + timedelta(minutes=1)
    close = {"exit_code": "INTERRUPTED", "reason": "process 17 was killed", "ended": ended}
    assert ledger.interrupt_executions(second, **close) == [old, dead]  # type: ignore[arg-type]
    assert ledger.interrupt_executions(second, **close) == []  # type: ignore[arg-type]
    found = {execution.id: execution for execution in ledger.executions()}
    assert (found[mine].ended, found[other].ended) == (None, None)
    assert (found[dead].status, found[dead].exit_code, found[dead].ended) == (BatchStatus.FAILED, "INTERRUPTED", ended)
    assert (found[dead].steps[0].ended, found[dead].steps[0].counts) == (ended, {"read": 1})
    assert found[dead].steps[0].exit_description == "process 17 was killed"
    assert ledger.checkpoint(**NAMES, step="customers") == (1,)
