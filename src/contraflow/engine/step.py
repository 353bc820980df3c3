"""Run one step: an item step chunk by chunk, or a tasklet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from contraflow.assembly import RunnableStep, Stage
from contraflow.contract import describe
from contraflow.engine.children import Children
from contraflow.engine.ending import exit_code_of, in_words, status_of
from contraflow.engine.guarded_fields import GuardedFields
from contraflow.engine.interpreter import set_for_streaming
from contraflow.engine.items import ItemLoop
from contraflow.engine.leadership import Leadership
from contraflow.engine.limits import Limits
from contraflow.engine.mapping import MappingWatch
from contraflow.engine.observers import Observers
from contraflow.engine.outcomes import InvariantError
from contraflow.engine.parents import Parents
from contraflow.engine.promise import lifetime_of, promise_of, promise_when_restored
from contraflow.engine.rehearsal import Rehearsal
from contraflow.engine.settlement import Settled
from contraflow.engine.spool import Planned, Spool
from contraflow.engine.status import ExitStatus
from contraflow.engine.step_notes import StepNotes
from contraflow.engine.stopping import StopRequest, StopRequestedError
from contraflow.engine.vanished import FullComparison, reads_everything
from contraflow.errors import HookContractError
from contraflow.ledger import Ledger, StepRecord
from contraflow.options import StepOptions
from contraflow.redaction import Redactor
from contraflow_hookspecs import (
    BatchStatus,
    Capabilities,
    StepContext,
    StepExecution,
    WriteResult,
)

_MOST_FIELDS = 5  # named in a note


@attrs.define(kw_only=True)
class StepRun:
    """One execution of one step.

    Args:
        step: The assembled step.
        options: The engine's own parameters.
        capabilities: What the remote can do.
        request: Digest of what the step is asked: only the same request may be resumed.
        context: What the plugins may know.
        ledger: Where everything is recorded.
        leadership: The right to write there, and to send.
        stop: Ends the step after the chunks in hand.
        redact: Keeps secrets out of what is recorded.
        observers: Who is told.
        now: The clock.
        explain: Turns an exception of the processor into words, where it knows better.
        in_summary: Whether the step's counts belong to the job's headline.
        force: Whether items are sent also if the remote holds them.
        plan: What may be sent, by key text; ``None`` for everything that differs.
        approvals: Digests of what may be done although it passes a limit.
        notes: What people should know of the run before it begins.
    """

    step: RunnableStep
    options: StepOptions
    capabilities: Capabilities
    request: str
    context: StepContext
    ledger: Ledger
    leadership: Leadership
    stop: StopRequest
    redact: Redactor
    observers: Observers
    now: Callable[[], datetime]
    explain: Callable[[BaseException, Any], str | None]
    in_summary: bool = True
    force: bool = False
    plan: Mapping[str, Planned] | None = None
    approvals: Sequence[str] = ()
    notes: Sequence[str] = ()
    cause: BaseException | None = attrs.field(default=None, init=False)
    """Why the step ended before its time."""
    _counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _told_at_end: StepNotes = attrs.field(init=False)
    _loop: ItemLoop | None = attrs.field(default=None, init=False)
    _approve: Callable[[], None] = attrs.field(default=lambda: None, init=False)
    _record: StepRecord | None = attrs.field(default=None, init=False)
    _mapping: MappingWatch = attrs.field(init=False)
    _execution: StepExecution = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._told_at_end = StepNotes(redact=self.redact)

    def execute(self) -> StepExecution:
        """Run the step, well or badly, and record it. Trouble is recorded, not raised.

        A step that owes removals is not at its end yet: :meth:`remove` it, when the steps behind it have run.
        """
        context, started = self.context, self.now()
        self._execution = StepExecution(
            integration=context.integration,
            job=context.job,
            step=context.step,
            status=BatchStatus.STARTED,
            in_summary=self.in_summary,
            started=started,
        )
        try:
            total = self._total()
        except BaseException as error:  # noqa: BLE001 - recorded below, with everything else that ends a step
            total, self.cause = None, error
        self._record = self.ledger.start_step(
            context.execution_id,
            integration=context.integration,
            job=context.job,
            step=context.step,
            total=total,
            started=started,
            checkpoint=context.checkpoint,
            request=self.request,
            lease=self.leadership.lease,
        )
        self._mapping = MappingWatch(
            ledger=self.ledger,
            lease=self.leadership.lease,
            stream_id=self._record.stream_id,
            mapping=self.step.mapping,
            keeps_payloads=self.options.remembers_payloads,
        )
        if self.step.mapping:
            self._mapping.begin()
        reasons = (f"{self._mapping.reason}; what differs for that is sent again",) if self._mapping.reason else ()
        self._execution = attrs.evolve(self._execution, total=total, notes=(*self.notes, *reasons))
        self.observers.tell(self.observers.step_started, execution=self._execution)
        if self.cause is None:
            try:
                with set_for_streaming():
                    self._run()
            except BaseException as error:  # noqa: BLE001 - also Ctrl-C, which ends the step as STOPPED
                self.cause = error
        return self._execution if self.owes_removals else self._finish(self._record)

    @property
    def owes_removals(self) -> bool:
        """Whether the step is not at its end, since it has to remove something."""
        return self.cause is None and self._loop is not None and self._loop.owes_removals

    def remove(self, trouble: BaseException | None = None) -> StepExecution:
        """Of a step that owes removals: carry them out, and record how that ended.

        Args:
            trouble: Why there is no time for that.
        """
        if self._loop is None or self._record is None:
            raise InvariantError(f"step '{self.step.key}' owes no removals")
        try:
            if trouble is None and self.stop.is_set:
                trouble = StopRequestedError(self.stop.reason or "stopped")
            if trouble is not None:
                raise trouble
            with set_for_streaming():
                self._loop.remove(self._approve)
                self._end_comparison(self._loop, self._record)
        except BaseException as error:  # noqa: BLE001 - also Ctrl-C, which ends the step as STOPPED
            self.cause = error
        self._count(self._loop)
        return self._finish(self._record)

    def close(self) -> None:
        """Give up what the step holds. Closing twice does no harm."""
        if self._loop is not None:
            self._loop.close()

    def _total(self) -> int | None:
        if self.step.counter is None:
            return None
        # All of them, since a resumed step also looks at what lies before its checkpoint.
        total = self.step.counter.call(context=attrs.evolve(self.context, checkpoint=None))
        if total is not None and (type(total) is not int or total < 0):
            raise HookContractError(
                self.step.counter.plugin, "count_items", describe(total), "a number of items, or None"
            )
        return total

    def _run(self) -> None:
        if self.step.run is not None:
            self._run_tasklet(self.step.run)
        else:
            self._run_items()

    def _run_tasklet(self, stage: Stage) -> None:
        answer = stage.call(context=self.context)
        if answer is None:
            return
        if not isinstance(answer, Mapping) or not all(type(number) is int for number in answer.values()):
            raise HookContractError(
                stage.plugin, "run_step", describe(answer), "a mapping of names to whole numbers, or None"
            )
        self._counts.update({str(name): number for name, number in answer.items()})

    def _run_items(self) -> None:
        step, record = self.step, self._record
        if step.reader is None or step.processor is None or step.writer is None or record is None:
            raise InvariantError(f"step '{step.key}' was assembled without all of its stages")
        promise_when = promise_when_restored if record.restored else promise_of
        if record.restored:
            self.context.logger.warning(
                "%s: the ledger was restored from an older copy, so every item is gone through anew", self.context.step
            )
        parents = Parents.of(step, self.context, self.ledger)
        limits = Limits(
            guards=self.options.guards,
            context=self.context,
            ledger=self.ledger,
            lease=self.leadership.lease,
            stream_id=record.stream_id,
            approvals=self.approvals,
        )
        rehearsed = self._rehearse(limits, step.reader, step.processor, record, parents)

        def may_remove(everything: FullComparison) -> None:
            if rehearsed is None or everything.to_remove > rehearsed:
                self._approve = limits.check_deletes(everything)

        loop = ItemLoop(
            reader=step.reader,
            processor=step.processor,
            writer=step.writer,
            confirmer=step.confirmer if self.capabilities.confirm else None,
            fetcher=step.fetcher,
            archiver=step.archiver,
            finder=step.finder,
            options=self.options,
            promise=promise_when(self.capabilities, self.options.in_doubt),
            doubtful=record.restored,
            lifetime=lifetime_of(self.capabilities),
            can_delete=self.capabilities.delete,
            context=self.context,
            ledger=self.ledger,
            lease=self.leadership.lease,
            record=record,
            redact=self.redact,
            stop=self.stop,
            may_send=self.leadership.check,
            filtered=self.observers.item_filtered,
            told=self._told,
            waiting=self._waiting,
            explain=self.explain,
            now=self.now,
            may_remove=may_remove,
            force=self.force,
            plan=self.plan,
            parents=parents,
            children=Children.of(step, self.context, self.ledger),
        )
        self._loop = loop
        try:
            loop.run()
            if not loop.owes_removals:
                self._end_comparison(loop, record)
        finally:
            self._count(loop)

    def _end_comparison(self, loop: ItemLoop, record: StepRecord) -> None:
        if loop.compares_all:
            if record.restored:
                self.ledger.trust_again(self.leadership.lease, record.stream_id)
            self._mapping.compared_all(self.context.execution_id)

    def _count(self, loop: ItemLoop) -> None:
        self._counts = loop.counts
        self._told_at_end.looped(stale=list(loop.stale), waits=list(loop.waits))
        notes = [*self.notes]
        if self._mapping.reason:
            notes.append(f"{self._mapping.reason}; {_sent_again(loop)}")
        if (before := loop.delivery.refused_before) > 0:
            notes.append(
                f"{before:,} of {loop.counts['rejected']:,} rejected were refused by an earlier run, and are "
                "not sent again as they are: see `contraflow dead-letters`"
            )
        self._execution = attrs.evolve(self._execution, notes=tuple(notes))

    def once_more(self) -> StepExecution | None:
        """After :meth:`execute`, when other steps have run: try once more what waits for parents.

        Returns:
            The execution as it stands then; ``None`` if nothing could be done.
        """
        if self._loop is None or self._record is None or self.cause is not None:
            return None
        try:
            if not self._loop.once_more():
                return None
        except BaseException as error:  # noqa: BLE001 - also Ctrl-C, which ends the step as STOPPED
            self.cause = error
        self._count(self._loop)
        return self._execution if self.owes_removals else self._finish(self._record)

    def _rehearse(
        self, limits: Limits, reader: Stage, processor: Stage, record: StepRecord, parents: Parents | None
    ) -> int | None:
        """Hold everything that the step would do against its limits, before it does anything.

        Returns:
            The number of deletions that were found good; ``None`` if nobody looked.
        """
        if not limits.need_rehearsal(reader.plugin):
            return None
        self.context.logger.info("%s: looking at everything first, because of its guards", self.context.step)
        guarded = GuardedFields(self.options.guards.emptied_fields if reads_everything(self.context) else ())
        with Spool() as spool:
            Rehearsal(
                reader=reader,
                processor=guarded.watch(processor),
                options=self.options,
                promise=promise_of(self.capabilities, self.options.in_doubt),
                can_delete=self.capabilities.delete,
                context=self.context,
                ledger=self.ledger,
                stream_id=record.stream_id,
                stop=self.stop,
                redact=self.redact,
                explain=self.explain,
                now=self.now,
                force=self.force,
                plan=self.plan,
                parents=parents,
            ).run(spool)
            found = [self.redact(note) for note in guarded.notes([name for name, _ in spool.emptied()])]
            self.notes = (*self.notes, *found)
            self._execution = attrs.evolve(self._execution, notes=(*self._execution.notes, *found))  # whatever comes
            limits.check(spool)
            return spool.count("delete")

    def _waiting(self, seconds: float) -> None:
        self.context.logger.warning(
            "%s: waiting %.0f s, until no request of which the answer was lost can arrive any more",
            self.context.step,
            seconds,
        )

    def _told(self, settled: Settled, results: Sequence[WriteResult], counts: Mapping[str, int]) -> None:
        for rejected in settled.rejections:
            self._told_at_end.rejected(rejected)
            self.observers.tell(self.observers.item_rejected, rejected=rejected, context=self.context)
        self._told_at_end.settled(settled.notes)
        if self.observers.chunk_settled is not None:
            self._execution = attrs.evolve(self._execution, counts=dict(counts))
            self.observers.chunk_settled(execution=self._execution, results=results)

    def _finish(self, record: StepRecord) -> StepExecution:
        status, exit_status = BatchStatus.COMPLETED, ExitStatus("COMPLETED")
        if self.cause is not None:
            status = status_of(self.cause)
            exit_status = ExitStatus(exit_code_of(self.cause), self.redact(in_words(self.cause)))
        execution = attrs.evolve(
            self._execution,
            status=status,
            counts=dict(self._counts),
            exit_code=exit_status.code,
            exit_description=exit_status.description,
            errors=tuple(self._told_at_end.lines(self._counts, exit_status.description)),
            ended=self.now(),
        )
        self.ledger.finish_step(record.id, execution, lease=self.leadership.lease)
        self.observers.tell(self.observers.step_finished, execution=execution)
        return execution


def _sent_again(loop: ItemLoop) -> str:
    """How many items were sent again, and what differed in them. Which would have under the old mapping, nobody knows."""
    number = f"{loop.delivery.sent_again:,} of {loop.counts['read']:,} items were sent again"
    if not loop.delivery.fields_sent_again:
        return number
    fields = sorted(loop.delivery.fields_sent_again.items(), key=lambda each: (-each[1], each[0]))
    shown = [f"{name} in {count:,}" for name, count in fields[:_MOST_FIELDS]]
    more = [f"and {len(fields) - _MOST_FIELDS} more fields"] if len(fields) > _MOST_FIELDS else []
    return f"{number}, for that or for a change of their own: {', '.join([*shown, *more])}"
