"""Run all export jobs of an integration, those first to which others refer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contraflow.assembly import references_between
from contraflow.errors import ConfigError, Problem
from contraflow_hookspecs import BatchStatus, JobExecution

if TYPE_CHECKING:
    from contraflow.project import Project

_OF_ONE_JOB = ("job", "steps", "ids")


def jobs_in_order(project: Project, integration: str) -> list[str]:
    """The names of an integration's jobs, those first to which others refer.

    Raises:
        ConfigError: There is none, or some refer to each other in a circle.
    """
    configured = project.integration(integration)
    names = project.job_names(configured)
    order = references_between(project.plugins, project.definitions_for(configured), configured).jobs_in_order()
    return [*order, *(name for name in names if name not in order)]


def sync_all(project: Project, integration: str, **options: Any) -> Iterator[JobExecution]:
    """Run the jobs one by one, until one does not end COMPLETED.

    Args:
        project: The project.
        integration: The integration's name.
        options: Of :meth:`contraflow.project.Project.sync`; not those that are about one job.

    Yields:
        An execution for each job, after it has ended.

    Raises:
        ConfigError: Something cannot be honoured; nothing was started.
        ContraflowError: As ``Project.sync``.
    """
    configured = project.integration(integration)
    problems = [
        Problem(message=f"`{name}` is about one job, and all were asked for", expected="one of the two")
        for name in _OF_ONE_JOB
        if options.get(name)
    ]
    order = [] if problems else jobs_in_order(project, integration)
    for name in order:
        try:
            project.assemble(configured, name)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    for name in order:
        execution = project.sync(integration, job=name, **options)
        yield execution
        if execution.status is not BatchStatus.COMPLETED:
            return
