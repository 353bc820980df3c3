"""T2: record the outcomes of chunks in the ledger, and count them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import attrs

from contraflow.engine.chunk import Chunk, Intended
from contraflow.engine.comparison import Comparison
from contraflow.engine.in_flight import InFlight
from contraflow.engine.sending import Sent
from contraflow.engine.settlement import Settled, settle_chunk, settle_sent
from contraflow.ledger import Lease, Ledger, Settlement, StepRecord
from contraflow.redaction import Redactor
from contraflow_hookspecs import Conflict, Deferred, Key, WriteResult

Landed = tuple[Chunk, InFlight | None, Sent]
"""A chunk, its intent if anything of it had to be sent, and what became of that."""

Told = Callable[[Settled, Sequence[WriteResult], Mapping[str, int]], None]
"""Told of each settlement: what was recorded, the results behind it, and the counts so far."""


class Entry(NamedTuple):
    """What is to be recorded of one chunk."""

    settled: Settled
    sent: Sequence[Intended]
    results: Mapping[Key, WriteResult]
    in_flight: InFlight | None
    read: int = 0
    """Items read with it."""
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
        defers_conflicts: Whether what the remote refused, since somebody had changed it there, is put off and looked at
            again instead of being rejected.
    """

    ledger: Ledger
    lease: Lease
    step: StepRecord
    execution_id: int
    redact: Redactor
    now: Callable[[], datetime]
    comparison: Comparison
    told: Told
    defers_conflicts: bool = False
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    """The items so far, by outcome."""
    _refused: list[Intended] = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def take_refused(self) -> list[Intended]:
        """What the remote refused, since somebody had changed it there, and what was put off for that."""
        with self._lock:
            refused, self._refused = self._refused, []
            return refused

    def chunks(self, landed: Sequence[Landed], *, with_checkpoint: bool, last: bool = False) -> list[Settled]:
        """Record chunks, in the order in which they were read, in one transaction; the arguments are :meth:`work_out`'s."""
        entries = self.work_out(landed, with_checkpoint=with_checkpoint, last=last)
        self._record_and_tell(entries)
        return [entry.settled for entry in entries]

    def work_out(self, landed: Sequence[Landed], *, with_checkpoint: bool, last: bool = False) -> list[Entry]:
        """What is to be recorded of chunks, in the order in which they were read.

        Args:
            landed: The chunks.
            with_checkpoint: Whether the checkpoint moves, up to the first chunk at which the run broke down: what that put
                off must be read again by the run that resumes it.
            last: Whether conflicts are not put off again.
        """
        entries = []
        for chunk, in_flight, sent in landed:
            settled = settle_chunk(chunk, self.redact)
            answers = {intended.change.key: result for intended, result in chunk.answered}
            settled.add(settle_sent([each for each, _ in chunk.answered], answers, self.redact, self.now()))
            settled.add(self._settle(sent.intended, sent.results, last=last))
            with_checkpoint = with_checkpoint and sent.stop is None
            position = chunk.position if with_checkpoint else None
            entries.append(Entry(settled, sent.intended, sent.results, in_flight, chunk.size, position))
        return entries

    def between_attempts(
        self,
        in_flight: InFlight,
        certain: Sequence[Intended],
        results: Mapping[Key, WriteResult],
        attempt: int,
        *,
        last: bool = False,
    ) -> None:
        """Record what is certain while the rest of a chunk is about to be sent again, as attempt number ``attempt``."""
        settled = self._settle(certain, results, last=last)
        self._record_and_tell([Entry(settled, certain, results, in_flight)])
        self.ledger.retry_intent(self.lease, in_flight.intent_id, attempt)

    def recovered(self, in_flight: InFlight, sent: Sequence[Intended], results: Mapping[Key, WriteResult]) -> None:
        """Record what recovery found out of items in doubt.

        They were counted as in doubt if this execution sent them; otherwise they count for themselves, as ``recovered``.
        """
        ours = in_flight.execution_id == self.execution_id
        settled = self._settle(sent, results, again=ours)
        certain = len(sent) - settled.counts.pop("in_doubt", 0)
        if ours:
            settled.counts["in_doubt"] -= certain
        else:
            settled.counts.clear()
            settled.counts["recovered"] = certain
        self._record_and_tell([Entry(settled, sent, results, in_flight)])

    def _settle(
        self,
        sent: Sequence[Intended],
        results: Mapping[Key, WriteResult],
        *,
        last: bool = False,
        again: bool = True,
    ) -> Settled:
        """Work out what to record; conflicts are put off where they are looked at again, in this run or the next."""
        if self.defers_conflicts and not last:
            conflicts = [each for each in sent if isinstance(results[each.change.key], Conflict)]
            results = {**results, **{each.change.key: _put_off(each) for each in conflicts}} if conflicts else results
            if again:
                with self._lock:
                    self._refused += conflicts
        return settle_sent(sent, results, self.redact, self.now())

    def record(self, entries: Sequence[Entry]) -> None:
        """Record what :meth:`work_out` found, in one transaction. :meth:`tell` is to follow."""
        if not entries:
            return
        with self._lock:
            before = self.counts.copy()
            try:
                self.ledger.settle_all([self._settlement(entry) for entry in entries], lease=self.lease)
            except BaseException:
                self.counts.clear()
                self.counts.update(before)  # only what is on record counts
                raise
            for entry in entries:
                if entry.in_flight is not None:
                    entry.in_flight.parts += 1

    def tell(self, entries: Sequence[Entry]) -> None:
        """Tell of what was recorded."""
        with self._lock:  # nobody is told of two things at once
            for entry in entries:
                self.comparison.remember(entry.settled.states)
                self.told(entry.settled, list(entry.results.values()), self.counts)

    def _record_and_tell(self, entries: Sequence[Entry]) -> None:
        self.record(entries)
        self.tell(entries)

    def _settlement(self, entry: Entry) -> Settlement:
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
            conflicts=entry.settled.conflicts,
            references=entry.settled.references,
            renumbered=bool(entry.settled.renumbered),
            checkpoint=entry.checkpoint,
            counts=dict(self.counts),
            intent_id=None if in_flight is None else in_flight.intent_id,
            unsettled=() if in_flight is None else in_flight.settled(entry.sent, entry.results),
            parts=0 if in_flight is None else in_flight.parts,
        )


def _put_off(intended: Intended) -> Deferred:
    return Deferred(key=intended.change.key, reason="somebody else changed it at the remote meanwhile")
