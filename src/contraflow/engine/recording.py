"""T2: record the outcomes of chunks in the ledger, and count them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import attrs

from contraflow.engine.comparison import Chunk, Comparison, Intended
from contraflow.engine.in_flight import InFlight
from contraflow.engine.sending import Sent
from contraflow.engine.settlement import Settled, settle_chunk, settle_sent
from contraflow.ledger import Lease, Ledger, Settlement, StepRecord
from contraflow.redaction import Redactor
from contraflow_hookspecs import Key, WriteResult

Landed = tuple[Chunk, InFlight | None, Sent]
"""A chunk, its intent if anything of it had to be sent, and what became of that."""

Told = Callable[[Settled, Sequence[WriteResult], Mapping[str, int]], None]
"""Told of each settlement: what was recorded, the results behind it, and the counts so far."""


class _Entry(NamedTuple):
    settled: Settled
    sent: Sequence[Intended]
    results: Mapping[Key, WriteResult]
    in_flight: InFlight | None
    read: int = 0
    checkpoint: Key | None = None


@attrs.define(kw_only=True)
class Recorder:
    """Records what becomes of the items of one step execution. Used from several threads.

    Args:
        ledger: Where.
        lease: The right to write there.
        step: The step execution's numbers in the ledger.
        execution_id: The job execution's number.
        redact: Keeps secrets out.
        now: The clock.
        comparison: Learns what was settled.
        told: Told of each settlement.
    """

    ledger: Ledger
    lease: Lease
    step: StepRecord
    execution_id: int
    redact: Redactor
    now: Callable[[], datetime]
    comparison: Comparison
    told: Told
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    """The items so far, by outcome."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def chunks(self, landed: Sequence[Landed], *, with_checkpoint: bool) -> list[Settled]:
        """Record chunks, in the order in which they were read, in one transaction.

        Args:
            landed: The chunks.
            with_checkpoint: Whether the checkpoint moves, up to the first chunk at which the run broke down: what that put
                off must be read again by the run that resumes it.
        """
        entries = []
        for chunk, in_flight, sent in landed:
            settled = settle_chunk(chunk, self.redact)
            settled.add(settle_sent(sent.intended, sent.results, self.redact, self.now()))
            with_checkpoint = with_checkpoint and sent.stop is None
            position = chunk.position if with_checkpoint else None
            entries.append(_Entry(settled, sent.intended, sent.results, in_flight, chunk.size, position))
        if entries:
            self._record(entries)
        return [entry.settled for entry in entries]

    def between_attempts(
        self, in_flight: InFlight, certain: Sequence[Intended], results: Mapping[Key, WriteResult], attempt: int
    ) -> None:
        """Record what is certain while the rest of a chunk is about to be sent again, as attempt number ``attempt``."""
        settled = settle_sent(certain, results, self.redact, self.now())
        self._record([_Entry(settled, certain, results, in_flight)])
        self.ledger.retry_intent(self.lease, in_flight.intent_id, attempt)

    def recovered(self, in_flight: InFlight, sent: Sequence[Intended], results: Mapping[Key, WriteResult]) -> None:
        """Record what recovery found out of items in doubt.

        They were counted as in doubt if this execution sent them; otherwise they count for themselves, as ``recovered``.
        """
        settled = settle_sent(sent, results, self.redact, self.now())
        certain = len(sent) - settled.counts.pop("in_doubt", 0)
        if in_flight.execution_id == self.execution_id:
            settled.counts["in_doubt"] -= certain
        else:
            settled.counts.clear()
            settled.counts["recovered"] = certain
        self._record([_Entry(settled, sent, results, in_flight)])

    def _record(self, entries: Sequence[_Entry]) -> None:
        with self._lock:
            self.ledger.settle_all([self._settlement(entry) for entry in entries], lease=self.lease)
            for entry in entries:
                if entry.in_flight is not None:
                    entry.in_flight.parts += 1
                self.comparison.remember(entry.settled.states)
                self.told(entry.settled, list(entry.results.values()), self.counts)

    def _settlement(self, entry: _Entry) -> Settlement:
        self.counts.update(entry.settled.counts)
        self.counts["read"] += entry.read
        in_flight = entry.in_flight
        return Settlement(
            step_execution_id=self.step.id,
            stream_id=self.step.stream_id,
            execution_id=self.execution_id,
            states=entry.settled.states,
            dead_letters=entry.settled.dead_letters,
            resolved=entry.settled.resolved,
            checkpoint=entry.checkpoint,
            counts=dict(self.counts),
            intent_id=None if in_flight is None else in_flight.intent_id,
            unsettled=() if in_flight is None else in_flight.settled(entry.sent, entry.results),
            parts=0 if in_flight is None else in_flight.parts,
        )
