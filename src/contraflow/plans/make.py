"""Make a plan: look at everything that a run would do. Nothing is written: not to a remote, not to the ledger."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.engine.changes import from_cursor
from contraflow.engine.children import Children
from contraflow.engine.guarded_fields import GuardedFields
from contraflow.engine.limits import Limits
from contraflow.engine.parents import Parents
from contraflow.engine.promise import promise_of
from contraflow.engine.rehearsal import Rehearsal
from contraflow.engine.request import RunRequest
from contraflow.engine.spool import CHANGES, Spool
from contraflow.engine.step_request import StepRequest
from contraflow.engine.stopping import StopRequest
from contraflow.engine.vanished import reads_everything
from contraflow.ledger import Ledger, open_ledger
from contraflow.plans.plan import Plan, StepPlan
from contraflow.preparing import PreparedRun, prepare
from contraflow.readers.loading import explain_lazy_load

if TYPE_CHECKING:
    from contraflow.assembly import RunnableJob
    from contraflow.workspace import Workspace

_NO_STREAM = 0
"""Number of a step that never ran: they begin with 1, so the ledger knows nothing of it."""


def make_plan(
    project: Workspace,
    integration: str,
    request: RunRequest,
    *,
    job: str | None,
    values: bool,
    now: Callable[[], datetime],
    stop: StopRequest | None,
) -> Plan:
    """As :meth:`contraflow.project.Project.plan`."""
    run = prepare(project, integration, request, job=job)
    with ExitStack() as spools, _ledger(project) as (ledger, ledger_id), run.job.open_resource() as resource:
        planner = _Planner(
            project, run, ledger, resource, is_first=ledger_id is None, values=values, now=now, stop=stop
        )
        steps = [planner.step(each, spools.enter_context(Spool())) for each in run.steps]
        spools.pop_all()  # they are the plan's from now on
    return Plan(
        project=project_digest(project, integration, run.job),
        ledger=ledger_id,
        integration=integration,
        job=run.job.name,
        force=request.force,
        parameters=request.parameters,
        made=now(),
        steps=steps,
        redact=project.redact,
    )


@contextmanager
def _ledger(project: Workspace) -> Iterator[tuple[Ledger, str | None]]:
    """The ledger with its id; in its place an empty one without, where there is none yet."""
    ledger = project.existing_ledger()
    if ledger is not None:
        yield ledger, ledger.id
        return
    with (
        TemporaryDirectory(prefix="contraflow-") as folder,
        open_ledger(f"sqlite:///{Path(folder) / 'none.db'}") as none,
    ):
        yield none, None


def project_digest(project: Workspace, integration: str, job: RunnableJob) -> str:
    """Tells one project from another, and one configuration of an integration from another; secrets do not count.

    Of the job counts what decides about removals and conflicts: nothing is removed that is no longer to be removed.

    Where the source lies does not, either: of another source, the items are stale.
    """
    configured = project.integration(integration)
    about = {
        "entities": {
            name: [each.mapped, each.table, each.schema, each.key] for name, each in project.config.entities.items()
        },
        "connector": configured.connector,
        "settings": configured.settings,
        "policies": {step.key: [_policy(step.parameters.get(name)) for name in _POLICIES] for step in job.steps},
    }
    text = json.dumps(project.redact.value(about), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


_POLICIES = ("deletions", "filtered", "missing", "resurrect", "conflicts")


def _policy(value: Any) -> Any:
    return None if value in ("ignore", "warn", "fail", False) else value  # nothing is done at the remote


class _Planner:
    def __init__(
        self,
        project: Workspace,
        run: PreparedRun,
        ledger: Ledger,
        resource: Any,
        *,
        is_first: bool,
        values: bool,
        now: Callable[[], datetime],
        stop: StopRequest | None,
    ) -> None:
        self._project = project
        self._run = run
        self._ledger = ledger
        self._resource = resource
        self._is_first = is_first
        self._values = values
        self._now = now
        self._stop = stop if stop is not None else StopRequest()

    def step(self, request: StepRequest, spool: Spool) -> StepPlan:
        """Look at one step."""
        step, job = request.step, self._run.job
        if step.reader is None or step.processor is None:
            return StepPlan(step=step.key, counts={}, note="a tasklet, of which nobody knows what it does", spool=spool)
        stream = self._ledger.stream(integration=job.integration, job=job.name, step=step.key)
        if request.filter.ids is None:
            request = from_cursor(request, self._ledger, job.integration, job.name, self._now())
        context = attrs.evolve(
            job.context(step, self._project.source, "run"),
            parameters=request.parameters,
            resource=self._resource,
            filter=request.filter,
            cursor=request.cursor,
            dry_run=True,
        )
        stream_id = _NO_STREAM if stream is None else stream.id
        guarded = GuardedFields(request.options.guards.emptied_fields if reads_everything(context) else ())
        counts = Rehearsal(
            reader=step.reader,
            processor=guarded.watch(step.processor),
            options=request.options,
            promise=promise_of(job.capabilities, request.options.in_doubt),
            can_delete=job.capabilities.delete,
            context=context,
            ledger=self._ledger,
            stream_id=stream_id,
            stop=self._stop,
            redact=self._project.redact,
            explain=explain_lazy_load,
            now=self._now,
            force=request.force,
            values=self._values,
            parents=Parents.of(step, context, self._ledger),
            # Of this job's own steps the plan itself says what becomes of the children.
            children=Children.of(step, context, self._ledger, besides=[job.name]),
        ).run(spool)
        limits = Limits(guards=request.options.guards, context=context, ledger=self._ledger, stream_id=stream_id)
        verdict = limits.verdict(spool)
        notes = guarded.notes([name for name, _ in spool.emptied()])
        return StepPlan(
            step=step.key,
            counts=_counts(counts, spool),
            guard=None if verdict is None else verdict.words,
            # Of a ledger that is still to be made nobody knows the id.
            approval=None if verdict is None or self._is_first else verdict.digest,
            note=self._project.redact("; ".join(notes)) or None,
            spool=spool,
        )


def _counts(others: Counter[str], spool: Spool) -> dict[str, int]:
    """Every count by the words of a plan."""
    names = {"in_doubt": "held"}
    counts = {operation: spool.count(operation) for operation in CHANGES}
    return {**counts, **{names.get(name, name): number for name, number in sorted(others.items()) if number}}
