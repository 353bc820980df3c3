"""What a job file says, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from contraflow.errors import Location, Problem

EXPORT = "export"
"""The type of job that contraflow runs; jobs of other types (``import``, ``mass_edit``, …) load, and are not run."""

ENGINE_PARAMETERS = (
    "batch_size",
    "concurrency",
    "rate_limit",
    "attempts",
    "retry_wait",
    "max_wait",
    "retry_budget",
    "skip_limit",
    "max_rejected",
    "entity",
    "missing",
    "remember",
    "deletions",
    "filtered",
    "resurrect",
    "adopt",
    "conflicts",
    "modified_column",
    "in_doubt",
    "load",
    "guards",
    "references",
    "add_to_job_summary",
)
"""The step parameters that the engine itself knows; all others are the plugins'."""

_ALIASES = {"entity_name": "entity"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EMPTY: Mapping[str, Any] = MappingProxyType({})


def snake_case(name: str) -> str:
    """``batchSize`` and ``BatchSize`` as ``batch_size``; a name without humps as it is, in small letters."""
    return _HUMP.sub("_", name).lower()


def engine_parameter(name: str) -> str | None:
    """The engine's own name of a parameter: ``batch_size`` of ``batchSize``, ``entity`` of ``entityName``."""
    snake = snake_case(name)
    snake = _ALIASES.get(snake, snake)
    return snake if snake in ENGINE_PARAMETERS else None


@attrs.frozen(kw_only=True)
class StepDefinition:
    """One step of a job, as declared; no name is resolved yet."""

    key: str
    """Its name, unique in the job. See :mod:`contraflow.config.job_grammar` for lists, and
    :func:`contraflow.config.jobs.load_jobs` for several files."""
    title: str | None = None
    step_class: str | None = None
    """The text under ``class``, as written; ``None`` for the default step type."""
    services: Mapping[str, str] = _EMPTY
    """Service names by role (``reader``, ``processor``, ``writer``, or whatever a step type knows), as written."""
    parameters: Mapping[str, Any] = _EMPTY
    """Parameters under their names as written: scalars, and, as contraflow's own addition, lists and mappings."""
    location: Location = attrs.field(factory=Location)
    service_locations: Mapping[str, Location] = attrs.field(default=_EMPTY, repr=False)
    parameter_locations: Mapping[str, Location] = attrs.field(default=_EMPTY, repr=False)

    def parameter_location(self, name: str) -> Location:
        """Where a parameter stands, by its name as written or by the engine's; the step's own place if it has none."""
        for written, location in self.parameter_locations.items():
            if name in (written, engine_parameter(written)):
                return location
        return self.location


@attrs.frozen(kw_only=True)
class JobDefinition:
    """One job, as declared."""

    name: str
    title: str | None = None
    connector: str | None = None
    """The name that the ancestor's wrapper around ``jobs`` bears: jobs of two connectors are two, whatever their names."""
    type: str = EXPORT
    steps: tuple[StepDefinition, ...] = ()
    """In the order in which they run; a job without steps loads, and cannot be run."""
    location: Location = attrs.field(factory=Location)
    warnings: tuple[Problem, ...] = ()
    """What was accepted and left out, such as the ancestor's ``templates``."""
