"""Intent, call, settle; and what becomes of what is in doubt, by the promise that the remote allows."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from contraflow.engine.promise import Promise, promise_of
from contraflow.ledger import open_ledger
from contraflow_hookspecs import (
    BatchStatus,
    Capabilities,
    Deferred,
    Idempotency,
    Rejected,
    Unknown,
    Written,
    hookimpl,
)

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt")


def counts(execution) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


def ledger_of(shop):
    return open_ledger(f"sqlite:///{shop.directory}/ledger.db", create=False)


class Confirming:
    """Gives a remote ``confirm_items``."""

    def __init__(self, remote: Any, answer: Any = None) -> None:
        self.remote, self.asked = remote, []
        self.answer = answer

    @hookimpl
    def provide_export_job(self):
        return self.remote.provide_export_job()

    @hookimpl
    def process_item(self, item, context):
        return self.remote.process_item(item, context)

    @hookimpl
    def write_items(self, items, context):
        return self.remote.write_items(items, context)

    @hookimpl
    def confirm_items(self, items, context):
        self.asked.append([change.key for change in items])
        if self.answer is not None:
            return [self.answer(change) for change in items]
        return [
            Written(key=change.key)
            if self.remote.records.get(change.key) == dict(change.payload)
            else Deferred(key=change.key, reason="not there")
            for change in items
        ]


@pytest.mark.parametrize(
    ("capabilities", "in_doubt", "promise"),
    [
        (Capabilities(idempotency=Idempotency.KEY), None, "A"),
        (Capabilities(idempotency=Idempotency.VERSIONED), None, "A"),
        (Capabilities(idempotency=Idempotency.UPSERT, confirm=True), None, "B"),
        (Capabilities(confirm=True), None, "C"),
        (Capabilities(confirm=True), "resend", "C"),
        (Capabilities(), None, "D"),
        (Capabilities(), "resend", "E"),
        (Capabilities(idempotency=Idempotency.KEY), "hold", "D"),
    ],
)
def test_the_promise_follows_from_the_capabilities(capabilities, in_doubt, promise) -> None:
    assert promise_of(capabilities, in_doubt) is Promise(promise)
    assert Promise(promise).words


def test_the_intent_is_on_record_before_the_call_and_gone_after_it(shop) -> None:
    seen = []

    def answer(changes, context):
        with ledger_of(shop) as ledger:  # a second connection: no transaction is open during the call
            (intent,) = ledger.intents(1)
            seen.append([(item.key, item.idempotency_key) for item in intent.items])
            ledger.add_request("x", "y", {})
        return shop.remote.store(changes)

    shop.remote.answer = answer
    shop.sync()
    assert seen == [[(f"[{change.key[0]}]", change.idempotency_key) for change in shop.remote.sent]]
    with ledger_of(shop) as ledger:
        assert ledger.intents(1) == []


def lose_the_answer(shop):
    """The remote carries the call out, and the answer is lost."""

    def answer(changes, context):
        shop.remote.store(changes)
        raise ConnectionResetError("connection reset")

    return answer


def test_class_a_and_b_send_the_very_same_again(shop) -> None:
    for idempotency in (Idempotency.KEY, Idempotency.UPSERT):
        shop.remote.capabilities = Capabilities(idempotency=idempotency, request_lifetime=0.0)
        shop.sql("UPDATE customer SET name = name || ?", (idempotency.value,))
        shop.remote.answer = lose_the_answer(shop)
        assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
        shop.sql("UPDATE customer SET name = 'newer' WHERE id = 1")
        shop.remote.answer = lambda changes, _: shop.remote.store(changes)
        again = shop.sync()
        # First what was in doubt, as it was sent; then what the source holds now.
        assert counts(again) == {"read": 3, "recovered": 3, "unchanged": 2, "written": 1, "updated": 1}
        lost, resent, newer = shop.remote.calls[-3:]
        assert [change.idempotency_key for change in resent] == [change.idempotency_key for change in lost]
        assert [dict(change.payload) for change in resent] == [dict(change.payload) for change in lost]
        assert [change.payload["name"] for change in newer] == ["newer"]
        assert resent[0].attempt == 2


def test_class_c_asks_and_sends_only_what_did_not_arrive(shop) -> None:
    remote = shop.remote
    remote.capabilities = Capabilities(confirm=True, request_lifetime=0.0)
    shop.remote = confirming = Confirming(remote)

    def answer(changes, context):
        remote.store(changes[:2])
        raise ConnectionResetError("connection reset")

    remote.answer = answer
    assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
    remote.answer = lambda changes, _: remote.store(changes)
    assert counts(shop.sync()) == {"read": 3, "recovered": 3, "unchanged": 3}
    assert confirming.asked == [[(1,), (2,), (3,)]]
    assert [change.key for change in remote.calls[-1]] == [(3,)]


def test_class_c_holds_what_the_remote_cannot_tell_and_asks_again_next_time(shop) -> None:
    remote = shop.remote
    remote.capabilities = Capabilities(confirm=True, request_lifetime=0.0)
    shop.remote = confirming = Confirming(remote, lambda change: Unknown(key=change.key, reason="partly down"))
    remote.answer = lose_the_answer(type(shop)(shop.directory, remote))
    shop.sync()
    remote.answer = lambda changes, _: remote.store(changes)
    assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
    confirming.answer = None
    assert counts(shop.sync()) == {"read": 3, "recovered": 3, "unchanged": 3}
    assert len(remote.calls) == 1


def test_class_d_holds_and_reports_and_never_sends_again_by_itself(shop) -> None:
    shop.remote.capabilities = Capabilities(request_lifetime=0.0)
    shop.remote.answer = lose_the_answer(shop)
    assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sql("UPDATE customer SET name = 'newer' WHERE id = 1")
    assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
    assert len(shop.remote.calls) == 1
    with ledger_of(shop) as ledger:
        assert ledger.intents(1) == []
        assert [item.key for item in ledger.items_in("in_doubt")] == [(1,), (2,), (3,)]


def test_class_e_sends_again(shop) -> None:
    shop.remote.capabilities = Capabilities(request_lifetime=0.0)
    shop.parameters = {"in_doubt": "resend"}
    shop.remote.answer = lose_the_answer(shop)
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert counts(shop.sync()) == {"read": 3, "recovered": 3, "unchanged": 3}
    assert len(shop.remote.calls) == 2


def test_a_doubt_is_resolved_at_the_end_of_the_same_run_where_that_is_possible(shop) -> None:
    def answer(changes, context):
        if context.attempt == 1:
            shop.remote.store(changes[:1])
            return [Unknown(key=change.key, reason="timeout") for change in changes]
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert counts(execution) == {"read": 3, "written": 3, "created": 3}


def test_before_a_late_request_can_no_longer_arrive_nothing_is_sent(shop) -> None:
    shop.remote.capabilities = Capabilities(idempotency=Idempotency.UPSERT, request_lifetime=0.6)
    moments = []

    def answer(changes, context):
        moments.append(time.monotonic())
        if len(moments) == 1:
            raise ConnectionResetError("connection reset")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    shop.sync()
    shop.sync()
    assert moments[1] - moments[0] >= 0.55  # the quiesce time, counted from the intent


def test_a_remote_that_answers_nothing_to_be_believed_is_left_alone_after_three_chunks(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 30)])
    shop.parameters = {"batch_size": 2}
    shop.remote.answer = lambda changes, _: [Unknown(key=change.key, reason="timeout") for change in changes]
    execution = shop.sync()
    assert (execution.status, execution.exit_code) == (BatchStatus.FAILED, "UNAVAILABLE")
    assert "3 chunks in a row" in execution.errors[0]
    assert len(shop.remote.calls) == 3
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = shop.sync(resume=False)
    assert counts(again)["recovered"] == 6
    assert len(shop.remote.records) == 23


def test_one_reason_for_very_many_rejections_ends_the_step(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 510)])
    shop.parameters = {"batch_size": 50}
    shop.remote.answer = lambda changes, _: [Rejected(key=c.key, code="http_422", reason="schema") for c in changes]
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "50 of 50 items were rejected as 'http_422'" in execution.errors[0]
    assert len(shop.remote.calls) == 1
    shop.parameters = {"batch_size": 50, "max_rejected": 1}
    assert shop.sync(resume=False).status is BatchStatus.COMPLETED


def test_a_version_that_the_remote_refused_is_not_sent_again_before_it_changes(shop) -> None:
    shop.remote.answer = lambda changes, _: [Rejected(key=c.key, code="no", reason="no") for c in changes]
    assert shop.sync().notes == ()
    again = shop.sync()
    assert counts(again) == {"read": 3, "rejected": 3}
    assert again.errors == ()
    assert again.notes == (
        "3 of 3 rejected were refused by an earlier run, and are not sent again as they are: see `contraflow dead-letters`",
    )
    assert len(shop.remote.calls) == 1
    shop.sql("UPDATE customer SET name = 'better' WHERE id = 2")
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = shop.sync()
    assert counts(again) == {"read": 3, "rejected": 2, "written": 1, "created": 1}
    assert again.notes[0].startswith("2 of 2 rejected were refused by an earlier run")


def test_an_interrupted_run_is_resumed_behind_its_checkpoint(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 20)])
    shop.parameters = {"batch_size": 4, "attempts": 1}

    def answer(changes, context):
        if changes[0].key >= (13,):
            raise ConnectionResetError("gone")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    first = shop.sync()
    assert first.status is BatchStatus.FAILED
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    other = shop.sync(ids=[1])  # another request in between does not hide it
    assert counts(other)["unchanged"] == 1
    seen = []
    shop.remote.process = lambda item, _: seen.append(item.key[0]) or dict(item.data)
    shop.sql("UPDATE customer SET name = 'changed meanwhile' WHERE id = 2")
    second = shop.sync()
    assert second.counts["read"] == 13
    assert seen[0] > 3  # behind the checkpoint first
    assert sorted(seen) == sorted({1, 2, 3, *range(10, 20)})  # and then what lies before it, each once
    assert shop.remote.records[(2,)]["name"] == "changed meanwhile"
    assert len(shop.remote.records) == 13
    assert shop.sync().counts["unchanged"] == 13


def test_a_resumed_run_looks_at_everything_once_though_rows_vanished_meanwhile(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 20)])
    shop.parameters = {"batch_size": 4}
    shop.remote.answer = lambda changes, _: shop.remote.store(changes) if changes[0].key < (11,) else 1 / 0
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id IN (10, 11, 14, 15)")  # around the checkpoint
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = shop.sync()
    assert again.status is BatchStatus.COMPLETED
    assert again.counts["read"] == 9


def test_a_run_that_put_items_off_is_not_resumed_behind_them(shop) -> None:
    shop.parameters = {"batch_size": 1, "attempts": 1}

    def answer(changes, context):
        if changes[0].key == (1,):
            return [Deferred(key=(1,), reason="locked")]
        if changes[0].key == (3,):
            raise ValueError("bug")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sync()
    assert sorted(shop.remote.records) == [(1,), (2,), (3,)]


def die_at(shop, key) -> None:
    def answer(changes, context):
        if any(change.key == key for change in changes):
            os._exit(9)
        return shop.remote.store(changes)

    shop.remote.answer = answer


def in_a_process_that_dies(shop, **request: Any) -> int:
    """Run in a child process; its exit code."""
    child = os.fork()
    if child == 0:
        try:
            shop.sync(**request)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_item_that_kills_the_process_is_isolated_and_held_and_the_others_arrive(shop) -> None:
    """In a remote that lives in the process the effects die with it, so the others are looked for at the end."""
    die_at(shop, (2,))
    codes = [in_a_process_that_dies(shop) for _ in range(3)]
    assert codes == [9, 9, 9]
    assert in_a_process_that_dies(shop) == 9  # now each is sent alone; the second is the one
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    with shop.project() as project:
        statuses = {each.status: (each.items, each.examples) for each in project.items()}
    assert statuses == {"written": (2, ()), "in_doubt": (1, ((2,),))}
    assert counts(shop.sync())["in_doubt"] == 1  # held: nobody can say whether it arrived


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_run_that_died_is_closed_and_taken_over_at_once(shop) -> None:
    die_at(shop, (1,))
    assert in_a_process_that_dies(shop) == 9
    with shop.project() as project:
        assert project.executions()[0].status is BatchStatus.STARTED
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert counts(execution) == {"read": 3, "recovered": 3, "unchanged": 3}
    with shop.project() as project:
        dead = project.executions()[1]
    assert dead.status is BatchStatus.FAILED
    assert "the process died" in (dead.exit_description, *dead.errors)
