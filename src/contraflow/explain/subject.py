"""Which steps are meant by the name of an entity, an integration, a job or a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.errors import ConfigError, Problem, near_match

if TYPE_CHECKING:
    from contraflow.workspace import Workspace


def steps_of(project: Workspace, subject: str) -> Sequence[tuple[RunnableJob, RunnableStep]]:
    """The item steps that are meant."""
    config = project.config
    name, *narrower = subject.split("/")
    if subject in config.entities:
        found = [
            (job, step)
            for integration in config.integrations
            for job, step in _of_integration(project, integration, None)
            if step.parameters.get("entity") == subject
        ]
        if not found:
            raise ConfigError(Problem(message=f"no step of an integration exports the entity '{subject}'"))
        return found
    if name not in config.integrations or len(narrower) > 2:
        known = [*config.entities, *config.integrations]
        raise ConfigError(
            Problem(
                message=f"there is no entity and no integration '{subject}'",
                expected=f"one of {', '.join(known)}, or INTEGRATION/JOB/STEP",
                hint=near_match(subject, known),
            )
        )
    found = list(_of_integration(project, name, narrower[0] if narrower else None))
    if len(narrower) == 2:
        keys = [step.key for _, step in found]
        found = [(job, step) for job, step in found if step.key == narrower[1]]
        if not found:
            raise ConfigError(
                Problem(
                    message=f"job '{narrower[0]}' has no step '{narrower[1]}'",
                    expected=", ".join(keys),
                    hint=near_match(narrower[1], keys),
                )
            )
    return found


def _of_integration(project: Workspace, name: str, job: str | None) -> Iterator[tuple[RunnableJob, RunnableStep]]:
    integration = project.integration(name)
    names = project.job_names(integration) if job is None else (project.job_name(integration, job),)
    for each in names:
        runnable = project.assemble(integration, each)
        yield from ((runnable, step) for step in runnable.steps if step.reader is not None)
