"""What keeps a job's steps from running that only the database and the plugins know; asked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.errors import ConfigError, Problem
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor
from contraflow.reference_check import reference_problems
from contraflow_hookspecs import Advice, StepContext

if TYPE_CHECKING:
    from contraflow.source import Source


def step_problems(
    job: RunnableJob,
    plugins: Plugins,
    source: Source | None,
    redact: Redactor,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Problem]:
    """Ask the source database and the plugins of a job's steps.

    Args:
        job: The job.
        plugins: Who is asked.
        source: The source database; ``None`` if the project names none.
        redact: Keeps secrets out of the plugins' sentences.
        parameters: By the key of the step, for those that are to run; ``None`` for all with those of the job file.

    Raises:
        SourceError: The source database cannot be reached.
    """
    for step in job.steps:
        if parameters is not None and step.key not in parameters:
            continue
        given = step.parameters if parameters is None else parameters[step.key]
        yield from _hook_problems(step, given)
        problems = list(_entity_problems(step, source, given))
        if problems:  # better told than by the reader, which does not know their places
            yield from problems
            continue
        yield from reference_problems(step, source, given)
        yield from (
            problem for sentence, problem in _asked(job, step, plugins, source, redact, given) if type(sentence) is str
        )


def step_advice(job: RunnableJob, plugins: Plugins, source: Source | None, redact: Redactor) -> Iterator[Problem]:
    """What the plugins of a job's steps advise: trouble that keeps nothing from running. Arguments as above.

    Raises:
        SourceError: The source database cannot be reached.
    """
    for step in job.steps:
        for sentence, problem in _asked(job, step, plugins, source, redact, step.parameters):
            if type(sentence) is Advice:
                yield problem


def lacking_for(plugins: Plugins, names: Iterable[str], context: StepContext, deed: str) -> list[str]:
    """What the settings of plugins lack for a deed that no step asks for: what ``check_step`` says of that alone.

    Args:
        plugins: Who is asked.
        names: Which of them.
        context: Of the step.
        deed: The name of a parameter that says so.
    """
    wanting = attrs.evolve(context, parameters={**context.parameters, deed: True})
    return [
        sentence
        for name in names
        for plain in [plugins.check_step(name, context)]
        for sentence in plugins.check_step(name, wanting)
        if sentence not in plain
    ]


def _asked(
    job: RunnableJob,
    step: RunnableStep,
    plugins: Plugins,
    source: Source | None,
    redact: Redactor,
    given: Mapping[str, Any],
) -> Iterator[tuple[str, Problem]]:
    context = attrs.evolve(job.context(step, source, "check"), parameters=given)
    for plugin in step.plugins:
        for sentence in plugins.check_step(plugin, context):
            yield sentence, redact.problem(Problem(message=f"step '{step.key}': {sentence}", location=step.location))


def _entity_problems(step: RunnableStep, source: Source | None, parameters: Mapping[str, Any]) -> Sequence[Problem]:
    name = parameters.get("entity")
    if step.reader is None or source is None or not isinstance(name, str):
        return ()
    try:
        source.entity(name)
    except ConfigError as error:
        if name in source.entity_names:
            return error.problems
        place = step.parameter_location("entity")
        return [
            attrs.evolve(each, message=f"step '{step.key}': {each.message}", location=place) for each in error.problems
        ]
    return ()


def _hook_problems(step: RunnableStep, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Parameters that ask for what the connector cannot do."""
    if step.writer is None:
        return
    for parameter, hook, stage in (("conflicts", "fetch_items", step.fetcher),):
        if parameters.get(parameter) is not None and stage is None:
            yield Problem(
                message=f"step '{step.key}': parameter '{parameter}' needs what its connector cannot do",
                location=step.parameter_location(parameter),
                found=f"no {hook} in '{step.writer.plugin}'",
                expected=f"a writer with {hook}, or no '{parameter}'",
            )
