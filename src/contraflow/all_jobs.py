"""Run all export jobs of an integration: parents are sent before their children, and removed after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import references_between
from contraflow.errors import ConfigError, ContraflowError, Problem
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

    A job that others refer to waits with its removals until those have run; so they end before it.

    Args:
        project: The project.
        integration: The integration's name.
        options: Of :meth:`contraflow.project.Project.sync`; not those that are about one job.

    Yields:
        An execution for each job, after it has ended; those that wait for each other in the order in which they began.

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
    parents = set()
    for name in order:
        try:
            job = project.assemble(configured, name)
        except ConfigError as error:
            problems += error.problems
        else:
            if any(each.job != name and each.removes for step in job.steps for each in step.referrers):
                parents.add(name)
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    jobs = _Jobs(project, integration, parents, options)
    left: Sequence[str] = order
    while left:
        left = jobs.run(left)
        ended, jobs.ended = jobs.ended, []
        yield from ended
        if jobs.trouble is not None:
            raise jobs.trouble


@attrs.define
class _Jobs:
    """Runs jobs, each within the one before if that has to wait for it."""

    project: Project
    integration: str
    parents: set[str]
    """The jobs that others refer to."""
    options: dict[str, Any]
    ended: list[JobExecution] = attrs.field(factory=list, init=False)
    trouble: ContraflowError | None = attrs.field(default=None, init=False)

    def run(self, names: Sequence[str]) -> Sequence[str]:
        """Run the first job, and within it those behind it, if they may refer to it; what is left to be run."""
        name, left = names[0], names[1:]
        place = len(self.ended)

        def others() -> None:
            nonlocal left
            while left:
                left = self.run(left)

        within: Callable[[], None] = others if name in self.parents else _nothing
        try:
            execution = self.project.sync(self.integration, job=name, **self.options, before_removals=within)
        except ContraflowError as error:  # a job around this one has to come to its end first
            self.trouble = self.trouble or error
            return ()
        self.ended.insert(place, execution)
        return left if execution.status is BatchStatus.COMPLETED else ()


def _nothing() -> None:
    pass
