"""A temporary project for tests: source, connectors, jobs, ledger. Each run of it is as of a new process."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from contraflow.config import JobDefinition, load_configuration
from contraflow.plugins import Plugins
from contraflow.project import Project
from contraflow.workspace import utc_now
from contraflow_hookspecs import ExportJob, JobExecution

if TYPE_CHECKING:
    from contraflow.testing.recorder import Recorder
    from contraflow.testing.source import SourceTables


_log = logging.getLogger("contraflow.testing")


@attrs.define(eq=False)
class TemporaryProject:
    """A project in a directory of its own. What is installed beside contraflow is not looked for.

    Attributes:
        directory: Where it lies.
        source: Its source database.
        configuration: What stands in its project file, over what the fixtures put there.
        jobs: The jobs in its job file.
        now: The clock of its runs.
    """

    directory: Path
    source: SourceTables
    configuration: dict[str, Any] = attrs.field(factory=dict)
    jobs: dict[str, Any] = attrs.field(factory=dict)
    now: Callable[[], datetime] = utc_now
    _plugins: dict[str, object] = attrs.field(factory=dict)
    _integrations: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    _recorders: list[Recorder] = attrs.field(factory=list)
    _opened: list[Project] = attrs.field(factory=list)

    def configure(self, pieces: str | Mapping[str, Any]) -> None:
        """Put pieces into the project file: YAML text or a mapping; mappings are merged, anything else is replaced."""
        _merge(self.configuration, _mapping(pieces))

    def define(self, jobs: str | Mapping[str, Any]) -> None:
        """Put jobs into the project's job file: YAML text or a mapping."""
        self.jobs |= _mapping(jobs)

    def register(self, plugin: object, name: str | None = None) -> str:
        """Add a plugin, by the name that it has in job files; by default its module's.

        Returns:
            The name.
        """
        name = name or _name_of(plugin)
        self._plugins[name] = plugin
        return name

    def connect(
        self,
        connector: object,
        *,
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a connector and an integration with it, both under one name.

        Where neither the connector nor :meth:`define` defines its job, it is one step for each entity of the source.

        Args:
            connector: The plugin.
            name: Its name; by default its module's.
            settings: The integration's.
            parameters: Of each step of its jobs, over what is said there; not of a job that :meth:`define` defines.

        Returns:
            The name.
        """
        name = self.register(connector, name)
        self._integrations[name] = {
            "connector": name,
            "settings": dict(settings or {}),
            "parameters": dict(parameters or {}),
        }
        return name

    def record(self, recorder: Recorder) -> None:
        """Let a recorder see every hook call of the runs to come."""
        self._recorders.append(recorder)

    # Running

    def load(self) -> Project:
        """Write the files and load the project; it is closed at the end of the test."""
        plugins = Plugins(only={"contraflow"})
        for name, plugin in self._plugins.items():
            plugins.register(plugin, name, distribution="the test")
        for recorder in self._recorders:
            recorder.listen(plugins)
        self._write(plugins)
        written = load_configuration(self.directory)
        configuration = attrs.evolve(written, jobs={**self._brought_jobs(plugins), **written.jobs})
        project = Project(configuration, plugins=plugins, now=self.now)
        self._opened.append(project)
        return project

    def run(self, integration: str | None = None, **request: Any) -> JobExecution:
        """Run an integration's job as a new process would.

        Args:
            integration: Its name; the only one by default.
            **request: As :meth:`contraflow.Project.sync`; with neither ids nor ``everything``, everything is meant.

        Returns:
            The execution, also when it failed.
        """
        with self.load() as project:
            name = integration or self._only_one(project)
            if "ids" not in request:
                request.setdefault("everything", True)
            execution = project.sync(name, **request)
        for error in execution.errors:
            _log.warning("%s: %s", name, error)  # pytest shows it where an assertion fails
        return execution

    def close(self) -> None:
        """Close what was opened."""
        for project in self._opened:
            project.close()
        self.source.close()

    def _only_one(self, project: Project) -> str:
        names = list(project.config.integrations)
        if len(names) != 1:
            raise ValueError(f"the project has {len(names)} integrations ({', '.join(names)}): say which is to run")
        return names[0]

    def _write(self, plugins: Plugins) -> None:
        jobs = {**self._made_jobs(plugins), **self.jobs}
        project: dict[str, Any] = {
            "source": self.source.url,
            "ledger": "sqlite:///ledger.db",
            "entities": {name: {"table": name} for name in self.source.names},
            "integrations": {
                name: {key: each[key] for key in ("connector", "settings") if each[key]}
                for name, each in self._integrations.items()
            },
        }
        if jobs:
            project["jobs"] = ["jobs.yml"]
            (self.directory / "jobs.yml").write_text(_spelled(jobs), encoding="utf-8")
        _merge(project, self.configuration)
        (self.directory / "contraflow.yaml").write_text(_spelled(project), encoding="utf-8")

    def _brought_jobs(self, plugins: Plugins) -> dict[str, JobDefinition]:
        """The jobs that connectors bring, of those whose integration has parameters for them."""
        brought: dict[str, JobDefinition] = {}
        for name, integration in self._integrations.items():
            if not (parameters := integration["parameters"]):
                continue
            for job in plugins.export_jobs(name):
                for each, definition in plugins.definitions(name, job).items():
                    steps = [
                        attrs.evolve(step, parameters={**step.parameters, **parameters}) for step in definition.steps
                    ]
                    brought[each] = attrs.evolve(definition, steps=tuple(steps))
        return brought

    def _made_jobs(self, plugins: Plugins) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, integration in self._integrations.items():
            for job in plugins.export_jobs(name):
                if job.definition is None and job.name not in self.jobs:
                    made[job.name] = self._made_job(plugins, name, job, integration["parameters"])
        return made

    def _made_job(self, plugins: Plugins, name: str, job: ExportJob, parameters: Mapping[str, Any]) -> dict[str, Any]:
        reader = name if plugins.implements(name, "read_items") else "entity.all"
        services = {"reader": reader, "processor": name, "writer": name}
        entities: Sequence[str] = [job.entity] if job.entity else self.source.names
        steps = {each: {"services": services, "parameters": {"entity": each, **parameters}} for each in entities}
        return {"title": job.label or job.name, "type": "export", "steps": steps}


def _mapping(given: str | Mapping[str, Any]) -> Mapping[str, Any]:
    loaded = yaml.safe_load(given) if isinstance(given, str) else given
    if not isinstance(loaded, Mapping):
        raise TypeError(f"expected a mapping, or YAML text of one; found {type(loaded).__name__}")
    return loaded


class _InFull(yaml.SafeDumper):
    """Spells out what occurs twice: contraflow's files have no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is referred to."""
        return True


def _spelled(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_InFull, sort_keys=False, allow_unicode=True)


def _merge(into: dict[str, Any], pieces: Mapping[str, Any]) -> None:
    for name, value in pieces.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = dict(value) if isinstance(value, Mapping) else value


def _name_of(plugin: object) -> str:
    module = plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__name__
    return module.rpartition(".")[2].lower()
