"""Definitions of steps become runnable steps: their stages, their parameters, and what their payloads depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from contraflow.assembly.runnable import RunnableStep, Stage, unknown_parameters
from contraflow.assembly.stages import Stages
from contraflow.config import EXPORT, JobDefinition, ProjectConfig, StepDefinition, engine_parameter
from contraflow.errors import ConfigError, Problem
from contraflow.options import PARAMETERS, options_of
from contraflow.plugins import Plugins
from contraflow.requirements import requirement_problems
from contraflow_hookspecs import Capabilities, ExportJob

_BY_ID = "entity.by_id"
_NO_MAPPING = (PARAMETERS.keys() | {"missing", "overlap", "sweep"}) - {"entity", "references"}
"""Parameters that tell how items are read and sent, and not what their payloads are."""


@attrs.frozen(kw_only=True)
class Steps:
    """Makes the steps of one job runnable.

    Args:
        config: The project's configuration.
        plugins: The plugins that names may resolve to.
        export_job: What the connector declares of the job.
        capabilities: What its remote can do.
        problems: Grows by what keeps the steps from running.
    """

    config: ProjectConfig
    plugins: Plugins
    export_job: ExportJob
    capabilities: Capabilities
    problems: list[Problem]

    def of_job(self, definition: JobDefinition) -> tuple[RunnableStep, ...]:
        """The steps of a job that can be run, in the order of the definition."""
        if definition.type != EXPORT:
            self.problems.append(
                Problem(
                    message=f"job '{definition.name}' cannot be run",
                    location=definition.location,
                    found=f"type {definition.type}",
                    expected=f"type {EXPORT}",
                )
            )
        if not definition.steps:
            self.problems.append(Problem(message=f"job '{definition.name}' has no steps", location=definition.location))
        return tuple(step for each in definition.steps if (step := self._step(each)) is not None)

    def _step(self, step: StepDefinition) -> RunnableStep | None:
        before = len(self.problems)
        stages = dict(Stages(config=self.config, plugins=self.plugins, problems=self.problems).of_step(step))
        resolved = len(self.problems) == before
        parameters = {engine_parameter(name) or name: value for name, value in step.parameters.items()}
        try:
            options_of(parameters, self.capabilities, step.parameter_location)
        except ConfigError as error:
            self.problems.extend(error.problems)
        if "writer" in stages:
            writer = stages["writer"].plugin
            self.problems.extend(
                requirement_problems(parameters, writer, stages, self.capabilities, step.parameter_location)
            )
        if not resolved:
            return None
        if "reader" in stages and self.export_job.entity is not None:
            parameters.setdefault("entity", self.export_job.entity)
        runnable = RunnableStep(
            key=step.key,
            title=step.title or step.key,
            services=step.services,
            parameters=parameters,
            location=step.location,
            parameter_location=step.parameter_location,
            known_parameters=self._known_parameters(stages, parameters),
            wants_ids="reader" in stages and self.plugins.record(stages["reader"].plugin).name == _BY_ID,
            mapping=self._mapping(stages, parameters),
            references=(),
            referrers=(),
            **stages,
        )
        self.problems.extend(unknown_parameters(runnable, parameters, step.parameter_location))
        return runnable

    def _known_parameters(self, stages: Mapping[str, Stage], parameters: Mapping[str, Any]) -> frozenset[str] | None:
        plugins = dict.fromkeys(stage.plugin for stage in stages.values())
        described = [self.plugins.parameters(plugin, parameters) for plugin in plugins]
        known = [each.keys() for each in described if each is not None]
        return frozenset(PARAMETERS).union(*known) if len(known) == len(described) else None

    def _mapping(self, stages: Mapping[str, Stage], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if "processor" not in stages:
            return {}
        plugin = stages["processor"].plugin
        mapped = {name: each for name, each in parameters.items() if name not in _NO_MAPPING}
        return {
            "processor": self.plugins.record(plugin).name,
            "version": self.plugins.record(plugin).distribution,
            "source": self.plugins.source_digest(plugin),
            "parameters": {name: _digest(each) for name, each in mapped.items()},
        }


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
