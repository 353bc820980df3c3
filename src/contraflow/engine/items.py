"""The phases of an item step: recover what is in doubt, deliver what is read, recover again, remove what has vanished.

Between delivery and removals other steps may have their turn: what refers to an item goes before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial

import attrs

from contraflow.assembly import Stage
from contraflow.engine.adoption import AdoptionPass
from contraflow.engine.changes import owed_keys
from contraflow.engine.children import Children
from contraflow.engine.chunk_delivery import ChunkDelivery
from contraflow.engine.comparison import Comparison
from contraflow.engine.conflicts import ConflictPass
from contraflow.engine.fetching import Fetcher
from contraflow.engine.guards import RejectionGuard
from contraflow.engine.memory import Memory
from contraflow.engine.outcomes import check_sum
from contraflow.engine.parents import Parents
from contraflow.engine.planned import PlannedComparison
from contraflow.engine.preparation import Preparation
from contraflow.engine.prepared import Prepared
from contraflow.engine.processing import Processing
from contraflow.engine.promise import Promise
from contraflow.engine.rate import RateLimiter
from contraflow.engine.recording import Recorder, Told
from contraflow.engine.recovery import Recovery
from contraflow.engine.retry import Retries
from contraflow.engine.sending import Sender
from contraflow.engine.spool import Planned
from contraflow.engine.stopping import StopRequest
from contraflow.engine.vanished import FullComparison, put_aside, reads_everything
from contraflow.engine.waiting import WaitingItems
from contraflow.errors import LedgerError
from contraflow.ledger import Lease, Ledger, StepRecord
from contraflow.options import StepOptions
from contraflow.readers import READERS
from contraflow.redaction import Redactor
from contraflow_hookspecs import Key, Operation, StepContext


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
    _memory: Memory = attrs.field(init=False)
    _comparison: Comparison = attrs.field(init=False)
    _recorder: Recorder = attrs.field(init=False)
    _recovery: Recovery = attrs.field(init=False)
    delivery: ChunkDelivery = attrs.field(init=False)
    """What delivers the chunks, and counts what it sends again."""
    _preparation: Preparation = attrs.field(init=False)
    _waiting: WaitingItems = attrs.field(init=False)
    _everything: FullComparison = attrs.field(init=False)
    owes_removals: bool = attrs.field(default=False, init=False)
    """After :meth:`run`: whether :meth:`remove` has something to do."""

    def __attrs_post_init__(self) -> None:
        options = self.options
        retries = Retries(policy=options.retry, stop=self.stop)
        sender = Sender(
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
            settle=lambda keys: self.delivery.settle_first(keys),
        )
        fetcher = partial(Fetcher, context=self.context, before=sender.before_call, retries=retries, stop=self.stop)
        conflicts = self._conflict_pass(fetcher)
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
            defers_conflicts=conflicts is not None,
        )
        # What is adopted may be in conflict with what is there.
        passes = (self.children, self._adoption_pass(fetcher), conflicts)
        self.delivery = ChunkDelivery(
            comparison=self._comparison,
            passes=[each for each in passes if each is not None],
            sender=sender,
            recorder=self._recorder,
            conflicts=conflicts,
            guard=RejectionGuard(skip_limit=options.skip_limit, max_rejected=options.max_rejected),
            ledger=self.ledger,
            lease=self.lease,
            stream_id=self.record.stream_id,
            execution_id=self.context.execution_id,
            stop=self.stop,
            page_size=options.batch_size,
            concurrency=options.concurrency,
            keeps_doubts=self.promise is not Promise.REPORTED,
            must_not_send=self.doubtful and self.promise in (Promise.CONFIRMED_ONCE, Promise.REPORTED),
            force=self.force,
            reading_asks_ledger=self.parents is not None,
        )
        self._recovery = Recovery(
            ledger=self.ledger,
            lease=self.lease,
            stream_id=self.record.stream_id,
            promise=self.promise,
            lifetime=self.lifetime,
            memory=self._memory,
            sender=sender,
            confirm=self.confirmer,
            context=self.context,
            stop=self.stop,
            record=self._recorder.recovered,
            waiting=self.waiting,
        )
        self._preparation = Preparation(
            read=self.reader.call,
            reader=self.reader.plugin,
            processing=Processing(
                process=self.processor.call,
                processor=self.processor.plugin,
                context=self.context,
                can_delete=self.can_delete,
                modified_column=None if options.conflicts is None else options.conflicts.modified_column,
                removal=options.missing,
                filtered=self.filtered,
                explain=self.explain,
                forgotten=self.ledger.forgotten(self.record.stream_id),
            ),
            context=self.context,
            owed=self._owed,
            parents=self.parents,
            page_size=options.batch_size,
        )
        self._waiting = WaitingItems(
            preparation=self._preparation,
            find=partial(self.ledger.waiting_items, self.record.stream_id, self.context.execution_id),
            page_size=options.batch_size,
        )

    def _owed(self) -> Iterable[Sequence[Key]]:
        self.delivery.settle()
        return owed_keys(self.ledger, self.record.stream_id, self.context, self.options.batch_size, self.parents)

    def _adoption_pass(self, fetcher: Callable[..., Fetcher]) -> AdoptionPass | None:
        if not self.options.adopt or self.finder is None:
            return None
        return AdoptionPass(finder=fetcher(stage=self.finder))

    def _conflict_pass(self, fetcher: Callable[..., Fetcher]) -> ConflictPass | None:
        rules = self.options.conflicts
        if rules is None or self.fetcher is None:
            return None
        return ConflictPass(
            rules=rules,
            fetcher=fetcher(stage=self.fetcher),
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
        check_sum(self.counts, self._came_in)
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
        self.delivery.before_first = before_first
        with self._in_order():
            for removals in self._everything.rounds(() if self.children is None else self.children.own_names):
                self.delivery.deliver(removals)
                self._settle_doubts()
        check_sum(self.counts, self._came_in)
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
        check_sum(self.counts, self._came_in)
        return True

    @property
    def waits(self) -> Sequence[str]:
        """Some of the items that wait for parents, or for their children to be gone, with the reason."""
        return [*self._preparation.waits, *(() if self.children is None else self.children.put_off)]

    def _deliver_waiting(self) -> bool:
        """Deliver what had to wait and need not any longer; whether there was anything."""
        before = self._waiting.released
        self.delivery.deliver(self._waiting.ready())
        return self._waiting.released > before

    def _deliver_read(self) -> None:
        items: Generator[Prepared, None, None] = iter(self._preparation)
        # Those of other readers stay where they are: they may yield the same key anew behind it. One that reads everything
        # has none.
        if self.reader.plugin in READERS and not reads_everything(self.context):
            items = put_aside(items, self._is_removal, self._goes_later)
        self.delivery.deliver(self._everything.watch(items))
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

    def _is_removal(self, item: Prepared) -> bool:
        if item.operation is not Operation.DELETE or self.plan is None:
            return item.operation is Operation.DELETE
        planned = self.plan.get(item.key_text)
        return planned is not None and planned.operation == "delete"

    def _goes_later(self, item: Prepared) -> None:
        """The removal of an id that is not in the source, for :meth:`remove`."""
        self._preparation.items_read -= 1  # it counts when it goes
        if self.plan is None:  # or the comparison finds it in the plan
            self._everything.add([item])

    def _settle_doubts(self) -> None:
        self._recovery.run()
        self.stop.check()
        self.delivery.look_again()

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
