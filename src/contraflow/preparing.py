"""Before a run: work out what is asked, and refuse what cannot be honoured. Nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob
from contraflow.engine.limits import check_approvals
from contraflow.engine.observers import Observers
from contraflow.engine.request import RunRequest, step_requests
from contraflow.engine.run import Synchronisation
from contraflow.engine.step_request import StepRequest
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, Problem
from contraflow.readers.loading import explain_lazy_load
from contraflow.step_check import step_problems

if TYPE_CHECKING:
    from contraflow.workspace import Workspace


@attrs.frozen(kw_only=True)
class PreparedRun:
    """A run that nothing keeps from beginning."""

    job: RunnableJob
    request: RunRequest
    steps: Sequence[StepRequest]


def prepare(
    project: Workspace, integration: str, request: RunRequest, *, job: str | None, approvals: Sequence[str] = ()
) -> PreparedRun:
    """Prepare a run.

    Args:
        project: The project.
        integration: The integration's name.
        request: What is asked, with the parameters as they were given.
        job: Which job, where the integration has several.
        approvals: Digests that were given.

    Raises:
        ConfigError: Something cannot be honoured.
        SourceError: The source database cannot be reached.
    """
    configured = project.integration(integration)
    if not configured.enabled:
        raise ConfigError(
            Problem(
                message=f"integration '{integration}' is disabled",
                location=configured.location,
                found="enabled: false",
                expected="enabled: true, to synchronise it",
            )
        )
    check_approvals(approvals)
    runnable = project.assemble(configured, project.job_name(configured, job))
    request = attrs.evolve(request, parameters=project.plugins.configure(runnable.name, request.parameters))
    if project.source is not None:
        with project.source.connect():
            pass
    steps = step_requests(runnable, request, project.source)
    given: Mapping[str, Mapping[str, Any]] = {each.step.key: each.parameters for each in steps}
    problems = list(step_problems(runnable, project.plugins, project.source, project.redact, given))
    if problems:
        raise ConfigError(*problems)
    return PreparedRun(job=runnable, request=request, steps=steps)


def synchronisation(
    project: Workspace,
    prepared: PreparedRun,
    *,
    now: Callable[[], datetime],
    stop: StopRequest | None,
    wait: bool,
    resume: bool,
    approvals: Sequence[str],
    plan: str | None = None,
) -> Synchronisation:
    """What carries out a prepared run. The ledger is opened, or made."""
    return Synchronisation(
        job=prepared.job,
        ledger=project.ledger(),
        source=project.source,
        redact=project.redact,
        observers=Observers.of(project.plugins),
        now=now,
        explain=explain_lazy_load,
        stop=stop if stop is not None else StopRequest(),
        wait=wait,
        resume=resume,
        lease_lifetime=project.lease_lifetime,
        approvals=approvals,
        plan=plan,
    )
