"""What stages raise and answer wrongly, and how far the trouble reaches."""

from __future__ import annotations

from math import nan

import pytest

from contraflow_hookspecs import (
    BatchStatus,
    Deferred,
    Item,
    ItemError,
    PermanentError,
    SystemicError,
    TransientError,
    Written,
    hookimpl,
)

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt")


def outcomes(execution) -> dict[str, int]:
    return {name: execution.counts[name] for name in OUTCOMES if execution.counts.get(name)}


def raising(error: BaseException):
    def answer(changes, context):
        raise error

    return answer


def numbers(shop, count: int) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, ?, NULL)", *[(n, f"c{n}") for n in range(1, count + 1)])


@pytest.mark.parametrize(
    ("error", "outcome", "exit_code", "reason"),
    [
        (TransientError("connection refused", retry_after=0.001), "deferred", "UNAVAILABLE", "connection refused"),
        (SystemicError("token refused"), "deferred", "FAILED", "token refused"),
        (ConnectionResetError("reset"), "in_doubt", "FAILED", "ConnectionResetError: reset"),
        (ZeroDivisionError("bug"), "in_doubt", "FAILED", "ZeroDivisionError: bug"),
    ],
)
def test_an_error_of_the_writer_stops_the_step_with_the_first_cause(shop, error, outcome, exit_code, reason) -> None:
    shop.parameters = {"batch_size": 2}
    shop.remote.answer = raising(error)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert (execution.exit_code, execution.exit_description) == (exit_code, reason)
    assert execution.errors[0] == reason
    assert outcomes(execution) == {outcome: 2}
    assert execution.counts["read"] == 2
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    # The next run first resolves what is in doubt, and then finds it at the remote.
    again = shop.sync(resume=False)
    assert sorted(shop.remote.records) == [(1,), (2,), (3,)]
    expected = {"written": 3} if outcome == "deferred" else {"unchanged": 2, "written": 1}
    assert outcomes(again) == expected
    assert again.counts.get("recovered", 0) == (0 if outcome == "deferred" else 2)


def test_a_chunk_that_is_refused_whole_is_halved_until_the_bad_item_stands_alone(shop) -> None:
    numbers(shop, 20)

    def answer(changes, context):
        if any(change.key == (13,) for change in changes):
            raise PermanentError("unprocessable", code="http_422")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert outcomes(execution) == {"written": 19, "rejected": 1}
    assert execution.errors == ("13: http_422: unprocessable",)
    assert sorted(shop.remote.records) == [(n,) for n in range(1, 21) if n != 13]
    assert len(shop.remote.calls) <= 1 + 2 * 5


def test_halves_that_were_not_sent_when_the_remote_broke_down_are_deferred(shop) -> None:
    numbers(shop, 8)

    def answer(changes, context):
        if len(changes) == 8:
            raise PermanentError("too large")
        if changes[0].key == (1,):
            return shop.remote.store(changes)
        raise TransientError("down")

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert outcomes(execution) == {"written": 4, "deferred": 4}


def test_an_item_error_of_the_writer_blames_that_item_alone(shop) -> None:
    shop.remote.answer = raising(ItemError("bad", key=(2,), code="c"))
    execution = shop.sync()
    assert outcomes(execution) == {"rejected": 1, "in_doubt": 2}
    assert execution.status is BatchStatus.FAILED


async def coroutine(changes):
    return []


def generator(changes):
    yield from [Written(key=change.key) for change in changes]


def written(changes):
    return [Written(key=change.key) for change in changes]


def test_a_pause_that_is_none_is_named_and_nothing_is_in_doubt(shop) -> None:
    def answer(changes, context):
        raise TransientError("busy", retry_after="10")

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "found TransientError with a retry_after of type str; expected seconds, or None" in execution.errors[0]
    assert outcomes(execution) == {"deferred": 3}


@pytest.mark.parametrize(
    ("answer", "message", "in_doubt"),
    [
        (lambda changes: None, "found None (a forgotten `return`?)", 3),
        (coroutine, "found a coroutine (a forgotten `await`?)", 3),
        (generator, "found a generator (did the hook `yield`?)", 3),
        (lambda changes: "ok", "found an object of type str", 3),
        (lambda changes: {}, "found an object of type dict", 3),
        (lambda changes: written(changes)[:-1], "none for (3,)", 1),
        (lambda changes: [*written(changes), Written(key=(1,))], "two results for (1,)", 1),
        (lambda changes: [*written(changes), Written(key=(9,))], "a result for (9,), which is not in the chunk", 0),
        (lambda changes: [True, *written(changes)[1:]], "found an object of type bool", 1),
        (
            lambda changes: [Written(key=list(changes[0].key)), *written(changes)[1:]],
            "found Written with a key of type list; expected key=change.key, a tuple",
            1,
        ),
        (
            lambda changes: [Deferred(key=changes[0].key, reason=None), *written(changes)[1:]],
            "found Deferred with a reason of type NoneType; expected text",
            1,
        ),
        (
            lambda changes: [Deferred(key=changes[0].key, reason="busy", retry_after="10"), *written(changes)[1:]],
            "found Deferred with a retry_after of type str; expected seconds, or None",
            1,
        ),
        (
            lambda changes: [Deferred(key=changes[0].key, reason="busy", retry_after=nan), *written(changes)[1:]],
            "found Deferred with a retry_after of nan; expected seconds, or None",
            1,
        ),
    ],
)
def test_an_answer_that_is_none_is_named_and_never_taken_for_success(shop, answer, message, in_doubt) -> None:
    shop.remote.answer = lambda changes, _: answer(changes)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "plugin 'remote', hook write_items" in execution.errors[0]
    assert message in execution.errors[0]
    assert execution.counts.get("in_doubt", 0) == in_doubt
    assert execution.counts.get("written", 0) == 3 - in_doubt


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "found None (a forgotten `return`?); expected a mapping or Skip"),
        ([("a", 1)], "found an object of type list; expected a mapping or Skip"),
    ],
)
def test_a_processor_that_answers_no_payload_fails_the_step_before_anything_is_sent(shop, answer, message) -> None:
    shop.remote.process = lambda item, _: answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert message in execution.errors[0]
    assert shop.remote.calls == []


def test_a_record_that_the_processor_trips_over_is_rejected_and_the_rest_goes_on(shop) -> None:
    shop.remote.process = lambda item, _: {"mail": item.data["email"].lower()}
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert outcomes(execution) == {"written": 2, "rejected": 1}
    assert execution.errors == ("2: process_error: AttributeError: 'NoneType' object has no attribute 'lower'",)


def test_a_processor_that_trips_over_every_record_fails_the_step(shop) -> None:
    numbers(shop, 50)
    shop.remote.process = lambda item, _: {"mail": item.data["emial"]}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "failed for 20 items in a row, last: KeyError: 'emial'" in execution.errors[0]
    assert shop.remote.calls == []


def test_the_skip_limit_ends_the_step(shop) -> None:
    numbers(shop, 10)
    shop.parameters = {"batch_size": 1, "skip_limit": 2}

    def process(item, context):
        raise ItemError("bad")

    shop.remote.process = process
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.errors[0] == "3 items were rejected; skip_limit is 2"
    assert outcomes(execution) == {"rejected": 3}


class Stumbling:
    """An iterator that fails for some items and goes on; not a generator."""

    def __init__(self, bad: set[int], end: int) -> None:
        self.bad, self.end, self.number = bad, end, 0

    def __iter__(self):
        return self

    def __next__(self) -> Item:
        self.number += 1
        if self.number > self.end:
            raise StopIteration
        if self.number in self.bad:
            raise ItemError("unreadable", key=(self.number,), code="read")
        return Item(key=(self.number,), entity={"n": self.number})


def read_with(shop, answer) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context):
            return answer()

    shop.plugins["reader"] = Reader()
    shop.reader = "reader"


def test_an_item_that_cannot_be_read_is_rejected_and_reading_goes_on(shop) -> None:
    read_with(shop, lambda: Stumbling({2}, 3))
    execution = shop.sync()
    assert outcomes(execution) == {"written": 2, "rejected": 1}
    assert execution.errors == ("2: read: unreadable",)


def test_a_reader_that_fails_for_ever_does_not_loop_for_ever(shop) -> None:
    read_with(shop, lambda: Stumbling(set(range(100_000)), 100_000))
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "failed 20 times in a row" in execution.errors[0]


def test_an_item_error_out_of_a_generator_does_not_lose_the_rest_in_silence(shop) -> None:
    def items():
        yield Item(key=(1,), entity={})
        raise ItemError("unreadable")

    read_with(shop, items)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "out of a generator, which cannot be read on: unreadable" in execution.errors[0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: None, "found None"),
        (lambda: "abc", "found an object of type str"),
        (lambda: [{"id": 1}], "found an object of type dict; expected an Item"),
        (lambda: [None], "found None"),
    ],
)
def test_a_reader_that_yields_no_items_is_named(shop, answer, message) -> None:
    read_with(shop, answer)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert message in execution.errors[0]
    assert "plugin 'reader', hook read_items" in execution.errors[0]


def test_a_reader_is_closed_when_the_step_fails(shop) -> None:
    closed = []

    def items():
        try:
            for number in range(100):
                yield Item(key=(number,), entity={})
        finally:
            closed.append(True)

    read_with(shop, items)
    shop.parameters = {"batch_size": 1}
    shop.remote.answer = raising(SystemicError("no"))
    shop.sync()
    assert closed == [True]


def test_a_key_that_cannot_be_kept_is_rejected(shop) -> None:
    read_with(shop, lambda: [Item(key=(float("nan"),), entity={}), Item(key=(1,), entity={})])
    execution = shop.sync()
    assert outcomes(execution) == {"written": 1, "rejected": 1}


def test_what_was_settled_before_a_failure_stays_settled_and_is_counted(shop) -> None:
    numbers(shop, 10)
    shop.parameters = {"batch_size": 4}

    def answer(changes, context):
        if changes[0].key == (5,):
            raise TransientError("down")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert outcomes(execution) == {"written": 4, "deferred": 4}
    assert execution.counts["read"] == 8
    with shop.project() as project:
        (recorded,) = project.executions()
    assert recorded == execution
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert outcomes(shop.sync()) == {"written": 6, "unchanged": 4}


def test_deferred_results_do_not_stop_the_step(shop) -> None:
    shop.remote.answer = lambda changes, _: [Deferred(key=change.key, reason="locked") for change in changes]
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert outcomes(execution) == {"deferred": 3}


def test_an_interrupt_during_the_call_leaves_the_chunk_in_doubt_and_the_job_stopped(shop) -> None:
    shop.remote.answer = raising(KeyboardInterrupt())
    execution = shop.sync()
    assert execution.status is BatchStatus.STOPPED
    assert outcomes(execution) == {"in_doubt": 3}
    with shop.project() as project:
        assert project.executions()[0].status is BatchStatus.STOPPED


def test_an_observer_that_fails_is_passed_over(shop, caplog) -> None:
    class Observer:
        @hookimpl
        def job_started(self, execution):
            raise RuntimeError("observer")

        @hookimpl
        def chunk_settled(self, execution, results):
            raise RuntimeError("observer")

    shop.plugins["observer"] = Observer()
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert "plugin 'observer' failed in chunk_settled; the run goes on" in caplog.text
