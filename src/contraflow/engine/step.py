"""Run one step: an item step chunk by chunk, or a tasklet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from contraflow.assembly import RunnableStep, StepOptions
from contraflow.engine.comparison import Chunk, Comparison
from contraflow.engine.delivery import deliver
from contraflow.engine.garbage import rare_collections
from contraflow.engine.preparation import Preparation
from contraflow.engine.settlement import settle
from contraflow.engine.status import ExitStatus
from contraflow.errors import ContraflowError
from contraflow.ledger import Ledger, Settlement, StepRecord
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor
from contraflow_hookspecs import BatchStatus, ConnectorError, StepContext, StepExecution, TransientError, WriteResult

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt")
"""Every item read has exactly one of these at the end."""

_MOST_ERRORS = 20


class SkipLimitExceededError(ContraflowError):
    """More items were rejected than the step tolerates."""


class InvariantError(ContraflowError):
    """The outcomes do not add up to what was read: an error in contraflow itself."""

    exit_code = 70


@attrs.frozen(kw_only=True)
class Observers:
    """What is to be called when something happens; ``None`` where nobody listens."""

    job_started: Callable[..., None] | None = None
    job_finished: Callable[..., None] | None = None
    step_started: Callable[..., None] | None = None
    step_finished: Callable[..., None] | None = None
    chunk_settled: Callable[..., None] | None = None
    item_filtered: Callable[..., None] | None = None
    item_rejected: Callable[..., None] | None = None

    @classmethod
    def of(cls, plugins: Plugins) -> Observers:
        """Everybody among the plugins who wants to know."""
        return cls(**{field.name: plugins.notifier(field.name) for field in attrs.fields(cls)})

    @staticmethod
    def tell(observer: Callable[..., None] | None, **arguments: Any) -> None:
        """Call an observer, if there is one."""
        if observer is not None:
            observer(**arguments)


@attrs.define(kw_only=True)
class StepRun:
    """One execution of one step.

    Args:
        step: The assembled step.
        options: The engine's own parameters.
        context: What the plugins may know.
        ledger: Where everything is recorded.
        redact: Keeps secrets out of what is recorded.
        observers: Who is told.
        now: The clock.
        explain: Turns an exception of the processor into words, where it knows better.
        in_summary: Whether the step's counts belong to the job's headline.
    """

    step: RunnableStep
    options: StepOptions
    context: StepContext
    ledger: Ledger
    redact: Redactor
    observers: Observers
    now: Callable[[], datetime]
    explain: Callable[[BaseException, Any], str | None]
    in_summary: bool = True
    stop: BaseException | None = attrs.field(default=None, init=False)
    """Why the step ended before its time."""
    _counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _errors: list[str] = attrs.field(factory=list, init=False)
    _record: StepRecord | None = attrs.field(default=None, init=False)
    _execution: StepExecution = attrs.field(init=False)

    def execute(self) -> StepExecution:
        """Run the step to its end, well or badly, and record it. Trouble is recorded, not raised."""
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
            total, self.stop = None, error
        self._record = self.ledger.start_step(
            context.execution_id,
            integration=context.integration,
            job=context.job,
            step=context.step,
            total=total,
            started=started,
        )
        self._execution = attrs.evolve(self._execution, total=total)
        self.observers.tell(self.observers.step_started, execution=self._execution)
        if self.stop is None:
            try:
                with rare_collections():
                    self._run()
            except BaseException as error:  # noqa: BLE001 - also Ctrl-C, which ends the step as STOPPED
                self.stop = error
        return self._finish(self._record)

    def _total(self) -> int | None:
        if self.step.counter is None:
            return None
        total: int | None = self.step.counter.call(context=self.context)
        return total

    def _run(self) -> None:
        if self.step.run is not None:
            self._run_tasklet(self.step.run.call(context=self.context))
        else:
            self._run_items()

    def _run_tasklet(self, counts: object) -> None:
        if isinstance(counts, Mapping):
            self._counts.update({str(name): int(number) for name, number in counts.items()})

    def _run_items(self) -> None:
        step, options, record = self.step, self.options, self._record
        if step.reader is None or step.processor is None or step.writer is None or record is None:
            raise InvariantError(f"step '{step.key}' was assembled without all of its stages")
        preparation = Preparation(
            read=step.reader.call,
            process=step.processor.call,
            reader=step.reader.plugin,
            processor=step.processor.plugin,
            context=self.context,
            filtered=self.observers.item_filtered,
            explain=self.explain,
        )
        comparison = Comparison(
            ledger=self.ledger,
            stream_id=record.stream_id,
            identity=(self.ledger.id, self.context.integration, self.context.job, self.context.step),
            page_size=options.batch_size,
            chunk_size=options.batch_size,
            resend_in_doubt=options.resend_in_doubt,
        )
        for chunk in comparison.chunks(preparation):
            delivered = deliver(chunk.changes, step.writer.call, step.writer.plugin, self.context)
            self._settle(record, comparison, chunk, delivered.results)
            if delivered.stop is not None:
                raise delivered.stop
            self._check_skips()
        outcomes = sum(self._counts[outcome] for outcome in OUTCOMES)
        if outcomes != preparation.items_read:
            raise InvariantError(f"{preparation.items_read} items were read, but {outcomes} have an outcome")

    def _settle(
        self, record: StepRecord, comparison: Comparison, chunk: Chunk, results: Mapping[Any, WriteResult]
    ) -> None:
        settled = settle(chunk, results, self.redact)
        counts = self._counts + settled.counts
        counts["read"] = self._counts["read"] + chunk.size
        self.ledger.settle(
            Settlement(
                step_execution_id=record.id,
                stream_id=record.stream_id,
                execution_id=self.context.execution_id,
                states=settled.states,
                dead_letters=settled.dead_letters,
                resolved=settled.resolved,
                checkpoint=chunk.position,
                counts=counts,
            )
        )
        self._counts = counts
        comparison.remember(settled.states)
        for rejected in settled.rejections:
            self._note(f"{'/'.join(map(str, rejected.key))}: {rejected.code}: {rejected.reason}")
            self.observers.tell(self.observers.item_rejected, rejected=rejected, context=self.context)
        self._tell_chunk(list(results.values()))

    def _tell_chunk(self, results: Sequence[WriteResult]) -> None:
        if self.observers.chunk_settled is not None:
            self._execution = attrs.evolve(self._execution, counts=dict(self._counts))
            self.observers.chunk_settled(execution=self._execution, results=results)

    def _check_skips(self) -> None:
        limit = self.options.skip_limit
        if limit is not None and self._counts["rejected"] > limit:
            raise SkipLimitExceededError(f"{self._counts['rejected']} items were rejected; skip_limit is {limit}")

    def _note(self, error: str) -> None:
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(error)

    def _finish(self, record: StepRecord) -> StepExecution:
        status, exit_status = BatchStatus.COMPLETED, ExitStatus("COMPLETED")
        if self.stop is not None:
            reason = self.redact(in_words(self.stop))
            interrupted = not isinstance(self.stop, Exception)
            status = BatchStatus.STOPPED if interrupted else BatchStatus.FAILED
            exit_status = ExitStatus(_exit_code(self.stop, status), "interrupted" if interrupted else reason)
            self._errors.insert(0, exit_status.description)
        execution = attrs.evolve(
            self._execution,
            status=status,
            counts=dict(self._counts),
            exit_code=exit_status.code,
            exit_description=exit_status.description,
            errors=tuple(self._errors),
            ended=self.now(),
        )
        self.ledger.finish_step(record.id, execution)
        self.observers.tell(self.observers.step_finished, execution=execution)
        return execution


def _exit_code(stop: BaseException, status: BatchStatus) -> str:
    if isinstance(stop, TransientError):
        return "UNAVAILABLE"
    return "INVARIANT" if isinstance(stop, InvariantError) else status.value


def in_words(error: BaseException) -> str:
    """An exception for people: errors made for them as they are, others with their type."""
    made_for_people = isinstance(error, ContraflowError | ConnectorError) and str(error)
    return str(error) if made_for_people else f"{type(error).__name__}: {error}".removesuffix(": ")
