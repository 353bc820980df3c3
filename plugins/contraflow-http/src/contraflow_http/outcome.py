"""From an answer to the result of one change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow_hookspecs import (
    Action,
    Change,
    Conflict,
    Deferred,
    Gone,
    PermanentError,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    WriteResult,
    Written,
)
from contraflow_http.answer import Answer
from contraflow_http.errors import Outcome, describe, meaning_of, retry_after
from contraflow_http.sending import Kind, Sending
from contraflow_http.settings import Endpoint
from contraflow_http.wire import Wire

Halt = TransientError | PermanentError | SystemicError
"""Why nothing more is to be sent now."""


@attrs.frozen(kw_only=True)
class Settled:
    """What one call brought."""

    results: Sequence[WriteResult] = ()
    halt: Halt | None = None
    """Set if what follows must not be sent now."""


@attrs.frozen(kw_only=True)
class Judge:
    """Reads the answers of one endpoint."""

    endpoint: Endpoint
    wire: Wire

    def settle(self, sending: Sending, answer: Answer, outcome: Outcome | None = None) -> Settled:
        """The change's result, and whether the answer means that those behind it must wait.

        A systemic answer settles nothing: the change was not carried out, and not for a fault of its own.

        Args:
            sending: What was sent.
            answer: What came back.
            outcome: What that means; ``None`` to read it from the status.
        """
        if outcome is None:
            outcome = self._outcome(sending.kind, answer)
        message = self.describe(answer, sending.method, sending.path)
        if outcome is Outcome.SYSTEMIC:
            return Settled(halt=SystemicError(message))
        result = self._result(outcome, sending, answer, message)
        if outcome is Outcome.THROTTLED:
            return Settled(results=[result], halt=TransientError(message, retry_after=retry_after(answer.headers)))
        return Settled(results=[result])

    def describe(self, answer: Answer, method: str, path: str) -> str:
        """One line for people."""
        return describe(answer, method, path, self.endpoint.error, self.wire.secrets)

    def _outcome(self, kind: Kind, answer: Answer) -> Outcome:
        status = answer.status
        if status in self.endpoint.statuses:
            return self.endpoint.statuses[status]
        if status in {404, 410} and kind in (Kind.DELETE, Kind.FORGET):
            return Outcome.WRITTEN
        if status in {404, 410} and kind in (Kind.UPDATE, Kind.ARCHIVE):
            return Outcome.GONE
        return meaning_of(answer)

    def _result(self, outcome: Outcome, sending: Sending, answer: Answer, message: str) -> WriteResult:
        key = sending.change.key
        match outcome:
            case Outcome.WRITTEN | Outcome.UNCHANGED:
                return self.written(sending, answer, unchanged=outcome is Outcome.UNCHANGED)
            case Outcome.CONFLICT:
                return self._conflict(sending, answer)
            case Outcome.GONE:
                return Gone(key=key)
            case Outcome.DEFERRED | Outcome.THROTTLED:
                return Deferred(key=key, reason=message, retry_after=retry_after(answer.headers))
            case Outcome.UNKNOWN:
                return Unknown(key=key, reason=message)
            case _:
                return Rejected(key=key, code=f"http_{answer.status}" if answer.status else "refused", reason=message)

    def written(self, sending: Sending, answer: Answer, *, unchanged: bool = False) -> WriteResult:
        """The result of a change that the remote holds; ``Unknown`` if it does not tell an id that we shall need."""
        change = sending.change
        if sending.kind.removes:
            return Written(key=change.key, action=Action.DELETED if sending.kind is Kind.DELETE else None)
        remote_id = answer.text(self.endpoint.id)
        if remote_id is None and sending.kind is Kind.CREATE:
            if self.endpoint.needs_remote_id:
                told = self.describe(Answer(status=answer.status), sending.method, sending.path)
                return Unknown(key=change.key, reason=f"{told} without an id at '{self.endpoint.id}'")
            # Something must be remembered, or the next change would be taken for a first one and created again.
            remote_id = ",".join(str(part) for part in change.key)
        return Written(
            key=change.key,
            action=Action.UNCHANGED if unchanged else _action(sending.kind, answer.status),
            remote_id=remote_id,
            remote_version=answer.text(self.endpoint.version),
        )

    def _conflict(self, sending: Sending, answer: Answer) -> WriteResult:
        """A conflict, unless the remote shows that it already holds what we send: an earlier try that arrived."""
        change = sending.change
        existing = None if self.endpoint.existing is None else answer.find(self.endpoint.existing)
        if not isinstance(existing, Mapping):
            return Conflict(key=change.key)
        nameless = sending.kind is Kind.CREATE and self.endpoint.needs_remote_id
        if not sending.kind.removes and not nameless and holds(existing, sending, self.endpoint):
            version = answer.text(self.endpoint.version)
            return Written(key=change.key, action=Action.UNCHANGED, remote_version=version)
        return Conflict(key=change.key, remote=existing)


def holds(record: Mapping[str, Any], sending: Sending, endpoint: Endpoint) -> bool:
    """Whether a record of the remote has every field of the payload, with the same value."""
    payload = sending.body if endpoint.wrap is None else sending.body[endpoint.wrap]
    return all(name in record and record[name] == value for name, value in payload.items())


def deferred(changes: Sequence[Change], halt: Halt) -> list[WriteResult]:
    """Results of changes that were not carried out, and why."""
    pause = halt.retry_after if isinstance(halt, TransientError) else None
    return [Deferred(key=change.key, reason=f"not carried out: {halt}", retry_after=pause) for change in changes]


def _action(kind: Kind, status: int) -> Action | None:
    if kind is Kind.CREATE or status == 201:
        return Action.CREATED
    return Action.UPDATED if kind is Kind.UPDATE else None
