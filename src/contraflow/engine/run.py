"""One synchronisation: take the lease, close what dead processes left open, run, and carry out what was asked meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from contraflow.assembly import RunnableJob
from contraflow.engine.changes import from_cursor
from contraflow.engine.job import JobRun
from contraflow.engine.leadership import LIFETIME, JobRunningError, Leadership, take
from contraflow.engine.observers import Observers
from contraflow.engine.request import RunRequest, step_requests
from contraflow.engine.step_request import StepRequest
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, ContraflowError, PlanError
from contraflow.ledger import Ledger, Request
from contraflow.ledger.failures import foreign_row
from contraflow.redaction import Redactor
from contraflow.source import Source
from contraflow_hookspecs import BatchStatus, JobExecution

_log = logging.getLogger("contraflow.engine")


class RequestRecordedError(ContraflowError):
    """The job is running elsewhere; the request is recorded, and that process carries it out when it has done its own."""

    exit_code = 0

    def __init__(self, running: JobRunningError) -> None:
        super().__init__(f"{running}. The request is recorded, and is carried out when that run has ended")
        self.state = running.state


@attrs.frozen(kw_only=True)
class Synchronisation:
    """Runs a job of an integration, alone.

    Args:
        job: The assembled job.
        ledger: Where everything is recorded.
        source: The source database, for readers.
        redact: Keeps secrets out of what is recorded.
        observers: Who is told.
        now: The clock.
        explain: Turns an exception of a processor into words, where it knows better.
        stop: Ends the run after the chunks in hand.
        wait: Whether to wait while another process runs the job.
        resume: Whether to go on where an interrupted execution of the same request had come to.
        lease_lifetime: Seconds without a heartbeat after which a holder is taken for dead.
        approvals: Digests of what may be done although it passes a limit.
        plan: Digest of the plan that the steps are of, if any: it is applied once.
    """

    job: RunnableJob
    ledger: Ledger
    source: Source | None
    redact: Redactor
    observers: Observers
    now: Callable[[], datetime]
    explain: Callable[[BaseException, Any], str | None]
    stop: StopRequest = attrs.field(factory=StopRequest)
    wait: bool = False
    resume: bool = True
    lease_lifetime: float = LIFETIME
    approvals: Sequence[str] = ()
    plan: str | None = None

    def run(
        self,
        request: RunRequest,
        steps: Sequence[StepRequest],
        *,
        before_removals: Callable[[], None] = lambda: None,
    ) -> JobExecution:
        """Run.

        Args:
            request: What is asked.
            steps: What it asks of each step (:func:`~contraflow.engine.request.step_requests`).
            before_removals: Runs what has to run when all steps have sent what is new, and before anything is removed.

        Returns:
            The execution, also when it failed.

        Raises:
            JobRunningError: Another process runs the job.
            RequestRecordedError: The same, but the request was for certain ids, and is recorded.
            PlanError: The plan was applied before.
            FencedError: Another process has taken over.
            LedgerError: The ledger cannot be written.
        """
        with self._leadership(request) as leadership:
            self.ledger.interrupt_executions(
                leadership.lease, exit_code="UNKNOWN", reason="the process died", ended=self.now()
            )
            self._begin_plan(leadership)
            execution = self._execute(request, steps, leadership, before_removals)
            if self.plan is not None and execution.status is BatchStatus.COMPLETED:
                self.ledger.finish_plan(leadership.lease, self.plan, execution.id)
            if execution.status is BatchStatus.COMPLETED:
                self._carry_out_requests(leadership)
        return execution

    def _begin_plan(self, leadership: Leadership) -> None:
        applied = None if self.plan is None else self.ledger.begin_plan(leadership.lease, self.plan)
        if applied is not None:
            raise PlanError(f"the plan was applied before, by execution {applied}; make a new one")

    def _leadership(self, request: RunRequest) -> Leadership:
        try:
            return self._take()
        except JobRunningError as error:
            if request.ids is None:
                raise
            body = _body(request)
            if self.redact.value(body) != body:
                raise  # the ledger keeps no secrets, and without them the request would be another
            self.ledger.add_request(self.job.integration, self.job.name, body)
            try:
                # The holder may just have ended, and not have seen the request any more.
                return self._take()
            except JobRunningError:
                raise RequestRecordedError(error) from None

    def _take(self) -> Leadership:
        return take(
            self.ledger,
            self.job.integration,
            self.job.name,
            now=self.now,
            stop=self.stop,
            wait=self.wait,
            lifetime=self.lease_lifetime,
        )

    def _execute(
        self,
        request: RunRequest,
        steps: Sequence[StepRequest],
        leadership: Leadership,
        before_removals: Callable[[], None] = lambda: None,
    ) -> JobExecution:
        parameters = {**request.parameters, **({"ids": request.ids} if request.ids is not None else {})}
        execution, cause = JobRun(
            job=self.job,
            steps=steps,
            begin=lambda step: self._from_checkpoint(self._from_cursor(step)),
            parameters=parameters,
            ledger=self.ledger,
            leadership=leadership,
            stop=self.stop,
            source=self.source,
            redact=self.redact,
            observers=self.observers,
            now=self.now,
            explain=self.explain,
            approvals=self.approvals,
            before_removals=before_removals,
        ).execute()
        if cause is not None:
            _log.debug("execution %d ended before its time", execution.id, exc_info=cause)
        return execution

    def _from_cursor(self, step: StepRequest) -> StepRequest:
        if step.filter.ids is not None or step.step.reader is None:
            return step
        return from_cursor(step, self.ledger, self.job.integration, self.job.name, self.now())

    def _from_checkpoint(self, step: StepRequest) -> StepRequest:
        if not self.resume or step.force or step.step.reader is None:
            return step  # what a forced run has sent already cannot be told from what it has not
        names = {"integration": self.job.integration, "job": self.job.name, "step": step.step.key}
        checkpoint = self.ledger.checkpoint(**names, request=step.digest)
        if checkpoint is not None and self._has_deferred(step.step.key):
            return step  # what was put off lies before the checkpoint: read it again
        return attrs.evolve(step, checkpoint=checkpoint)

    def _has_deferred(self, step: str) -> bool:
        return any(
            count.step == step and count.job == self.job.name and count.status == "deferred"
            for count in self.ledger.counts_by_status(integration=self.job.integration)
        )

    def _carry_out_requests(self, leadership: Leadership) -> None:
        while not self.stop.is_set:
            for recorded in self.ledger.take_requests(leadership.lease):
                request = _request(recorded)
                try:
                    steps = step_requests(self.job, request, self.source)
                except ConfigError as error:
                    # It was valid when it was recorded; the project has changed since.
                    _log.warning("a recorded request cannot be carried out any more: %s", self.redact(str(error)))
                    self.ledger.finish_request(leadership.lease, recorded.id)
                    continue
                if self._execute(request, steps, leadership).status is not BatchStatus.COMPLETED:
                    return  # the request stays recorded, for the next run
                self.ledger.finish_request(leadership.lease, recorded.id)
            if self.ledger.release_if_idle(leadership.lease):
                return


def _body(request: RunRequest) -> Mapping[str, Any]:
    return {
        "ids": _plain(request.ids),
        "steps": list(request.steps),
        "parameters": _plain(dict(request.parameters)),
        **({"force": True} if request.force else {}),
    }


def _request(recorded: Request) -> RunRequest:
    ids, parameters, steps = (recorded.body.get(name) for name in ("ids", "parameters", "steps"))
    if ids is None or not isinstance(parameters, dict) or not isinstance(steps, list):
        raise foreign_row("a request")
    force = recorded.body.get("force") is True
    return RunRequest(ids=ids, parameters=parameters, steps=tuple(map(str, steps)), force=force)


def _plain(value: Any) -> Any:
    """What JSON can spell; everything else as text, which ids are read from again."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset | Iterator):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
