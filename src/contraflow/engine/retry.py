"""When to try again, and how long to wait before: tenacity's exponential backoff with full jitter, and Retry-After.

Full jitter is Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_random_exponential

from contraflow.engine.stopping import StopRequest
from contraflow.options import RetryPolicy


class Round(Protocol):
    """What one attempt came to."""

    @property
    def again(self) -> bool:
        """Whether something is left that another attempt may bring about."""

    @property
    def retry_after(self) -> float | None:
        """Seconds that the remote asked us to wait, if it did."""


_R = TypeVar("_R", bound=Round)


@attrs.define(kw_only=True)
class Retries:
    """Spends a step's patience with its remote, over all of its chunks.

    Args:
        policy: How much of it there is.
        stop: Ends a wait early; then there is no further attempt.
    """

    policy: RetryPolicy
    stop: StopRequest
    _spent: float = attrs.field(default=0.0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def run(self, attempt: Callable[[], _R]) -> _R:
        """Call ``attempt`` until nothing is left to be done again, or patience is at its end.

        Returns:
            What the last attempt came to.
        """
        retrying = Retrying(
            retry=retry_if_result(lambda result: result.again),
            wait=self._wait,
            stop=lambda state: stop_after_attempt(self.policy.attempts)(state) or self._is_enough(state),
            sleep=self._sleep,
            retry_error_callback=_last_result,
        )
        return retrying(attempt)

    def _wait(self, state: RetryCallState) -> float:
        asked = _retry_after(state)
        jitter = wait_random_exponential(multiplier=self.policy.wait, max=self.policy.max_wait)(state)
        if asked is None:
            return jitter
        # At least what was asked for, and a little more, lest all clients come back in the same moment.
        return asked + random.uniform(0.0, min(jitter, self.policy.wait))  # noqa: S311 - jitter is no secret

    def _is_enough(self, state: RetryCallState) -> bool:
        asked = _retry_after(state)
        too_long = asked is not None and asked > self.policy.max_wait
        return too_long or self.stop.is_set or self._spent >= self.policy.budget

    def _sleep(self, seconds: float) -> None:
        with self._lock:
            self._spent += seconds
        self.stop.wait(seconds)


def _retry_after(state: RetryCallState) -> float | None:
    assert state.outcome is not None  # noqa: S101 - tenacity waits and stops only after an attempt
    asked: float | None = state.outcome.result().retry_after
    return asked


def _last_result(state: RetryCallState) -> object:
    assert state.outcome is not None  # noqa: S101 - as above
    return state.outcome.result()
