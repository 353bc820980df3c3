"""What one run asks of each step: its parameters, its filter, its options.

A run's parameters are flat, or in sections. A section is a mapping under a step's title, a step's key or the job's type
(``export``), and is for that step, or for all. This serves what people wrote for the ancestor, where the *title* chose the
section.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep, unknown_parameters
from contraflow.config import EXPORT, engine_parameter
from contraflow.engine.step_request import StepRequest
from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.ledger import encode_key
from contraflow.options import PARAMETERS as ENGINE_PARAMETERS
from contraflow.options import StepOptions, options_of
from contraflow.requirements import requirement_problems
from contraflow.source import Source
from contraflow.source.keys import KeyShape
from contraflow_hookspecs import IdFilter

_log = logging.getLogger("contraflow.engine")


@attrs.frozen(kw_only=True)
class RunRequest:
    """What a person asks for.

    Attributes:
        ids: Ids in any of the accepted forms; ``None`` if none were given, which is not the same as an empty list.
        everything: Whether "all" was said.
        parameters: The run's parameters.
        steps: Names of the steps to run; empty for all.
        force: Whether items are sent also if the remote holds them.
    """

    ids: Any = None
    everything: bool = False
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    steps: Sequence[str] = ()
    force: bool = False


def step_requests(job: RunnableJob, run: RunRequest, source: Source | None) -> list[StepRequest]:
    """Work out what a run asks of each of its steps.

    Raises:
        ConfigError: An unknown step or parameter, an id of the wrong shape, or nothing said where something must be.
    """
    if run.everything and run.ids is not None:
        raise ConfigError(Problem(message="both ids and everything were asked for", expected="one of the two"))
    problems: list[Problem] = []
    requests = []
    for step in _chosen(job, run.steps):
        try:
            requests.append(_request(job, step, run, source))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return requests


def _chosen(job: RunnableJob, names: Sequence[str]) -> Sequence[RunnableStep]:
    known = [step.key for step in job.steps]
    unknown = [
        Problem(
            message=f"job '{job.name}' has no step '{name}'", expected=", ".join(known), hint=near_match(name, known)
        )
        for name in names
        if name not in known
    ]
    if unknown:
        raise ConfigError(*unknown)
    return [step for step in job.steps if not names or step.key in names]


def _request(job: RunnableJob, step: RunnableStep, run: RunRequest, source: Source | None) -> StepRequest:
    given = _parameters_for(job, step, run.parameters)
    ids = _given_ids(given, run.ids)

    def locate(name: str) -> Location:
        return Location(path=f"parameter {name}") if name in given else step.parameter_location(name)

    unknown = list(unknown_parameters(step, given, locate))
    if "references" in given:
        message, expected = "a run cannot bring references of its own", "`references` in the job file"
        unknown.append(Problem(message=message, location=locate("references"), expected=expected))
    if unknown:
        raise ConfigError(*unknown)
    parameters = {**step.parameters, **given}
    options = options_of(parameters, job.capabilities, locate)
    if step.writer is not None:
        needed = requirement_problems(parameters, step.writer.plugin, step.stages, job.capabilities, locate)
        if lacking := list(needed):
            raise ConfigError(*lacking)
    options = _without_removals(step, options, given)
    parameters["batch_size"] = options.batch_size  # readers page by it
    wanted = _filter(step, parameters, ids, run.everything, source)
    return StepRequest(
        step=step,
        parameters=parameters,
        options=options,
        filter=wanted,
        digest=_digest(parameters, wanted),
        force=run.force,
    )


def _without_removals(step: RunnableStep, options: StepOptions, given: Mapping[str, Any]) -> StepOptions:
    """A run with parameters of its own may read or skip other items than the job means: it must not remove the rest."""
    own = [
        name
        for name, value in given.items()
        if (name not in ENGINE_PARAMETERS or name == "entity") and step.parameters.get(name) != value
    ]
    if not own or (options.deletions is None and options.filtered is None):
        return options
    _log.warning(
        "%s: this run removes nothing, since it has parameters of its own: %s", step.key, ", ".join(sorted(own))
    )
    return attrs.evolve(options, deletions=None, filtered=None)


def _digest(parameters: Mapping[str, Any], wanted: IdFilter) -> str:
    """Tells requests apart: a run that reads something else, or by another rule, cannot be resumed."""
    about_reading = {
        name: value for name, value in parameters.items() if name not in ENGINE_PARAMETERS or name == "entity"
    }
    ids = None if wanted.ids is None else [encode_key(key) for key in wanted.ids]
    text = json.dumps([about_reading, ids], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _parameters_for(job: RunnableJob, step: RunnableStep, parameters: Mapping[str, Any]) -> dict[str, Any]:
    sections = {EXPORT, *(each.title for each in job.steps), *(each.key for each in job.steps)}
    known = step.known_parameters or frozenset()
    flat = {
        name: value
        for name, value in parameters.items()
        if not (isinstance(value, Mapping) and name in sections and name not in known)
    }
    mine: Mapping[str, Any] = {}
    for name in (step.title, step.key, EXPORT):
        section = parameters.get(name)
        if name not in flat and isinstance(section, Mapping) and section:
            mine = section
            break
    return {engine_parameter(name) or name: value for name, value in {**flat, **mine}.items()}


def _given_ids(given: dict[str, Any], ids: Any) -> Any:
    """Take ``id`` and ``ids`` out of the parameters and unite them with the ids of the run."""
    named = [given.pop(name) for name in ("ids", "id") if name in given]
    if not named:
        return ids
    united: list[Any] = []
    for each in (ids, *named):
        if each is not None:
            united += each if isinstance(each, list | tuple) else [each]
    return united


def _filter(
    step: RunnableStep, parameters: Mapping[str, Any], ids: Any, everything: bool, source: Source | None
) -> IdFilter:
    if step.reader is None or everything:
        return IdFilter()
    if ids is None:
        if step.wants_ids:
            raise ConfigError(
                Problem(
                    message=f"step '{step.key}' reads by id, and nothing says which",
                    location=step.location,
                    expected="ids, or that everything is meant",
                    hint="sync … --id ID, or sync … --all",
                )
            )
        return IdFilter(changed=True)
    shape = _key_shape(step, parameters, source)
    if shape is not None:
        return IdFilter(ids=shape.parse(ids))
    many = ids if isinstance(ids, list | tuple) else [ids]
    keys = [tuple(each) if isinstance(each, list | tuple) else (each,) for each in many]
    return IdFilter(ids=tuple(dict.fromkeys(keys)))


def _key_shape(step: RunnableStep, parameters: Mapping[str, Any], source: Source | None) -> KeyShape | None:
    if source is None:
        return None
    try:
        return source.key_shape(parameters)
    except ConfigError as error:  # what is wrong with an entity says where; a name that is none does not know
        place = step.parameter_location("entity")
        problems = (each if each.location.file else attrs.evolve(each, location=place) for each in error.problems)
        raise ConfigError(*problems) from None
