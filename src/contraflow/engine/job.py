"""Run one job: its steps in order, until one of them does not end COMPLETED."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import attrs

from contraflow.assembly import RunnableJob
from contraflow.engine.ending import in_words, status_of
from contraflow.engine.leadership import Leadership
from contraflow.engine.observers import Observers
from contraflow.engine.status import ExitStatus, upgrade
from contraflow.engine.step import StepRun
from contraflow.engine.step_request import StepRequest
from contraflow.engine.stopping import StopRequest
from contraflow.errors import FencedError
from contraflow.ledger import Ledger
from contraflow.redaction import Redactor
from contraflow_hookspecs import BatchStatus, JobExecution, StepExecution


@attrs.frozen(kw_only=True)
class JobRun:
    """One execution of one job.

    Args:
        job: The assembled job.
        steps: The steps to run, in order.
        parameters: The run's parameters, for the record.
        ledger: Where everything is recorded.
        leadership: The right to write there, and to send.
        stop: Ends the job after the chunks in hand.
        source: The source database, for readers.
        redact: Keeps secrets out of what is recorded.
        observers: Who is told.
        now: The clock.
        explain: Turns an exception of a processor into words, where it knows better.
        approvals: Digests of what may be done although it passes a limit.
        begin: Asked when the turn of a step has come: completes its request with what the ledger knows then.
        before_removals: Runs what has to run when all steps have sent what is new, and before anything is removed.
    """

    job: RunnableJob
    steps: Sequence[StepRequest]
    parameters: Mapping[str, Any]
    ledger: Ledger
    leadership: Leadership
    stop: StopRequest
    source: Any
    redact: Redactor
    observers: Observers
    now: Callable[[], datetime]
    explain: Callable[[BaseException, Any], str | None]
    approvals: Sequence[str] = ()
    begin: Callable[[StepRequest], StepRequest] = lambda request: request
    before_removals: Callable[[], None] = lambda: None

    def execute(self) -> tuple[JobExecution, BaseException | None]:
        """Run the job to its end, well or badly, and record it.

        Returns:
            The execution, and what ended it before its time.
        """
        job, started = self.job, self.now()
        number = self.ledger.start_job(
            integration=job.integration,
            job=job.name,
            parameters=self.redact.value(dict(self.parameters)),
            started=started,
            lease=self.leadership.lease,
        )
        execution = JobExecution(
            id=number, integration=job.integration, job=job.name, status=BatchStatus.STARTED, started=started
        )
        Observers.tell(self.observers.job_started, execution=execution)
        steps: list[StepExecution] = []
        failures: list[str] = []
        stop: BaseException | None = None
        try:
            with job.open_resource() as resource, ExitStack() as open_runs:
                runs: list[StepRun] = []
                for request in self.steps:
                    runs.append(self._step_run(self.begin(request), number, resource))
                    open_runs.callback(runs[-1].close)
                    steps.append(runs[-1].execute())
                    stop = stop or runs[-1].cause
                    if steps[-1].status not in (BatchStatus.COMPLETED, BatchStatus.STARTED):
                        break
                else:
                    stop = self._once_more(runs, steps)
                if stop is None:
                    try:
                        self.before_removals()
                    except BaseException as error:  # noqa: BLE001 - the steps must be closed in the ledger
                        stop = error
                        failures.append(self.redact(in_words(error)))
                stop = self._remove(runs, steps, stop)
        except FencedError:
            raise  # nothing may be recorded any more, and somebody else has closed this execution
        except BaseException as error:  # noqa: BLE001 - also Ctrl-C: the execution must be closed in the ledger
            # A resource that fails to close must not hide why the step failed.
            stop = stop or error
            failures.append(self.redact(in_words(error)))
        execution = self._ended(execution, steps, failures, stop)
        self.ledger.finish_job(execution, lease=self.leadership.lease)
        Observers.tell(self.observers.job_finished, execution=execution)
        return execution, stop

    @staticmethod
    def _once_more(runs: Sequence[StepRun], steps: list[StepExecution]) -> BaseException | None:
        """Let all steps try once more what waits for parents, until one fails; why that did."""
        for number, run in enumerate(runs):
            again = run.once_more()
            if again is not None:
                steps[number] = again
            if run.cause is not None:
                return run.cause
        return None

    def _remove(
        self, runs: Sequence[StepRun], steps: list[StepExecution], stop: BaseException | None
    ) -> BaseException | None:
        """Let the steps carry out what they are to remove, children before their parents.

        A step that failed does not keep others from it: what its items still refer to is put off. Who was interrupted has no
        time for that.

        Returns:
            What ended the job before its time.
        """
        interruption = stop if stop is not None and not isinstance(stop, Exception) else None
        for number, run in reversed(list(enumerate(runs))):
            if run.owes_removals:
                steps[number] = run.remove(interruption)
                stop = stop or run.cause
        return stop

    def _step_run(self, request: StepRequest, execution_id: int, resource: Any) -> StepRun:
        job = self.job
        context = attrs.evolve(
            job.context(request.step, self.source, "run"),
            execution_id=execution_id,
            parameters=request.parameters,
            resource=resource,
            filter=request.filter,
            checkpoint=request.checkpoint,
            cursor=request.cursor,
        )
        return StepRun(
            step=request.step,
            options=request.options,
            capabilities=job.capabilities,
            request=request.digest,
            context=context,
            ledger=self.ledger,
            leadership=self.leadership,
            stop=self.stop,
            redact=self.redact,
            observers=self.observers,
            now=self.now,
            explain=self.explain,
            in_summary=self._in_summary(request.options.summary),
            force=request.force,
            plan=request.plan,
            approvals=self.approvals,
            notes=() if request.why_everything is None else (f"everything was read: {request.why_everything}",),
        )

    def _in_summary(self, wish: bool | None) -> bool:
        """A step that asks for the headline takes it from those that do not."""
        chosen = any(request.options.summary for request in self.steps)
        return bool(wish) if chosen else wish is not False

    def _ended(
        self,
        execution: JobExecution,
        steps: Sequence[StepExecution],
        failures: Sequence[str],
        stop: BaseException | None,
    ) -> JobExecution:
        status = execution.status
        exit_status = ExitStatus("COMPLETED")
        if steps:
            # What failed first may be the reason why others did.
            failed = (step for step in steps if step.status is not BatchStatus.COMPLETED)
            last = min(failed, key=lambda step: step.ended or self.now(), default=steps[-1])
            status = upgrade(status, last.status)
            exit_status = ExitStatus(last.exit_code, last.exit_description)
        if failures:
            status = upgrade(status, status_of(stop))
            exit_status = exit_status.combine(ExitStatus(status.value, failures[0]))
        return attrs.evolve(
            execution,
            status=status,
            steps=tuple(steps),
            exit_code=exit_status.code,
            exit_description=exit_status.description,
            failures=tuple(failures),
            ended=self.now(),
        )
