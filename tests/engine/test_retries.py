"""What was surely not carried out is tried again, with patience but not for ever."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.engine.rate import RateLimiter
from contraflow.engine.retry import Retries
from contraflow.engine.stopping import StopRequest
from contraflow.options import Rate, RetryPolicy
from contraflow_hookspecs import BatchStatus, Deferred, Rejected, SystemicError, TransientError, Written

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt")


def outcomes(execution) -> dict[str, int]:
    return {name: execution.counts[name] for name in OUTCOMES if execution.counts.get(name)}


def test_what_is_deferred_is_tried_again_and_what_is_settled_is_not(shop) -> None:
    def answer(changes, context):
        results = []
        for change in changes:
            if change.key == (2,) and context.attempt < 3:
                results.append(Deferred(key=change.key, reason="locked"))
            else:
                results += shop.remote.store([change])
        return results

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert outcomes(execution) == {"written": 3}
    assert [[change.key for change in call] for call in shop.remote.calls] == [[(1,), (2,), (3,)], [(2,)], [(2,)]]
    assert [call[-1].attempt for call in shop.remote.calls] == [1, 2, 3]
    assert len({change.idempotency_key for change in shop.remote.sent if change.key == (2,)}) == 1


def test_a_chunk_that_was_not_carried_out_is_tried_again_whole(shop) -> None:
    def answer(changes, context):
        if context.attempt == 1:
            raise TransientError("connection refused")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    assert outcomes(shop.sync()) == {"written": 3}
    assert [len(call) for call in shop.remote.calls] == [3, 3]


def test_attempts_are_limited_and_the_rest_is_deferred(shop) -> None:
    shop.parameters = {"attempts": 3}
    shop.remote.answer = lambda changes, _: [Deferred(key=change.key, reason="locked") for change in changes]
    execution = shop.sync()
    assert outcomes(execution) == {"deferred": 3}
    assert len(shop.remote.calls) == 3


def test_a_remote_that_asks_for_more_patience_than_there_is_ends_the_run_to_be_resumed(shop) -> None:
    shop.parameters = {"max_wait": 60}

    def answer(changes, context):
        raise TransientError("maintenance", retry_after=3600)

    shop.remote.answer = answer
    execution = shop.sync()
    assert (execution.status, execution.exit_code) == (BatchStatus.FAILED, "UNAVAILABLE")
    assert len(shop.remote.calls) == 1


@pytest.mark.parametrize("error", [SystemicError("token refused"), ValueError("bug")])
def test_what_time_does_not_mend_is_not_tried_again(shop, error) -> None:
    def answer(changes, context):
        raise error

    shop.remote.answer = answer
    shop.sync()
    assert len(shop.remote.calls) == 1


def test_a_refusal_is_final_also_beside_what_is_tried_again(shop) -> None:
    def answer(changes, context):
        return [
            Rejected(key=change.key, code="no", reason="no")
            if change.key == (1,)
            else Deferred(key=change.key, reason="locked")
            if context.attempt == 1
            else Written(key=change.key)
            for change in changes
        ]

    shop.remote.answer = answer
    execution = shop.sync()
    assert outcomes(execution) == {"written": 2, "rejected": 1}
    assert execution.errors == ("1: no: no",)


class Result:
    def __init__(self, again: bool, retry_after: float | None = None) -> None:
        self.again, self.retry_after = again, retry_after


class Sleepless(StopRequest):
    """A stop request that notes the waits instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.is_set


@given(
    st.integers(1, 8),
    st.floats(0, 10),
    st.floats(0, 60),
    st.one_of(st.none(), st.floats(0, 60)),
)
def test_waits_stay_within_their_bounds(attempts: int, wait: float, max_wait: float, asked: float | None) -> None:
    stop = Sleepless()
    policy = RetryPolicy(attempts=attempts, wait=wait, max_wait=max_wait, budget=10_000)
    calls = []
    Retries(policy=policy, stop=stop).run(lambda: calls.append(1) or Result(True, asked))
    expected = 1 if asked is not None and asked > max_wait else attempts
    assert len(calls) == expected
    assert len(stop.waits) == expected - 1
    for number, seconds in enumerate(stop.waits):
        assert seconds >= (asked or 0.0)
        assert seconds <= (asked or 0.0) + min(max_wait, wait * 2**number) + 1e-9


def test_the_budget_is_that_of_the_whole_step() -> None:
    stop = Sleepless()
    retries = Retries(policy=RetryPolicy(attempts=100, budget=10.0), stop=stop)
    for _ in range(3):
        retries.run(lambda: Result(True, 4.0))
    assert 10.0 <= sum(stop.waits) <= 10.0 + 2 * 5.0


def test_a_stop_ends_waiting() -> None:
    stop = StopRequest()
    threading.Timer(0.05, stop.set, ["enough"]).start()
    calls = []
    Retries(policy=RetryPolicy(attempts=5, max_wait=3600), stop=stop).run(
        lambda: calls.append(1) or Result(True, 3000.0)
    )
    assert len(calls) <= 2
    assert stop.reason == "enough"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(per_second=10)),
        ("600 requests/min", Rate(per_second=10)),
        ("1 request / s", Rate(per_second=1)),
        ("3600 items/h", Rate(per_second=1, counts_items=True)),
        ("0.5/s", Rate(per_second=0.5)),
    ],
)
def test_rates_are_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["0/s", "-1/s", "ten/s", "10", "10/day", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        Rate.parse(text)


@pytest.mark.parametrize(("rate", "expected"), [("2/s", [0.5, 1.0]), ("4 items/s", [0.5, 1.0])])
def test_calls_are_spaced_over_all_threads(rate: str, expected: list[float]) -> None:
    stop = Sleepless()
    limiter = RateLimiter(rate=Rate.parse(rate), stop=stop, clock=lambda: 100.0)
    for _ in range(3):
        limiter.wait(2)
    assert stop.waits == pytest.approx(expected)


def test_a_rate_limit_is_a_parameter(shop) -> None:
    shop.parameters = {"rate_limit": "1000 items/s"}
    assert outcomes(shop.sync()) == {"written": 3}
