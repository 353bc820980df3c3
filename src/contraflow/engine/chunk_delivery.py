"""Deliver the chunks of an item step: put them on record, call the remote, settle what became of them.

T1: the intent is committed before the writer is called. No transaction is open during the call. T2: outcomes, item states,
dead letters and checkpoint are committed in one transaction, and the intent goes away. Whatever dies in between leaves one
state, an intent without outcome, which recovery resolves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain

import attrs

from contraflow.engine.chunk import Chunk, Intended
from contraflow.engine.comparison import Comparison
from contraflow.engine.conflicts import ConflictPass
from contraflow.engine.guards import CircuitBreaker, RejectionGuard
from contraflow.engine.in_flight import InFlight, intent_item
from contraflow.engine.pipeline import Pipeline
from contraflow.engine.prepared import Prepared
from contraflow.engine.read_ahead import ReadAhead
from contraflow.engine.recording import Landed, Recorder
from contraflow.engine.sending import Sender, Sent
from contraflow.engine.settlement import Settled
from contraflow.engine.settling import Settling
from contraflow.engine.stopping import StopRequest
from contraflow.ledger import Lease, Ledger
from contraflow_hookspecs import Unknown

ChunkPass = Callable[[Chunk], None]
"""Looks at what a chunk is about to send, before that is on record, and may change it."""


@attrs.define(kw_only=True)
class ChunkDelivery:
    """Delivers the items of one step execution, chunk by chunk.

    Args:
        comparison: Cuts the chunks. It calls :meth:`settle_first`.
        passes: What looks at a chunk before its intent is recorded, in this order.
        sender: Calls the remote.
        recorder: Records what became of chunks.
        conflicts: Looks again at what the remote refused, since somebody had changed it there; ``None`` if nobody does.
        guard: Ends the run when too much is rejected.
        ledger: Where intents are recorded.
        lease: The right to write there.
        stream_id: The ledger's number for the step into its integration.
        execution_id: The job execution's number.
        stop: Ends the delivery after the chunks in hand.
        page_size: Most items that are read ahead.
        concurrency: Most chunks in flight at once.
        keeps_doubts: Whether what is in doubt stays in its intent, for recovery to resolve.
        must_not_send: Whether recovery has to decide about each item, since an earlier sending may have arrived.
        force: Whether what is known of the remote is not trusted.
        reading_asks_ledger: Whether reading needs what was sent before to be settled: then nothing is read ahead.
    """

    comparison: Comparison
    passes: Sequence[ChunkPass]
    sender: Sender
    recorder: Recorder
    conflicts: ConflictPass | None
    guard: RejectionGuard
    ledger: Ledger
    lease: Lease
    stream_id: int
    execution_id: int
    stop: StopRequest
    page_size: int
    concurrency: int
    keeps_doubts: bool
    must_not_send: bool
    force: bool
    reading_asks_ledger: bool
    before_first: Callable[[], None] | None = attrs.field(default=None, init=False)
    """Called once, before the next intent is recorded."""
    sent_again: int = attrs.field(default=0, init=False)
    """Items that were sent though the remote had confirmed something of them before."""
    fields_sent_again: Counter[str] = attrs.field(factory=Counter, init=False)
    """In how many of these which field differs, as far as that is known."""
    refused_before: int = attrs.field(default=0, init=False)
    """Items that are rejected since an earlier run, and were not sent again."""
    _breaker: CircuitBreaker = attrs.field(factory=CircuitBreaker, init=False)
    _settling: Settling | None = attrs.field(default=None, init=False)
    _pipeline: Pipeline[InFlight | None, Sent] = attrs.field(init=False)
    _group: list[Chunk] = attrs.field(factory=list, init=False)

    def deliver(self, items: Generator[Prepared, None, None]) -> None:
        """Compare items, and deliver what differs.

        Raises:
            StopRequestedError: Somebody asked for it.
            ContraflowError: The step cannot go on; what was settled stays settled.
            ConnectorError: The remote cannot be reached, or refuses us.
        """
        ahead = ReadAhead(items, self.page_size)
        settling = Settling(
            recorder=self.recorder, settled=self._settled, ahead=None if self.reading_asks_ledger else ahead
        )
        try:
            with (
                closing(self.comparison.chunks(ahead)) as chunks,
                settling as self._settling,
                Pipeline(self.concurrency, self._send) as self._pipeline,
            ):
                self._deliver_chunks(chunks)
        finally:
            self._settling = None  # what recovery sends once more is recorded at once
        self.stop.check()

    def _deliver_chunks(self, chunks: Iterator[Chunk]) -> None:
        try:
            while self._next_group(chunks):
                self._start_group()
            self._finish(list(self._pipeline.drain()))
            self.settle()
        except BaseException:
            # What else is in flight comes down, too, and its outcomes are no less certain.
            with suppress(Exception):
                self.settle()
            self.recorder.chunks(list(self._pipeline.drain()), with_checkpoint=False)
            raise

    def settle(self) -> None:
        """Wait for what is being recorded in the background."""
        if self._settling is not None:
            self._settling.end()

    def _next_group(self, chunks: Iterator[Chunk]) -> bool:
        """Gather chunks that are started together, so that they share one transaction: half of the window at most."""
        self._group = []
        most = max(1, self.concurrency // 2)
        while len(self._group) < most and not self.stop.is_set:
            chunk = next(chunks, None)  # this may call settle_first
            if chunk is None:
                break
            self._group.append(chunk)
        return bool(self._group)

    def settle_first(self, keys: Collection[str]) -> None:
        """Settle what is under way of these items: its outcome decides what there is to say of their next version.

        So two changes of one item are never in flight together, and none is held against a state that is about to change.
        """
        self.settle()
        wanted = set(keys)
        if self._pipeline.concerns(wanted) or any(chunk.concerns(wanted) for chunk in self._group):
            self._start_group()
            self._finish(list(self._pipeline.drain()))
            self.settle()

    def _start_group(self) -> None:
        group, self._group = self._group, []
        self._finish(list(self._pipeline.make_room(len(group))))
        self.settle()
        if self.stop.is_set:
            return  # nothing of the group is on record: the next run cuts it anew
        for chunk in group:
            if self.force:
                chunk.distrust()  # before a look at the remote, which tells anew what differs
            for each in self.passes:
                chunk.noted.update(chunk.intended)  # whatever becomes of them
                each(chunk)
        for chunk, in_flight in zip(group, self._intend(group), strict=True):
            self._pipeline.start(chunk, in_flight)
        self._finish(list(self._pipeline.landed()))

    def _intend(self, group: list[Chunk]) -> list[InFlight | None]:
        """T1."""
        to_send = [list(chunk.intended.values()) for chunk in group]
        if self.before_first is not None and any(to_send):
            self.before_first()
            self.before_first = None
        for intended in filter(_was_confirmed, chain.from_iterable(to_send)):
            self.sent_again += 1
            self.fields_sent_again.update(intended.change.changed or ())
        self.refused_before += sum(outcome == "rejected" for chunk in group for outcome, _, _ in chunk.aside)
        chunks = [
            [intent_item(each, with_payload=self.keeps_doubts) for each in intended] for intended in to_send if intended
        ]
        intend = partial(
            self.ledger.intend_all,
            self.lease,
            stream_id=self.stream_id,
            execution_id=self.execution_id,
            chunks=chunks,
        )
        settling = self._settling
        numbers = iter(() if not chunks else intend() if settling is None else settling.carry_out(intend))
        return [
            InFlight(
                next(numbers),
                {each.change.key: each for each in intended},
                execution_id=self.execution_id,
                keeps_doubts=self.keeps_doubts,
            )
            if intended
            else None
            for intended in to_send
        ]

    def _send(self, chunk: Chunk, in_flight: InFlight | None, *, last: bool = False) -> Sent:
        """The call, perhaps in a thread of its own."""
        if in_flight is None:
            return Sent(intended=(), results={})

        if self.must_not_send:
            doubts = {
                key: Unknown(key=key, reason="the ledger was restored from an older copy") for key in in_flight.open
            }
            return Sent(intended=list(in_flight.open.values()), results=doubts)
        settle = partial(self.recorder.between_attempts, in_flight, last=last)
        try:
            return self.sender.send(list(chunk.intended.values()), settle)
        except BaseException as error:  # noqa: BLE001 - recorded with what else is in flight, and raised then
            left = list(in_flight.open.values())
            reason = f"{type(error).__name__}: {error}"
            results = {each.change.key: Unknown(key=each.change.key, reason=reason) for each in left}
            return Sent(intended=left, results=results, stop=error)

    def _finish(self, landed: list[Landed]) -> None:
        """T2, in the order in which the chunks were read, so that the checkpoint only passes what is settled."""
        assert self._settling is not None  # noqa: S101 - for the type checker: only called while chunks are delivered
        self._settling.begin(landed)
        if any(sent.stop is not None for _, _, sent in landed):
            self.settle()

    def _settled(self, landed: Sequence[Landed], recorded: Sequence[Settled]) -> None:
        for (_, _, sent), settled in zip(landed, recorded, strict=True):
            if sent.stop is not None:
                raise sent.stop
            if not self.must_not_send:
                self._breaker.check(sent.results.values())
            self.guard.check(settled.rejections, self.recorder.counts["rejected"], self.recorder.counts["read"])
        self.look_again()

    def look_again(self) -> None:
        """Send once more, on top of what the remote has now, what it refused since somebody had changed it there."""
        refused = self.recorder.take_refused()
        if self.conflicts is None or not refused:
            return
        chunk = self.conflicts.again(refused)
        chunk.counts["deferred"] -= len(refused)  # as which they were counted
        (in_flight,) = self._intend([chunk])
        sent = self._send(chunk, in_flight, last=True)
        (settled,) = self.recorder.chunks([(chunk, in_flight, sent)], with_checkpoint=True, last=True)
        if sent.stop is not None:
            raise sent.stop
        self.guard.check(settled.rejections, self.recorder.counts["rejected"], self.recorder.counts["read"])


def _was_confirmed(intended: Intended) -> bool:
    return intended.prior is not None and intended.prior.fingerprint is not None
