"""A job of an integration becomes runnable: the connector's declarations, its settings, its steps with their parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from contraflow.assembly.runnable import RunnableJob, RunnableStep
from contraflow.assembly.stages import Stages
from contraflow.assembly.steps import Steps
from contraflow.config import IntegrationConfig, JobDefinition, ProjectConfig
from contraflow.contract import describe
from contraflow.errors import ConfigError, HookContractError, Location, PluginError, Problem, near_match
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor
from contraflow.references import Reference, References
from contraflow.settings import secret_values, structure_settings
from contraflow_hookspecs import Capabilities, ConnectorError, ExportJob


def job_names(plugins: Plugins, integration: IntegrationConfig) -> tuple[str, ...]:
    """The names of an integration's jobs, in order: those that it names itself, else those that its connector brings."""
    if integration.job:
        return integration.job
    return tuple(job.name for job in plugins.export_jobs(integration.connector))


def assemble(
    config: ProjectConfig,
    plugins: Plugins,
    definitions: Mapping[str, JobDefinition],
    integration: IntegrationConfig,
    job_name: str,
    *,
    redact: Redactor,
) -> RunnableJob:
    """Make a job of an integration runnable.

    Args:
        config: The project's configuration; its ``services:`` and ``classes:`` translate foreign names.
        plugins: The plugins that names may resolve to.
        definitions: All jobs that are defined, by the project and by connectors.
        integration: Whose job it is.
        job_name: Which of its jobs.
        redact: Learns what the connector declares secret among the settings.

    Raises:
        ConfigError: With every problem found.
    """
    export_job = _export_job(plugins, integration, job_name)
    definition = definitions.get(job_name)
    if definition is None:
        raise ConfigError(
            Problem(
                message=f"integration '{integration.name}': there is no job '{job_name}'",
                location=integration.location,
                expected=f"one of {', '.join(sorted(definitions)) or '(no job is defined)'}",
                hint=near_match(job_name, definitions),
            )
        )
    problems: list[Problem] = []
    settings: Any = None
    capabilities = Capabilities(delete=True)  # what is not known is not objected to

    def locate(path: str) -> Location:
        return config.location(f"integrations.{integration.name}.settings{path}")

    try:
        settings = structure_settings(export_job.settings, integration.settings, locate)
        redact.add(secret_values(settings))
        capabilities = _capabilities(export_job, settings, integration.connector)
    except ConfigError as error:
        problems += error.problems
    steps = Steps(
        config=config, plugins=plugins, export_job=export_job, capabilities=capabilities, problems=problems
    ).of_job(definition)
    steps = _with_parents(steps, definition, references_between(plugins, definitions, integration), problems)
    if problems:
        raise ConfigError(*problems)
    return RunnableJob(
        name=job_name,
        title=definition.title or export_job.label or job_name,
        integration=integration.name,
        connector=integration.connector,
        steps=steps,
        settings=settings,
        capabilities=capabilities,
        export_job=export_job,
        event_loop=plugins.event_loop,
    )


def references_between(
    plugins: Plugins, definitions: Mapping[str, JobDefinition], integration: IntegrationConfig
) -> References:
    """The references between the steps of an integration's jobs."""
    names = job_names(plugins, integration)
    jobs = {name: definitions[name] for name in names if name in definitions}
    return References(jobs, lambda name: _export_job(plugins, integration, name).entity)


def _with_parents(
    steps: tuple[RunnableStep, ...], definition: JobDefinition, references: References, problems: list[Problem]
) -> tuple[RunnableStep, ...]:
    """The steps with what they refer to, parents first."""
    if definition.name not in references.jobs:
        return steps
    found: dict[str, tuple[Reference, ...]] = {}
    order: list[str] = []
    for step in definition.steps:
        try:
            found[step.key] = references.of_step(definition.name, step)
        except ConfigError as error:
            problems += error.problems
    try:
        order = references.steps_in_order(definition.name)
        references.jobs_in_order()
    except ConfigError as error:
        problems += error.problems
    referring = {
        step.key: attrs.evolve(
            step,
            references=found.get(step.key, ()),
            referrers=references.to_step(definition.name, step.key),
        )
        for step in steps
    }
    return tuple(referring[key] for key in order if key in referring)


def unresolved(config: ProjectConfig, plugins: Plugins, definition: JobDefinition) -> list[Problem]:
    """What nothing provides of all that a job's steps name; for jobs that no integration uses, and nobody assembles."""
    problems: list[Problem] = []
    stages = Stages(config=config, plugins=plugins, problems=problems)
    for step in definition.steps:
        list(stages.of_step(step))
    return problems


def _export_job(plugins: Plugins, integration: IntegrationConfig, job_name: str) -> ExportJob:
    """What the connector declares of this job: settings class, capabilities, resources."""
    brought = plugins.export_jobs(integration.connector)
    for job in brought:
        if job.name == job_name:
            return job
    if len(brought) == 1:
        return brought[0]  # a connector that serves any job of the project
    if not brought:
        return ExportJob(name=job_name)
    raise ConfigError(
        Problem(
            message=f"connector '{integration.connector}' brings several jobs, and none of them is '{job_name}'",
            location=integration.location,
            expected=", ".join(job.name for job in brought),
            hint=near_match(job_name, [job.name for job in brought]),
        )
    )


def _capabilities(export_job: ExportJob, settings: Any, connector: str) -> Capabilities:
    declared: Any = export_job.capabilities
    if not isinstance(declared, Capabilities):
        try:
            declared = declared(settings)
        except Exception as error:
            reason = str(error) if isinstance(error, ConnectorError) else f"{type(error).__name__}: {error}"
            raise PluginError(f"connector '{connector}' cannot say what its remote is capable of: {reason}") from error
    if not isinstance(declared, Capabilities):
        raise HookContractError(connector, "provide_export_job", f"capabilities: {describe(declared)}", "Capabilities")
    return declared
