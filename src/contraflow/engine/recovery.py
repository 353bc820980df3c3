"""Resolve what is in doubt: intents without an outcome, left by a crash, a lost answer or a remote that went away.

All crash points between the intent and the settlement leave the same state, so there is one way out, chosen by the delivery
promise. Where sending again could repeat an effect, or where a late request could overwrite a newer one, recovery first
waits until no request of the former sender can still arrive (the quiesce time).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from contraflow.assembly import Stage
from contraflow.engine.chunk import Intended
from contraflow.engine.delivery import Call, deliver
from contraflow.engine.in_flight import InFlight, intended_of
from contraflow.engine.memory import Memory
from contraflow.engine.promise import Promise
from contraflow.engine.sending import Sender
from contraflow.engine.stopping import StopRequest
from contraflow.ledger import Intent, ItemState, ItemStatus, Lease, Ledger
from contraflow.ledger.boot_clock import boot_moment
from contraflow_hookspecs import Deferred, Key, StepContext, Unknown, WriteResult

_CRASHES_BEFORE_BLAME = 3
"""Executions that may die over an intent; then its items are sent alone, and at the next death the first one is blamed."""

Record = Callable[[InFlight, Sequence[Intended], Mapping[Key, WriteResult]], None]
"""Records results of an intent's items in the ledger."""


@attrs.define(kw_only=True)
class Recovery:
    """Resolves the intents of one step, oldest first.

    Args:
        ledger: Where the intents are.
        lease: The right to write there.
        stream_id: The ledger's number of the step into its integration.
        promise: What the remote's capabilities allow.
        lifetime: The quiesce time in seconds.
        memory: What is remembered of the items' fields.
        sender: Sends again.
        confirm: The connector's ``confirm_items``, for items that may only be sent again if they did not arrive.
        context: What ``confirm_items`` may know.
        stop: Ends waiting early.
        record: Records results.
        waiting: Told how many seconds recovery is about to wait.
    """

    ledger: Ledger
    lease: Lease
    stream_id: int
    promise: Promise
    lifetime: float
    memory: Memory
    sender: Sender
    confirm: Stage | None
    context: StepContext
    stop: StopRequest
    record: Record
    waiting: Callable[[float], None]

    def run(self) -> None:
        """Resolve what can be resolved. What cannot stays in doubt, with its intent, for the next execution.

        Raises:
            ConnectorError: The remote cannot be reached, or refuses us.
        """
        for intent in self.ledger.intents(self.stream_id):
            if not self._quiesce(intent):
                return
            # An intent of this very epoch was left by no crash: it waited for the end of the step.
            crashes = 0 if intent.epoch == self.lease.epoch else intent.recoveries + 1
            self.ledger.adopt_intent(self.lease, intent.id)
            self._resolve(intent, crashes)

    def _quiesce(self, intent: Intent) -> bool:
        """Wait until no request of the intent's sender can arrive any more; false if the run is to stop."""
        if self.promise is Promise.EFFECTIVELY_ONCE:
            return not self.stop.is_set  # the remote itself tells a late request from a new one
        seconds = self.lifetime
        now = boot_moment()
        same_clock = intent.boot_id is not None and intent.boot_id == now.boot_id
        if intent.returned and same_clock and intent.boot_time is not None and now.seconds is not None:
            # The call's end is on record, and the clock of that very boot has run since; no other clock is trusted. A
            # sender that died during the call may have sent its last request in its last moment.
            seconds = min(seconds, intent.boot_time + self.lifetime - now.seconds)
        if seconds > 0:
            self.waiting(seconds)
            self.stop.wait(seconds)
        return not self.stop.is_set

    def _resolve(self, intent: Intent, crashes: int) -> None:
        states = self.ledger.item_states(self.stream_id, [item.key for item in intent.items])
        left = intended_of(intent, states, self.memory)
        in_flight = InFlight(
            intent.id,
            {each.change.key: each for each in left},
            keeps_doubts=self.promise is not Promise.REPORTED,
            execution_id=intent.execution_id,
            parts=intent.parts,
        )
        if crashes > _CRASHES_BEFORE_BLAME and left:
            left = self._blame(in_flight, left, crashes)
        if self.promise is Promise.REPORTED:
            self.record(in_flight, left, {each.change.key: _held(each) for each in left})
            return
        if self.promise is Promise.CONFIRMED_ONCE:
            left = self._ask(in_flight, left)
        size = 1 if crashes >= _CRASHES_BEFORE_BLAME else len(left)
        while left:
            part, left = left[:size], left[size:]
            self._send(in_flight, part)

    def _blame(self, in_flight: InFlight, left: Sequence[Intended], crashes: int) -> Sequence[Intended]:
        """Each item was sent alone, so the first that is left is the one at which the process died again and again."""
        key = left[0].change.key
        reason = f"held: contraflow died {crashes} times while this item was sent"
        in_flight.open.pop(key)  # it is not to be sent again by itself, whatever the promise
        self.record(in_flight, left[:1], {key: Unknown(key=key, reason=reason)})
        return left[1:]

    def _ask(self, in_flight: InFlight, left: Sequence[Intended]) -> Sequence[Intended]:
        """Ask the remote what arrived; what surely did not is left to be sent."""
        # Nobody can be asked whether a record was archived, and to archive it again does nothing.
        archives = [each for each in left if each.archive]
        left = [each for each in left if not each.archive]
        if self.confirm is None or not left:
            return archives
        changes = [each.change for each in left]
        call = Call(stage=self.confirm, context=self.context, before=self.sender.before_call, hook="confirm_items")
        answer = deliver(changes, call)
        if answer.stop is not None:
            raise answer.stop
        absent = [each for each in left if isinstance(answer.results[each.change.key], Deferred)]
        self.record(in_flight, [each for each in left if each not in absent], answer.results)
        return [*absent, *archives]

    def _send(self, in_flight: InFlight, part: Sequence[Intended]) -> None:
        def settle(certain: Sequence[Intended], results: Mapping[Key, WriteResult], attempt: int) -> None:
            self.record(in_flight, certain, results)
            self.ledger.retry_intent(self.lease, in_flight.intent_id, attempt)

        # Whether an earlier sending may have arrived decides what a refusal of this one leaves behind.
        status: ItemStatus = "deferred" if self.promise is Promise.CONFIRMED_ONCE else "in_doubt"
        part = [_with_prior_status(each, status) for each in part]
        self.ledger.retry_intent(self.lease, in_flight.intent_id, part[0].change.attempt)
        sent = self.sender.send(part, settle)
        self.record(in_flight, sent.intended, sent.results)
        if sent.stop is not None:
            raise sent.stop


def _with_prior_status(intended: Intended, status: ItemStatus) -> Intended:
    prior = intended.prior or ItemState(intended.key_text, status, intended.generation)
    return intended._replace(prior=prior._replace(status=status))


def _held(intended: Intended) -> Unknown:
    return Unknown(key=intended.change.key, reason="held: nobody can say whether it arrived")
