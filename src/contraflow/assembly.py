"""Assembly: definitions and plugins become runnable steps. Every name is resolved here; nothing is lazy.

A job that names something that nobody provides, or whose options contradict what the connector can do, does not come out of
here, and so never starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from contraflow.config import EXPORT, IntegrationConfig, JobDefinition, ProjectConfig, StepDefinition, engine_parameter
from contraflow.contract import describe
from contraflow.errors import (
    ConfigError,
    ContraflowError,
    HookContractError,
    Location,
    PluginError,
    Problem,
    near_match,
)
from contraflow.options import PARAMETERS, options_of
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor
from contraflow.references import Reference, References
from contraflow.requirements import requirement_problems
from contraflow.settings import secret_values, structure_settings
from contraflow_hookspecs import Capabilities, ConnectorError, ExportJob

_ITEM = "item"
_ITEM_ALIASES = frozenset(
    {
        _ITEM,
        r"Oro\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Component\Batch\Step\ItemStep",
        r"Akeneo\Tool\Component\Batch\Step\ItemStep",
    }
)
_TASKLET = "tasklet"
_TASKLET_ALIASES = frozenset(
    {
        _TASKLET,
        r"Akeneo\Bundle\BatchBundle\Step\TaskletStep",
        r"Akeneo\Component\Batch\Step\TaskletStep",
        r"Akeneo\Tool\Component\Connector\Step\TaskletStep",
        r"Pim\Component\Connector\Step\TaskletStep",
    }
)
_BY_ID = "entity.by_id"
_STAGES = {"reader": "read_items", "processor": "process_item", "writer": "write_items"}
_NO_MAPPING = (PARAMETERS.keys() | {"missing", "overlap", "sweep"}) - {"entity", "references"}
"""Parameters that tell how items are read and sent, and not what their payloads are."""
_OPTIONAL = (
    ("reader", "counter", "count_items"),
    ("writer", "confirmer", "confirm_items"),
    ("writer", "archiver", "archive_items"),
    ("writer", "finder", "find_items"),
    ("writer", "fetcher", "fetch_items"),
    ("writer", "lister", "list_items"),
    ("writer", "forgetter", "forget_items"),
)


@attrs.frozen(kw_only=True)
class Stage:
    """One stage of a step: the plugin that serves it, and the hook as the step calls it."""

    plugin: str
    call: Callable[..., Any]


@attrs.frozen(kw_only=True)
class RunnableStep:
    """A step with every name resolved: an item step, or a tasklet if it has only ``run``."""

    key: str
    title: str
    services: Mapping[str, str]
    parameters: Mapping[str, Any]
    """As the job file gives them, and the entity that the connector exports where the step names none."""
    location: Location
    parameter_location: Callable[[str], Location] = attrs.field(repr=False)
    """Where a parameter stands in the job file."""
    known_parameters: frozenset[str] | None
    """Every parameter that the step understands; ``None`` if one of its plugins does not say."""
    references: tuple[Reference, ...] = ()
    """To which items of other steps its items refer."""
    wants_ids: bool = False
    """Whether ids are what the reader is for: then "everything" must be said, lest a lost filter export a whole table."""
    reader: Stage | None = None
    counter: Stage | None = None
    processor: Stage | None = None
    writer: Stage | None = None
    confirmer: Stage | None = None
    archiver: Stage | None = None
    finder: Stage | None = None
    fetcher: Stage | None = None
    lister: Stage | None = None
    forgetter: Stage | None = None
    run: Stage | None = None
    mapping: Mapping[str, Any] = attrs.field(factory=dict)
    """What turns entities into payloads: the processor, its distribution and source, the parameters that are not the
    engine's. JSON can spell it; parameters are digests."""

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The stages that it has, by their names here."""
        fields = (field.name for field in attrs.fields(RunnableStep))
        return {name: stage for name in fields if isinstance(stage := getattr(self, name), Stage)}

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plugins that serve the step, each once."""
        stages = (self.reader, self.processor, self.writer, self.run)
        return tuple(dict.fromkeys(stage.plugin for stage in stages if stage is not None))


@attrs.frozen(kw_only=True)
class RunnableJob:
    """A job of an integration, ready to run."""

    name: str
    title: str
    integration: str
    connector: str
    steps: tuple[RunnableStep, ...]
    settings: Any
    capabilities: Capabilities
    export_job: ExportJob


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
    steps = _Steps(config, plugins, export_job, capabilities, problems).all_of(definition)
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
    referring = {step.key: attrs.evolve(step, references=found.get(step.key, ())) for step in steps}
    return tuple(referring[key] for key in order if key in referring)


def unresolved(config: ProjectConfig, plugins: Plugins, definition: JobDefinition) -> list[Problem]:
    """What nothing provides of all that a job's steps name; for jobs that no integration uses, and nobody assembles."""
    problems: list[Problem] = []
    steps = _Steps(config, plugins, ExportJob(name=definition.name), Capabilities(), problems)
    for step in definition.steps:
        list(steps._stages(step))
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


class _Steps:
    """Resolves the names of one job's steps, and collects what does not resolve."""

    def __init__(
        self,
        config: ProjectConfig,
        plugins: Plugins,
        export_job: ExportJob,
        capabilities: Capabilities,
        problems: list[Problem],
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._export_job = export_job
        self._capabilities = capabilities
        self._problems = problems

    def all_of(self, definition: JobDefinition) -> tuple[RunnableStep, ...]:
        if definition.type != EXPORT:
            self._problem(
                f"job '{definition.name}' cannot be run",
                definition.location,
                found=f"type {definition.type}",
                expected=f"type {EXPORT}",
            )
        if not definition.steps:
            self._problem(f"job '{definition.name}' has no steps", definition.location)
        return tuple(step for each in definition.steps if (step := self._step(each)) is not None)

    def _step(self, step: StepDefinition) -> RunnableStep | None:
        before = len(self._problems)
        stages = dict(self._stages(step))
        resolved = len(self._problems) == before
        parameters = {engine_parameter(name) or name: value for name, value in step.parameters.items()}
        try:
            options_of(parameters, self._capabilities, step.parameter_location)
        except ConfigError as error:
            self._problems += error.problems
        if "writer" in stages:
            writer = stages["writer"].plugin
            self._problems += requirement_problems(
                parameters, writer, stages, self._capabilities, step.parameter_location
            )
        if not resolved:
            return None
        if "reader" in stages and self._export_job.entity is not None:
            parameters.setdefault("entity", self._export_job.entity)
        runnable = RunnableStep(
            key=step.key,
            title=step.title or step.key,
            services=step.services,
            parameters=parameters,
            location=step.location,
            parameter_location=step.parameter_location,
            known_parameters=self._known_parameters(stages, parameters),
            wants_ids="reader" in stages and self._plugins.record(stages["reader"].plugin).name == _BY_ID,
            mapping=self._mapping(stages, parameters),
            references=(),
            **stages,
        )
        self._problems += unknown_parameters(runnable, parameters, step.parameter_location)
        return runnable

    def _stages(self, step: StepDefinition) -> Iterator[tuple[str, Stage]]:
        kind = step.step_class or _ITEM
        meant = self._config.classes.get(kind, kind).removeprefix("\\")
        if meant not in _ITEM_ALIASES | _TASKLET_ALIASES:
            yield from self._stages_of_class(step, kind)
        elif "reader" not in step.services and len(step.services) == 1:
            role, service = next(iter(step.services.items()))
            yield from self._tasklet(
                step, service, f"service '{role}'", step.service_locations.get(role, step.location)
            )
        elif meant in _TASKLET_ALIASES:
            self._problem(
                f"step '{step.key}' is a tasklet",
                step.location,
                found=f"services: {', '.join(step.services) or 'none'}",
                expected="one service, that implements run_step",
            )
        else:
            yield from self._item_stages(step)

    def _stages_of_class(self, step: StepDefinition, kind: str) -> Iterator[tuple[str, Stage]]:
        before = len(self._problems)
        yield from self._tasklet(step, kind, "class", step.location)
        if len(self._problems) > before:
            # What the class would make of its services is not known, but those that are not there will be missed.
            for role, name in step.services.items():
                self._provider(step, name, role, step.service_locations.get(role, step.location))

    def _tasklet(self, step: StepDefinition, name: str, what: str, location: Location) -> Iterator[tuple[str, Stage]]:
        stage = self._stage(step, name, "run_step", what, location)
        if stage is not None:
            yield "run", stage

    def _item_stages(self, step: StepDefinition) -> Iterator[tuple[str, Stage]]:
        for role in sorted(_STAGES.keys() - step.services.keys()):
            self._problem(
                f"step '{step.key}' names no {role}",
                step.location,
                found=f"services: {', '.join(step.services) or 'none'}",
                expected="reader, processor and writer, or one service that implements run_step",
            )
        for role, name in step.services.items():
            location = step.service_locations.get(role, step.location)
            if role not in _STAGES:
                self._problem(
                    f"step '{step.key}': an item step has no service '{role}'",
                    location,
                    expected=", ".join(_STAGES),
                    hint=near_match(role, _STAGES),
                )
                continue
            stage = self._stage(step, name, _STAGES[role], role, location)
            if stage is not None:
                yield role, stage
                for owner, optional, hook in _OPTIONAL:
                    if role == owner and self._plugins.implements(stage.plugin, hook):
                        yield optional, Stage(plugin=stage.plugin, call=self._plugins.caller(hook, stage.plugin))

    def _stage(self, step: StepDefinition, name: str, hook: str, what: str, location: Location) -> Stage | None:
        plugin = self._provider(step, name, what, location)
        if plugin is None:
            return None
        try:
            return Stage(plugin=plugin, call=self._plugins.caller(hook, plugin))
        except ContraflowError as error:
            record = self._plugins.record(plugin)
            hooks = [f"{each} as a wrapper" if each in record.wrappers else each for each in record.hooks]
            self._problem(
                f"step '{step.key}': {what} '{name}' cannot serve: {error}",
                location,
                found=", ".join(hooks) or "no hook",
                expected=hook,
            )
            return None

    def _provider(self, step: StepDefinition, name: str, what: str, location: Location) -> str | None:
        """The plugin for which a name stands; ``None``, and noted, if nothing provides it."""
        section = "classes" if what == "class" else "services"
        plugin = self._config.classes.get(name, name) if what == "class" else name
        plugin = self._config.services.get(plugin, plugin)
        if plugin in self._plugins.names:
            return plugin
        found, hint = self._plugins.explain_missing(plugin)
        if plugin != name:
            found = f"'{plugin}', as the project file translates it: {found}"
        near = near_match(name, {_ITEM, _TASKLET, *self._config.classes}) if what == "class" else None
        self._problem(
            f"step '{step.key}': {what} '{name}' is not provided",
            location,
            found=found,
            expected=f"the name of a plugin, or one that `{section}` in the project file translates",
            hint=f"{near} {hint}" if near else hint,
        )
        return None

    def _known_parameters(self, stages: Mapping[str, Stage], parameters: Mapping[str, Any]) -> frozenset[str] | None:
        plugins = dict.fromkeys(stage.plugin for stage in stages.values())
        described = [self._plugins.parameters(plugin, parameters) for plugin in plugins]
        known = [each.keys() for each in described if each is not None]
        return frozenset(PARAMETERS).union(*known) if len(known) == len(described) else None

    def _mapping(self, stages: Mapping[str, Stage], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if "processor" not in stages:
            return {}
        plugin = stages["processor"].plugin
        mapped = {name: each for name, each in parameters.items() if name not in _NO_MAPPING}
        return {
            "processor": self._plugins.record(plugin).name,
            "version": self._plugins.record(plugin).distribution,
            "source": self._plugins.source_digest(plugin),
            "parameters": {name: _digest(each) for name, each in mapped.items()},
        }

    def _problem(
        self,
        message: str,
        location: Location,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self._problems.append(Problem(message=message, location=location, found=found, expected=expected, hint=hint))


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def unknown_parameters(
    step: RunnableStep, parameters: Mapping[str, Any], locate: Callable[[str], Location]
) -> Iterator[Problem]:
    """A problem for each parameter that the step does not understand."""
    if step.known_parameters is None:
        return
    for name in parameters:
        if name not in step.known_parameters:
            yield Problem(
                message=f"step '{step.key}' does not understand the parameter '{name}'",
                location=locate(name),
                expected=", ".join(sorted(step.known_parameters)),
                hint=near_match(name, step.known_parameters),
            )
