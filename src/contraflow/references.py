"""The step parameter ``references``: to which items of other steps a payload refers, and the order that follows from it.

A mapping of names to parents, ``customer: {job: customers, step: customers, key: [customer_id], required: true}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from contraflow.config import JobDefinition, StepDefinition, engine_parameter
from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.ordering import CircleError, in_order

_KEYS = ("job", "step", "key", "required")
_REMOVALS = ("deletions", "filtered", "missing")
"""The parameters by which a step removes items."""


@attrs.frozen(kw_only=True)
class Reference:
    """One reference of a step's items to their parents: items that another step, or the same, exports."""

    name: str
    job: str
    step: str
    key: tuple[str, ...]
    """The columns of the item that make the parent's key, in the order of that key."""
    required: bool
    """Whether an item waits for its parent."""
    parameters: Mapping[str, Any]
    """Of the parent's step; they tell how its keys look."""
    location: Location = attrs.field(factory=Location, eq=False)


@attrs.frozen(kw_only=True)
class Referrer:
    """A step whose items refer to those of another step, or of the same."""

    job: str
    step: str
    name: str
    """Of the reference there."""
    required: bool
    removes: bool
    """Whether the step removes items at the remote."""


@attrs.frozen
class References:
    """Resolves the references between the steps of one integration's jobs.

    Args:
        jobs: The integration's jobs, in the order of their names there.
        entity_of: The entity that a job's steps export where they name none.
    """

    jobs: Mapping[str, JobDefinition]
    entity_of: Callable[[str], str | None]

    def of_step(self, job: str, step: StepDefinition) -> tuple[Reference, ...]:
        """The references of a step.

        Raises:
            ConfigError: Some cannot be honoured; names all of them.
        """
        location = step.parameter_location("references")
        value = _parameter(step)
        if value is None:
            return ()
        if not isinstance(value, Mapping):
            raise ConfigError(
                Problem(
                    message=f"step '{step.key}': `references` is no mapping of names to parents",
                    location=location,
                    found=repr(value),
                    expected="such as {customer: {job: customers, key: [customer_id]}}",
                )
            )
        found: list[Reference] = []
        problems: list[Problem] = []
        for name, given in value.items():
            place = attrs.evolve(location, path=f"{location.path}.{name}")
            try:
                found.append(self._reference(job, step, str(name), given, place))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        return tuple(found)

    def to_step(self, job: str, step: str) -> tuple[Referrer, ...]:
        """The references to a step's items."""
        return tuple(
            Referrer(job=name, step=other.key, name=each.name, required=each.required, removes=_removes(other))
            for name, definition in self.jobs.items()
            for other in definition.steps
            for each in self._sound(name, other)
            if (each.job, each.step) == (job, step)
        )

    def steps_in_order(self, job: str) -> list[str]:
        """The keys of a job's steps, parents first.

        Raises:
            ConfigError: Some refer to each other in a circle.
        """
        steps = self.jobs[job].steps
        pairs = [(step.key, each) for step in steps for each in self._sound(job, step)]
        pairs = [(key, each) for key, each in pairs if each.job == job and each.step != key]
        try:
            return in_order(
                [step.key for step in steps], *_needs((key, each.step, each.required) for key, each in pairs)
            )
        except CircleError as circle:
            raise ConfigError(_circle(f"job '{job}': its steps", circle, self.jobs[job].location)) from None

    def jobs_in_order(self) -> list[str]:
        """The names of the jobs, parents first.

        Raises:
            ConfigError: Some refer to each other in a circle.
        """
        pairs = [
            (name, each) for name, job in self.jobs.items() for step in job.steps for each in self._sound(name, step)
        ]
        pairs = [(name, each) for name, each in pairs if each.job != name]
        try:
            return in_order(list(self.jobs), *_needs((name, each.job, each.required) for name, each in pairs))
        except CircleError as circle:
            raise ConfigError(_circle("jobs", circle, self.jobs[circle.path[0]].location)) from None

    def _sound(self, job: str, step: StepDefinition) -> tuple[Reference, ...]:
        """Without those that are told as trouble of their own."""
        try:
            return self.of_step(job, step)
        except ConfigError:
            return ()

    def _reference(self, own: str, step: StepDefinition, name: str, given: Any, location: Location) -> Reference:
        where = f"step '{step.key}': reference '{name}'"
        if not isinstance(given, Mapping):
            raise ConfigError(
                Problem(
                    message=f"{where} names no parent",
                    location=location,
                    found=repr(given),
                    expected="a mapping such as {job: customers, key: [customer_id]}",
                )
            )
        problems = [
            Problem(
                message=f"{where} has an unknown key '{key}'",
                location=location,
                expected=", ".join(_KEYS),
                hint=near_match(str(key), _KEYS),
            )
            for key in given
            if key not in _KEYS
        ]
        key, required = given.get("key"), given.get("required")
        names = [key] if isinstance(key, str) else key
        if not isinstance(names, list | tuple) or not names or not all(isinstance(each, str) for each in names):
            expected = "the columns that make the parent's key: `key: [customer_id]`"
            problems.append(Problem(message=f"{where} needs a `key`", location=location, expected=expected))
            names = ()
        if required not in (None, True, False):
            found, expected = repr(required), "true or false"
            problems.append(Problem(message=f"{where}: `required`", location=location, found=found, expected=expected))
        try:
            job, parent = self._parent(own, given, where, location)
        except ConfigError as error:
            raise ConfigError(*problems, *error.problems) from None
        if problems:
            raise ConfigError(*problems)
        return Reference(
            name=name,
            job=job,
            step=parent.key,
            key=tuple(names),
            required=required is not False,
            parameters=self._parameters(job, parent),
            location=location,
        )

    def _parent(self, own: str, given: Mapping[str, Any], where: str, location: Location) -> tuple[str, StepDefinition]:
        job = str(given.get("job") or own)
        if job not in self.jobs:
            raise ConfigError(
                Problem(
                    message=f"{where} names a job that the integration does not have: '{job}'",
                    location=location,
                    expected=f"one of {', '.join(self.jobs)}",
                    hint=near_match(job, self.jobs),
                )
            )
        steps = {step.key: step for step in self.jobs[job].steps if "reader" in step.services}
        wanted = given.get("step")
        if wanted is None and len(steps) == 1:
            return job, next(iter(steps.values()))
        if wanted not in steps:
            message = "names no step" if wanted is None else f"names a step that is not there: '{wanted}'"
            raise ConfigError(
                Problem(
                    message=f"{where} {message}",
                    location=location,
                    expected=f"one of {', '.join(steps) or '(none)'}, the steps of job '{job}' that export items",
                    hint=None if wanted is None else near_match(str(wanted), steps),
                )
            )
        return job, steps[wanted]

    def _parameters(self, job: str, step: StepDefinition) -> Mapping[str, Any]:
        parameters = {engine_parameter(name) or name: value for name, value in step.parameters.items()}
        entity = self.entity_of(job)
        return parameters if entity is None else {"entity": entity, **parameters}


def _parameter(step: StepDefinition) -> Any:
    named = (value for name, value in step.parameters.items() if engine_parameter(name) == "references")
    return next(named, None)


def _removes(step: StepDefinition) -> bool:
    given = {engine_parameter(name) or name: value for name, value in step.parameters.items()}
    return any(given.get(name) in ("delete", "archive") for name in _REMOVALS)


def _needs(edges: Iterator[tuple[str, str, bool]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What each needs, and what each would like to come before it."""
    needs: dict[str, list[str]] = {}
    wishes: dict[str, list[str]] = {}
    for child, parent, required in edges:
        (needs if required else wishes).setdefault(child, []).append(parent)
    return needs, wishes


def _circle(whose: str, circle: CircleError, location: Location) -> Problem:
    return Problem(
        message=f"{whose} refer to each other in a circle, so none of them can go first",
        location=location,
        found=str(circle),
        expected="no circle; a reference that an item can do without says `required: false`",
    )
