"""Send what is intended, in as many attempts as it takes, and say what became of it.

What the remote surely did not carry out is tried again, with backoff. What it may have carried out is not: that is left in
doubt here, for :mod:`contraflow.engine.recovery` to resolve in the way that the delivery promise allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from contraflow.assembly import Stage
from contraflow.engine.chunk import Intended
from contraflow.engine.delivery import Call, Delivered, deliver
from contraflow.engine.rate import RateLimiter
from contraflow.engine.retry import Retries
from contraflow.engine.stopping import StopRequest
from contraflow_hookspecs import Deferred, Key, StepContext, TransientError, Unknown, WriteResult

Settle = Callable[[Sequence[Intended], Mapping[Key, WriteResult], int], None]
"""Records outcomes while the rest is tried again: what is settled, the results, and the number of the next attempt."""


@attrs.frozen(kw_only=True)
class Sent:
    """What became of what was to be sent, after the last attempt."""

    intended: Sequence[Intended]
    """What had not been settled before."""
    results: Mapping[Key, WriteResult]
    """One for each of them."""
    stop: BaseException | None = None
    """Why nothing more should be sent in this execution."""


@attrs.frozen(kw_only=True)
class _Round:
    intended: Sequence[Intended]
    delivered: Delivered
    again: bool
    retry_after: float | None


@attrs.define(kw_only=True)
class Sender:
    """Sends the chunks of one step execution. Used from several threads at once.

    Args:
        writer: The step's writer.
        archiver: The writer's ``archive_items``, if it has one.
        context: What the writer may know.
        retries: The step's patience.
        limiter: The step's rate limit.
        stop: Ends waiting early.
        check: Called before each call of the writer; raises if this process may not send any more.
    """

    writer: Stage
    archiver: Stage | None
    context: StepContext
    retries: Retries
    limiter: RateLimiter
    stop: StopRequest
    check: Callable[[], None]

    def send(self, intended: Sequence[Intended], settle: Settle) -> Sent:
        """Send a chunk.

        Args:
            intended: What is to be sent; its intent is in the ledger.
            settle: Records outcomes between two attempts.
        """
        left = list(intended)
        attempt = intended[0].change.attempt - 1
        previous: _Round | None = None

        def one_round() -> _Round:
            nonlocal left, attempt, previous
            if previous is not None and self.stop.is_set:
                return attrs.evolve(previous, again=False)
            if previous is not None:
                left = self._settle_certain(previous, settle, attempt + 1)
            attempt += 1
            previous = self._round(left, attempt)
            return previous

        last = self.retries.run(one_round)
        return Sent(intended=last.intended, results=last.delivered.results, stop=last.delivered.stop)

    def before_call(self, items: int) -> bool:
        """Wait until a call with so many items may begin; false if the run is to stop.

        Raises:
            FencedError: This process may not send any more.
        """
        may_begin = self.limiter.wait(items)
        self.check()
        return may_begin

    def _round(self, intended: Sequence[Intended], attempt: int) -> _Round:
        delivered = self._deliver([each for each in intended if not each.archive], attempt, self.writer)
        if archives := [each for each in intended if each.archive]:
            delivered = self._archive(archives, attempt, delivered)
        deferred = [result for result in delivered.results.values() if isinstance(result, Deferred)]
        may_go_on = delivered.stop is None or isinstance(delivered.stop, TransientError)
        waits = [result.retry_after for result in deferred if result.retry_after is not None]
        return _Round(
            intended=intended,
            delivered=delivered,
            again=bool(deferred) and may_go_on,
            retry_after=max(waits, default=None),
        )

    def _deliver(
        self, intended: Sequence[Intended], attempt: int, stage: Stage, hook: str = "write_items"
    ) -> Delivered:
        changes = [
            each.change if each.change.attempt == attempt else attrs.evolve(each.change, attempt=attempt)
            for each in intended
        ]
        context = attrs.evolve(self.context, attempt=attempt)
        return deliver(changes, Call(stage=stage, context=context, before=self.before_call, hook=hook))

    def _archive(self, archives: Sequence[Intended], attempt: int, written: Delivered) -> Delivered:
        """Carry out what is to be archived, behind the rest of the chunk. Never as a deletion, which takes away more."""
        keys = [each.change.key for each in archives]
        if written.stop is not None:
            unsent = {key: Deferred(key=key, reason="not sent: the run stopped before") for key in keys}
            return Delivered(results={**written.results, **unsent}, stop=written.stop)
        if self.archiver is None:  # an intent of an earlier run, whose connector could
            lost = {key: Unknown(key=key, reason="held: the connector has no archive_items any more") for key in keys}
            return Delivered(results={**written.results, **lost})
        archived = self._deliver(archives, attempt, self.archiver, "archive_items")
        return Delivered(results={**written.results, **archived.results}, stop=archived.stop)

    @staticmethod
    def _settle_certain(last: _Round, settle: Settle, attempt: int) -> list[Intended]:
        results = last.delivered.results
        again = [each for each in last.intended if isinstance(results[each.change.key], Deferred)]
        certain = [each for each in last.intended if not isinstance(results[each.change.key], Deferred)]
        settle(certain, results, attempt)
        return again
