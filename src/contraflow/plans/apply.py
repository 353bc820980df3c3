"""Apply a plan: what it says, and nothing else, by the ordinary road of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from contraflow.engine.request import RunRequest
from contraflow.engine.step_request import StepRequest
from contraflow.engine.stopping import StopRequest
from contraflow.errors import PlanError
from contraflow.ledger import decode_key
from contraflow.plans.file import PlanFile, read_plan
from contraflow.plans.make import project_digest
from contraflow.preparing import PreparedRun, prepare, synchronisation
from contraflow_hookspecs import IdFilter, JobExecution

if TYPE_CHECKING:
    from contraflow.workspace import Workspace


def apply_plan(
    project: Workspace,
    path: str | os.PathLike[str],
    *,
    max_age: timedelta,
    approvals: Sequence[str],
    now: Callable[[], datetime],
    wait: bool,
    stop: StopRequest | None,
) -> JobExecution:
    """As :meth:`contraflow.project.Project.apply`."""
    plan = read_plan(path)
    _check_age(plan, max_age, now())
    _check_ledger(project, plan)
    run = _prepare(project, plan, approvals)
    if project_digest(project, plan.integration, run.job) != plan.project:
        raise PlanError(
            "the plan is of another project, or its entities, the settings of the integration, or what the job says of "
            "removals and conflicts have changed since it was made; make a new one"
        )
    return synchronisation(
        project, run, now=now, stop=stop, wait=wait, resume=False, approvals=approvals, plan=plan.digest
    ).run(run.request, run.steps)


def _check_age(plan: PlanFile, max_age: timedelta, moment: datetime) -> None:
    age = moment - plan.made
    if age > max_age:
        raise PlanError(
            f"the plan is {_words(age)} old, and at most {_words(max_age)} are allowed: make a new one, or say --max-age"
        )


def _words(span: timedelta) -> str:
    for unit, seconds in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if span.total_seconds() >= 2 * seconds:
            return f"{span.total_seconds() / seconds:.0f} {unit}"
    return f"{span.total_seconds():.0f} seconds"


def _check_ledger(project: Workspace, plan: PlanFile) -> None:
    ledger = project.existing_ledger()
    if plan.ledger is None:
        if ledger is not None and not ledger.knows_plan(plan.digest):
            raise PlanError("the plan was made when there was no ledger, and now there is one; make a new one")
    elif ledger is None or ledger.id != plan.ledger:
        raise PlanError("the plan is of another ledger: it says what differs from what that one remembers")


def _prepare(project: Workspace, plan: PlanFile, approvals: Sequence[str]) -> PreparedRun:
    request = RunRequest(ids=[], parameters=plan.parameters, force=plan.force)
    run = prepare(project, plan.integration, request, job=plan.job, approvals=approvals)
    missing = plan.steps.keys() - {each.step.key for each in run.steps}
    if missing:
        raise PlanError(f"the plan names a step that job '{plan.job}' does not have: {', '.join(sorted(missing))}")
    steps = [_planned(each, plan) for each in run.steps if each.step.key in plan.steps and each.step.reader is not None]
    if not steps:
        raise PlanError("the plan is of steps of which nobody can say what they do, so there is nothing to apply")
    # The ids belong to the plan: if the job runs elsewhere, they are no request that could wait.
    told = attrs.evolve(run.request, ids=None, parameters={**run.request.parameters, "plan": plan.digest})
    return attrs.evolve(run, request=told, steps=steps)


def _planned(request: StepRequest, plan: PlanFile) -> StepRequest:
    """A step that reads what the plan names, and may send only that."""
    entries = plan.steps[request.step.key]
    try:
        ids = tuple(map(decode_key, entries))
    except ValueError:
        raise PlanError("the plan names an item by a key that is none") from None
    # Readers of our own are told what a record means that is gone; the plan decides whether it is removed.
    missing = "delete" if any(entry.operation == "delete" for entry in entries.values()) else "warn"
    knows = "missing" in (request.step.known_parameters or ())
    return attrs.evolve(
        request,
        parameters={**request.parameters, **({"missing": missing} if knows else {})},
        filter=IdFilter(ids=ids),
        digest=plan.digest,
        plan=entries,
    )
