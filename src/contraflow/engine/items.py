"""The loop of an item step: read, process and compare; then for each chunk intent, call, settle.

T1: the intent is committed before the writer is called. No transaction is open during the call. T2: outcomes, item states,
dead letters and checkpoint are committed in one transaction, and the intent goes away. Whatever dies in between leaves one
state, an intent without outcome, which recovery resolves: at the end of the step, and at the beginning of the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain

import attrs

from contraflow.assembly import Stage
from contraflow.engine.adoption import AdoptionPass
from contraflow.engine.changes import owed_keys
from contraflow.engine.children import Children
from contraflow.engine.chunk import Chunk, Intended
from contraflow.engine.comparison import Comparison
from contraflow.engine.conflicts import ConflictPass
from contraflow.engine.fetching import Fetcher
from contraflow.engine.guards import CircuitBreaker, RejectionGuard
from contraflow.engine.in_flight import InFlight, intent_item
from contraflow.engine.memory import Memory
from contraflow.engine.parents import Parents
from contraflow.engine.pipeline import Pipeline
from contraflow.engine.planned import PlannedComparison
from contraflow.engine.preparation import Preparation, Prepared
from contraflow.engine.promise import Promise
from contraflow.engine.rate import RateLimiter
from contraflow.engine.read_ahead import ReadAhead
from contraflow.engine.recording import Landed, Recorder, Told
from contraflow.engine.recovery import Recovery
from contraflow.engine.retry import Retries
from contraflow.engine.sending import Sender, Sent
from contraflow.engine.settlement import Settled
from contraflow.engine.settling import Settling
from contraflow.engine.spool import Planned
from contraflow.engine.stopping import StopRequest, StopRequestedError
from contraflow.engine.vanished import FullComparison, reads_everything
from contraflow.engine.waiting import WaitingItems
from contraflow.errors import ContraflowError, LedgerError
from contraflow.ledger import Lease, Ledger, StepRecord
from contraflow.options import StepOptions
from contraflow.readers import READERS
from contraflow.redaction import Redactor
from contraflow_hookspecs import Key, Operation, StepContext, Unknown

OUTCOMES = (
    "written",
    "unchanged",
    "filtered",
    "coalesced",
    "rejected",
    "conflict",
    "deferred",
    "in_doubt",
    "gone",
    "stale",
)
"""Every item read has exactly one of these at the end."""


ChunkPass = Callable[[Chunk], None]
"""Looks at what a chunk is about to send, before that is on record, and may change it."""


class InvariantError(ContraflowError):
    """The outcomes do not add up to what was read: an error in contraflow itself."""

    exit_code = 70


@attrs.define(kw_only=True)
class ItemLoop:
    """One execution of an item step.

    Args:
        reader: The step's reader.
        processor: Its processor.
        writer: Its writer.
        confirmer: The writer's ``confirm_items``, if it has one.
        fetcher: The writer's ``fetch_items``, if it has one.
        archiver: Its ``archive_items``, if it has one.
        finder: Its ``find_items``, if it has one.
        options: The engine's own parameters.
        promise: What the remote's capabilities allow.
        doubtful: Whether the ledger is an older copy of itself, so that each item may have been sent since: where that
            matters, it is treated as one whose answer was lost.
        lifetime: Seconds after which a request can no longer arrive.
        can_delete: Whether the remote can delete.
        context: What the plugins may know.
        ledger: Where everything is recorded.
        lease: The right to write there.
        record: The step execution's numbers in the ledger.
        redact: Keeps secrets out of what is recorded.
        stop: Ends the loop after the chunks in hand.
        may_send: Raises if this process may not send any more.
        filtered: Told of each filtered item.
        told: Told of each settlement.
        waiting: Told how many seconds recovery is about to wait.
        explain: Turns an exception of the processor into words, where it knows better.
        now: The clock.
        may_remove: Raises if so much may not be removed as a complete read did not yield; asked before other steps begin.
        children: Puts off removals of what has children at the remote; ``None`` if nothing refers to the step's items.
        force: Whether items are sent also if the remote holds them.
        plan: What may be sent, by key text; ``None`` for everything that differs.
        parents: Finds the parents of items; ``None`` if they have none.
    """

    reader: Stage
    processor: Stage
    writer: Stage
    confirmer: Stage | None
    fetcher: Stage | None
    archiver: Stage | None
    finder: Stage | None
    options: StepOptions
    promise: Promise
    doubtful: bool
    lifetime: float
    can_delete: bool
    context: StepContext
    ledger: Ledger
    lease: Lease
    record: StepRecord
    redact: Redactor
    stop: StopRequest
    may_send: Callable[[], None]
    filtered: Callable[..., None] | None
    told: Told
    waiting: Callable[[float], None]
    explain: Callable[[BaseException, object], str | None]
    now: Callable[[], datetime]
    may_remove: Callable[[FullComparison], None]
    force: bool = False
    plan: Mapping[str, Planned] | None = None
    parents: Parents | None = None
    children: Children | None = None
    _sender: Sender = attrs.field(init=False)
    _memory: Memory = attrs.field(init=False)
    _comparison: Comparison = attrs.field(init=False)
    _guard: RejectionGuard = attrs.field(init=False)
    _breaker: CircuitBreaker = attrs.field(factory=CircuitBreaker, init=False)
    _recorder: Recorder = attrs.field(init=False)
    _conflicts: ConflictPass | None = attrs.field(init=False)
    _passes: Sequence[ChunkPass] = attrs.field(init=False)
    _preparation: Preparation = attrs.field(init=False)
    _waiting: WaitingItems = attrs.field(init=False)
    _everything: FullComparison = attrs.field(init=False)
    _before_first: Callable[[], None] | None = attrs.field(default=None, init=False)
    owes_removals: bool = attrs.field(default=False, init=False)
    """After :meth:`run`: whether :meth:`remove` has something to do."""
    _settling: Settling | None = attrs.field(default=None, init=False)
    _pipeline: Pipeline[InFlight | None, Sent] = attrs.field(init=False)
    _group: list[Chunk] = attrs.field(factory=list, init=False)
    sent_again: int = attrs.field(default=0, init=False)
    """Items that were sent though the remote had confirmed something of them before."""
    fields_sent_again: Counter[str] = attrs.field(factory=Counter, init=False)
    """In how many of these which field differs, as far as that is known."""
    refused_before: int = attrs.field(default=0, init=False)
    """Items that are rejected since an earlier run, and were not sent again."""

    def __attrs_post_init__(self) -> None:
        options = self.options
        self._guard = RejectionGuard(skip_limit=options.skip_limit, max_rejected=options.max_rejected)
        retries = Retries(policy=options.retry, stop=self.stop)
        self._sender = Sender(
            writer=self.writer,
            archiver=self.archiver,
            context=self.context,
            retries=retries,
            limiter=RateLimiter(rate=options.rate, stop=self.stop),
            stop=self.stop,
            check=self.may_send,
        )
        self._memory = Memory(self.ledger.id, keeps_payloads=options.remembers_payloads)
        self._comparison = (Comparison if self.plan is None else partial(PlannedComparison, plan=self.plan))(
            ledger=self.ledger,
            stream_id=self.record.stream_id,
            identity=(self.ledger.id, self.context.integration, self.context.job, self.context.step),
            page_size=options.batch_size,
            chunk_size=options.batch_size,
            memory=self._memory,
            now=self.now,
            force=self.force,
            at_once=self.context.filter.ids is not None,
            resend_held=self.promise is Promise.AT_LEAST_ONCE,
            # In a complete read they go last, with those that vanished, when it is known how many they are.
            filtered=None if reads_everything(self.context) else options.filtered,
            resurrect=options.resurrect,
            settles_conflicts=options.conflicts is not None,
            settle=self._settle_first,
        )
        self._conflicts = self._conflict_pass(retries)
        # What is adopted may be in conflict with what is there.
        passes = (self.children, self._adoption_pass(retries), self._conflicts)
        self._passes = [each for each in passes if each is not None]
        self._everything = FullComparison(
            ledger=self.ledger, stream_id=self.record.stream_id, options=options, context=self.context
        )
        self._recorder = Recorder(
            ledger=self.ledger,
            lease=self.lease,
            step=self.record,
            execution_id=self.context.execution_id,
            redact=self.redact,
            now=self.now,
            comparison=self._comparison,
            told=self.told,
            defers_conflicts=self._conflicts is not None,
        )
        self._preparation = Preparation(
            read=self.reader.call,
            process=self.processor.call,
            reader=self.reader.plugin,
            processor=self.processor.plugin,
            context=self.context,
            can_delete=self.can_delete,
            modified_column=None if options.conflicts is None else options.conflicts.modified_column,
            removal=options.missing,
            filtered=self.filtered,
            explain=self.explain,
            owed=self._owed,
            parents=self.parents,
            page_size=options.batch_size,
            forgotten=self.ledger.forgotten(self.record.stream_id),
        )
        self._waiting = WaitingItems(
            preparation=self._preparation,
            find=partial(self.ledger.waiting_items, self.record.stream_id, self.context.execution_id),
            page_size=options.batch_size,
        )

    def _owed(self) -> Iterable[Sequence[Key]]:
        self._settle()
        return owed_keys(self.ledger, self.record.stream_id, self.context, self.options.batch_size, self.parents)

    def _adoption_pass(self, retries: Retries) -> AdoptionPass | None:
        if not self.options.adopt or self.finder is None:
            return None
        return AdoptionPass(
            finder=Fetcher(
                stage=self.finder,
                context=self.context,
                before=self._sender.before_call,
                retries=retries,
                stop=self.stop,
            )
        )

    def _conflict_pass(self, retries: Retries) -> ConflictPass | None:
        rules = self.options.conflicts
        if rules is None or self.fetcher is None:
            return None
        fetcher = Fetcher(
            stage=self.fetcher, context=self.context, before=self._sender.before_call, retries=retries, stop=self.stop
        )
        return ConflictPass(
            rules=rules,
            fetcher=fetcher,
            ledger=self.ledger,
            stream_id=self.record.stream_id,
            memory=self._memory,
            force=self.force,
        )

    @property
    def counts(self) -> Counter[str]:
        """The items so far, by outcome."""
        return self._recorder.counts

    def run(self) -> None:
        """Deliver all that is read, and find what is to be removed then.

        Raises:
            StopRequestedError: Somebody asked it to stop.
            ContraflowError: The step cannot go on; what was settled stays settled.
            ConnectorError: The remote cannot be reached, or refuses us.
        """
        with self._in_order():
            self._everything.open()
            self._settle_doubts()
            self._deliver_read()
            self.owes_removals = self._find_removals()
        self._check_sum()
        if not self.owes_removals:
            self._complete()

    def remove(self, before_first: Callable[[], None]) -> None:
        """After :meth:`run`, and when all that refers to the step's items has been seen to: remove what is to be removed.

        Args:
            before_first: Called before anything is removed, unless all of it is put off.

        Raises:
            ContraflowError: As :meth:`run`; also the others.
        """
        self.owes_removals = False
        self._before_first = before_first
        with self._in_order():
            for removals in self._everything.rounds(() if self.children is None else self.children.own_names):
                self._deliver_all(removals)
                self._settle_doubts()
        self._check_sum()
        self._complete()

    def close(self) -> None:
        """Give up what was noted for :meth:`remove`. Closing twice does no harm."""
        self.owes_removals = False
        self._everything.close()

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        try:
            yield
        finally:
            with suppress(LedgerError):  # if not even this can be written, there are better reasons to report
                self.ledger.end_in_order(self.lease, self.record.stream_id)

    def _complete(self) -> None:
        """All is done. Not before: what a crash between two phases leaves has to be found again."""
        self.close()
        ids = self.context.filter.ids
        if ids is not None and len(ids) > self._came_in:
            self.counts["missing"] = len(ids) - self._came_in
        if ids is None:
            swept = self.context.execution_id if self.compares_all else None
            self.ledger.note_read(self.lease, self.record.stream_id, cursor=self._preparation.reached, swept=swept)

    @property
    def _came_in(self) -> int:
        return self._preparation.items_read + self._everything.items

    def once_more(self) -> bool:
        """After :meth:`run`: try once more what waits for parents; whether anything did not have to wait any longer.

        Raises:
            ContraflowError: As :meth:`run`; also ``ConnectorError``.
        """
        if self.parents is None or not self._deliver_waiting():
            return False
        self._settle_doubts()
        self._check_sum()
        return True

    @property
    def waits(self) -> Sequence[str]:
        """Some of the items that wait for parents, or for their children to be gone, with the reason."""
        return [*self._preparation.waits, *(() if self.children is None else self.children.put_off)]

    def _deliver_waiting(self) -> bool:
        """Deliver what had to wait and need not any longer; whether there was anything."""
        before = self._waiting.released
        self._deliver_all(self._waiting.ready())
        return self._waiting.released > before

    def _check_sum(self) -> None:
        outcomes = sum(self.counts[each] for each in OUTCOMES)
        if outcomes != self._came_in:
            raise InvariantError(f"{self._came_in} items came in, but {outcomes} have an outcome")

    def _deliver_read(self) -> None:
        items = self._without_removals(iter(self._preparation))
        self._deliver_all(self._everything.watch(items))
        if self.parents is not None and self.parents.refer_to_themselves:
            while self._deliver_waiting():
                pass
        self._settle_doubts()  # what is in doubt cannot be removed

    def _find_removals(self) -> bool:
        """Whether there are any."""
        if isinstance(self._comparison, PlannedComparison):
            self._everything.add(self._comparison.removals())
        elif self._everything.find():
            self.may_remove(self._everything)
        return self._everything.found

    def _without_removals(self, items: Generator[Prepared, None, None]) -> Generator[Prepared, None, None]:
        """Put the removals of ids aside that are not in the source, for :meth:`remove`.

        Those of other readers stay where they are: they may yield the same key anew behind it. One that reads everything
        has none.
        """
        if self.reader.plugin not in READERS or reads_everything(self.context):
            yield from items
            return
        with closing(items):
            for item in items:
                if item.operation is not Operation.DELETE or self._is_planned_otherwise(item):
                    yield item
                    continue
                self._preparation.items_read -= 1  # it counts when it goes
                if self.plan is None:  # or the comparison finds it in the plan
                    self._everything.add([item])

    def _is_planned_otherwise(self, item: Prepared) -> bool:
        planned = None if self.plan is None else self.plan.get(item.key_text)
        return self.plan is not None and (planned is None or planned.operation != "delete")

    def _settle_doubts(self) -> None:
        self._recover()
        self._look_again()

    @property
    def stale(self) -> Iterator[tuple[str, str]]:
        """What a plan names and was left out, by key text, and why."""
        if isinstance(self._comparison, PlannedComparison):
            yield from self._comparison.stale.items()
            yield from ((key, "it is not read any more") for key in self._comparison.unseen())

    @property
    def compares_all(self) -> bool:
        """Whether a loop that comes to its end has compared every item of the source."""
        return self.context.filter.ids is None and not self.context.filter.changed

    def _recover(self) -> None:
        Recovery(
            ledger=self.ledger,
            lease=self.lease,
            stream_id=self.record.stream_id,
            promise=self.promise,
            lifetime=self.lifetime,
            memory=self._memory,
            sender=self._sender,
            confirm=self.confirmer,
            context=self.context,
            stop=self.stop,
            record=self._recorder.recovered,
            waiting=self.waiting,
        ).run()
        self._check_stop()

    @property
    def _must_not_send(self) -> bool:
        """Whether recovery has to decide about each item, since an earlier sending may have arrived."""
        return self.doubtful and self.promise in (Promise.CONFIRMED_ONCE, Promise.REPORTED)

    def _check_stop(self) -> None:
        if self.stop.is_set:
            raise StopRequestedError(self.stop.reason or "stopped")

    def _deliver_all(self, items: Generator[Prepared, None, None]) -> None:
        ahead = ReadAhead(items, self.options.batch_size)
        # Parents are looked up in the ledger while items are read.
        settling = Settling(
            recorder=self._recorder, settled=self._settled, ahead=ahead if self.parents is None else None
        )
        try:
            with (
                closing(self._comparison.chunks(ahead)) as chunks,
                settling as self._settling,
                Pipeline(self.options.concurrency, self._send) as self._pipeline,
            ):
                self._deliver_chunks(chunks)
        finally:
            self._settling = None  # what recovery sends once more is recorded at once
        self._check_stop()

    def _deliver_chunks(self, chunks: Iterator[Chunk]) -> None:
        try:
            while self._next_group(chunks):
                self._start_group()
            self._finish(list(self._pipeline.drain()))
            self._settle()
        except BaseException:
            # What else is in flight comes down, too, and its outcomes are no less certain.
            with suppress(Exception):
                self._settle()
            self._recorder.chunks(list(self._pipeline.drain()), with_checkpoint=False)
            raise

    def _settle(self) -> None:
        """Wait for what is being recorded in the background."""
        if self._settling is not None:
            self._settling.end()

    def _next_group(self, chunks: Iterator[Chunk]) -> bool:
        """Gather chunks that are started together, so that they share one transaction: half of the window at most."""
        self._group = []
        most = max(1, self.options.concurrency // 2)
        while len(self._group) < most and not self.stop.is_set:
            chunk = next(chunks, None)  # this may call _settle_first
            if chunk is None:
                break
            self._group.append(chunk)
        return bool(self._group)

    def _settle_first(self, keys: Collection[str]) -> None:
        """Settle what is under way of these items: its outcome decides what there is to say of their next version.

        So two changes of one item are never in flight together, and none is held against a state that is about to change.
        """
        self._settle()
        wanted = set(keys)
        if self._pipeline.concerns(wanted) or any(chunk.concerns(wanted) for chunk in self._group):
            self._start_group()
            self._finish(list(self._pipeline.drain()))
            self._settle()

    def _start_group(self) -> None:
        group, self._group = self._group, []
        self._finish(list(self._pipeline.make_room(len(group))))
        self._settle()
        for chunk in group:
            if self.force:
                chunk.distrust()  # before a look at the remote, which tells anew what differs
            for each in self._passes:
                chunk.noted.update(chunk.intended)  # whatever becomes of them
                each(chunk)
        for chunk, in_flight in zip(group, self._intend(group), strict=True):
            self._pipeline.start(chunk, in_flight)
        self._finish(list(self._pipeline.landed()))

    def _intend(self, group: list[Chunk]) -> list[InFlight | None]:
        """T1."""
        to_send = [list(chunk.intended.values()) for chunk in group]
        if self._before_first is not None and any(to_send):
            self._before_first()
            self._before_first = None
        for intended in filter(_was_confirmed, chain.from_iterable(to_send)):
            self.sent_again += 1
            self.fields_sent_again.update(intended.change.changed or ())
        self.refused_before += sum(outcome == "rejected" for chunk in group for outcome, _, _ in chunk.aside)
        keeps_doubts = self.promise is not Promise.REPORTED
        chunks = [
            [intent_item(each, with_payload=keeps_doubts) for each in intended] for intended in to_send if intended
        ]
        intend = partial(
            self.ledger.intend_all,
            self.lease,
            stream_id=self.record.stream_id,
            execution_id=self.context.execution_id,
            chunks=chunks,
        )
        settling = self._settling
        numbers = iter(() if not chunks else intend() if settling is None else settling.carry_out(intend))
        return [
            InFlight(
                next(numbers),
                {each.change.key: each for each in intended},
                execution_id=self.context.execution_id,
                keeps_doubts=keeps_doubts,
            )
            if intended
            else None
            for intended in to_send
        ]

    def _send(self, chunk: Chunk, in_flight: InFlight | None, *, last: bool = False) -> Sent:
        """The call, perhaps in a thread of its own."""
        if in_flight is None:
            return Sent(intended=(), results={})

        if self._must_not_send:
            doubts = {
                key: Unknown(key=key, reason="the ledger was restored from an older copy") for key in in_flight.open
            }
            return Sent(intended=list(in_flight.open.values()), results=doubts)
        settle = partial(self._recorder.between_attempts, in_flight, last=last)
        try:
            return self._sender.send(list(chunk.intended.values()), settle)
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
            self._settle()

    def _settled(self, landed: Sequence[Landed], recorded: Sequence[Settled]) -> None:
        for (_, _, sent), settled in zip(landed, recorded, strict=True):
            if sent.stop is not None:
                raise sent.stop
            if not self._must_not_send:
                self._breaker.check(sent.results.values())
            self._guard.check(settled.rejections, self.counts["rejected"], self.counts["read"])
        self._look_again()

    def _look_again(self) -> None:
        """Send once more, on top of what the remote has now, what it refused since somebody had changed it there."""
        refused = self._recorder.take_refused()
        if self._conflicts is None or not refused:
            return
        chunk = self._conflicts.again(refused)
        chunk.counts["deferred"] -= len(refused)  # as which they were counted
        (in_flight,) = self._intend([chunk])
        sent = self._send(chunk, in_flight, last=True)
        (settled,) = self._recorder.chunks([(chunk, in_flight, sent)], with_checkpoint=True, last=True)
        if sent.stop is not None:
            raise sent.stop
        self._guard.check(settled.rejections, self.counts["rejected"], self.counts["read"])


def _was_confirmed(intended: Intended) -> bool:
    return intended.prior is not None and intended.prior.fingerprint is not None
