"""Compare the remote of an integration with what it last confirmed, and have it repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from contraflow.drift.audit import Audit
from contraflow.drift.found import Drift, ItemDrift, StepDrift
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, Problem, near_match
from contraflow_hookspecs import JobExecution

if TYPE_CHECKING:
    from contraflow.project import Project

SAMPLE = 1000
"""Items of a step that are compared, unless somebody says otherwise."""


def drift(
    project: Project,
    integration: str,
    *,
    job: str | None = None,
    step: str | None = None,
    sample: int | None = SAMPLE,
    repair: bool = False,
    wait: bool = False,
    stop: StopRequest | None = None,
) -> Drift:
    """Compare. Nothing is written anywhere, except to repair.

    Args:
        project: The project.
        integration: The integration's name.
        job: Only this job.
        step: Only this step.
        sample: How many items of each step are compared, chosen at random; ``None`` for all of them, and then also records
            are found that are not ours, where the connector can list them.
        repair: Let an ordinary run see to what was edited: the step's policy holds, and without one it is overwritten. What
            is missing is recorded as gone, and left to the next run, which makes it again only if the step says so.
        wait: Whether to wait while another process runs the job.
        stop: Set it to end early.

    Raises:
        ConfigError: There is no such integration, job or step, or its connector cannot read.
        ConnectorError: The remote cannot be asked.
        JobRunningError: To repair, the job must not run in another process.
    """
    stop = stop if stop is not None else StopRequest()
    configured = project.integration(integration)
    names = project.job_names(configured) if job is None else (project.job_name(configured, job),)
    jobs = [project.assemble(configured, name) for name in names]
    known = [each.key for runnable in jobs for each in runnable.steps]
    if step is not None and step not in known:
        raise ConfigError(
            Problem(
                message=f"integration '{integration}' has no step '{step}'",
                expected=", ".join(known),
                hint=near_match(step, known),
            )
        )
    steps: list[StepDrift] = []
    items: list[ItemDrift] = []
    repairs: list[JobExecution] = []
    for runnable in jobs:
        with runnable.open_resource() as resource:
            for each in runnable.steps:
                if each.writer is None or step not in (None, each.key):
                    continue
                summary, drifted = Audit(project, runnable, each, resource, stop).run(sample)
                steps.append(summary)
                items += drifted
    if all(each.blind for each in steps):
        raise ConfigError(*(Problem(message=f"step '{each.step}' of job '{each.job}': {each.note}") for each in steps))
    if repair:
        repairs += _repair(project, integration, items, wait=wait, stop=stop)
    return Drift(
        integration=integration,
        sampled=sample is not None,
        steps=tuple(steps),
        items=tuple(items),
        repairs=tuple(repairs),
    )


def _repair(
    project: Project, integration: str, drifted: Sequence[ItemDrift], *, wait: bool, stop: StopRequest
) -> Iterator[JobExecution]:
    """Make what was edited due, let ordinary runs of just those items see to it, and record what is gone."""
    for job, step in dict.fromkeys((each.job, each.step) for each in drifted):
        mine = [each for each in drifted if (each.job, each.step) == (job, step)]
        edited = [each.key for each in mine if each.kind == "edited" and each.key is not None]
        missing = [each.key for each in mine if each.kind == "missing" and each.key is not None]
        names = {"job": job, "step": step}
        project.note_drift(integration, **names, edited=edited, missing=missing, wait=wait, stop=stop)
        if edited:
            yield project.sync(integration, job=job, steps=(step,), ids=edited, wait=wait, stop=stop)
