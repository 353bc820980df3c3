"""The jobs of a project: which are defined, by whom, which belong to an integration, and which of them is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

import attrs

from contraflow.assembly import RunnableJob, assemble, job_names
from contraflow.config import IntegrationConfig, JobDefinition, ProjectConfig
from contraflow.errors import ConfigError, ContraflowError, Problem, near_match
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor


@attrs.frozen(kw_only=True)
class JobOverview:
    """One job of one integration, as :meth:`contraflow.project.Project.jobs` lists it."""

    integration: str
    connector: str
    enabled: bool
    job: str
    title: str | None
    steps: tuple[str, ...]
    problem: str | None = None
    """Why it cannot be run; ``None`` if it can."""


@attrs.frozen(kw_only=True, slots=False)
class Jobs:
    """The jobs of a project's integrations.

    Args:
        config: The project's configuration.
        own: The jobs of its own job files.
        plugins: The connectors, and what they bring.
        redact: Learns the secrets of what is assembled.
    """

    config: ProjectConfig
    own: Mapping[str, JobDefinition]
    plugins: Plugins
    redact: Redactor

    @cached_property
    def definitions(self) -> Mapping[str, JobDefinition]:
        """Every job that is defined: by the connectors that are in use, and, with precedence, by the project's job files.

        A connector that fails to say what it brings is passed over: that is the trouble of its own integrations alone.
        """
        definitions: dict[str, JobDefinition] = {}
        for connector in dict.fromkeys(each.connector for each in self.config.integrations.values()):
            with suppress(ContraflowError):
                definitions |= self._brought_by(connector)
        return {**definitions, **self.own}

    def _brought_by(self, connector: str) -> Mapping[str, JobDefinition]:
        definitions: dict[str, JobDefinition] = {}
        for job in self.plugins.export_jobs(connector):
            definitions |= self.plugins.definitions(connector, job)
        return definitions

    def definitions_for(self, integration: IntegrationConfig) -> Mapping[str, JobDefinition]:
        """Every job that is defined, for an integration whose connector must be able to say what it brings."""
        return {**self._brought_by(integration.connector), **self.definitions}

    def integration(self, name: str) -> IntegrationConfig:
        """The integration of this name.

        Raises:
            ConfigError: There is none.
        """
        integrations = self.config.integrations
        if name not in integrations:
            raise ConfigError(
                Problem(
                    message=f"there is no integration '{name}'",
                    location=self.config.location("integrations"),
                    expected=f"one of {', '.join(integrations) or '(the project has none)'}",
                    hint=near_match(name, integrations),
                )
            )
        return integrations[name]

    def names(self, integration: IntegrationConfig) -> tuple[str, ...]:
        """The names of an integration's jobs, in order.

        Raises:
            ConfigError: Its connector is not provided, or there is no job.
        """
        if integration.connector not in self.plugins.names:
            found, hint = self.plugins.explain_missing(integration.connector)
            raise ConfigError(
                Problem(
                    message=f"integration '{integration.name}': connector '{integration.connector}' is not provided",
                    location=integration.location,
                    found=found,
                    hint=hint,
                )
            )
        names = job_names(self.plugins, integration)
        if not names:
            raise ConfigError(
                Problem(
                    message=f"integration '{integration.name}' has no job",
                    location=integration.location,
                    found=f"connector '{integration.connector}' brings none",
                    expected="job: NAME, the name of a job in the project's job files",
                )
            )
        return names

    def name(self, integration: IntegrationConfig, wanted: str | None = None) -> str:
        """The name of the integration's job that is meant: the wanted one, or its only one.

        Raises:
            ConfigError: There is none of that name, or there are several.
        """
        names = self.names(integration)
        if wanted is None and len(names) == 1:
            return names[0]
        if wanted in names:
            return wanted
        raise ConfigError(
            Problem(
                message=(
                    f"integration '{integration.name}' has several jobs"
                    if wanted is None
                    else f"integration '{integration.name}' has no job '{wanted}'"
                ),
                location=integration.location,
                expected=f"one of {', '.join(names)}",
                hint=near_match(wanted, names) if wanted else "say which with --job",
            )
        )

    def assemble(self, integration: IntegrationConfig, job: str) -> RunnableJob:
        """Make one job runnable, and learn its secrets.

        Raises:
            ConfigError: With every problem found.
        """
        definitions = self.definitions_for(integration)
        return assemble(self.config, self.plugins, definitions, integration, job, redact=self.redact)

    def overviews(self) -> Sequence[JobOverview]:
        """Every job of every integration, in the order of the project file."""
        return [overview for each in self.config.integrations.values() for overview in self._overviews(each)]

    def _overviews(self, integration: IntegrationConfig) -> Iterator[JobOverview]:
        try:
            names = self.names(integration)
        except ContraflowError as error:
            yield self._overview(integration, "", problem=self.redact(str(error)))
            return
        for name in names:
            problem = None
            try:
                self.assemble(integration, name)
            except ContraflowError as error:
                problem = self.redact(str(error))
            yield self._overview(integration, name, problem=problem)

    def _overview(self, integration: IntegrationConfig, job: str, *, problem: str | None) -> JobOverview:
        definition = self.definitions.get(job)
        return JobOverview(
            integration=integration.name,
            connector=integration.connector,
            enabled=integration.enabled,
            job=job,
            title=definition.title if definition else None,
            steps=tuple(step.key for step in definition.steps) if definition else (),
            problem=problem,
        )
