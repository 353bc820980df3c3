"""A project that is open: its configuration, its plugins, its source database, its ledger, and its jobs, ready to run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from contraflow.assembly import RunnableJob
from contraflow.config import Configuration, IntegrationConfig, JobDefinition, load_configuration
from contraflow.errors import RestoredLedgerError
from contraflow.jobs import JobOverview, Jobs
from contraflow.plugins import Plugins
from contraflow.records import Records
from contraflow.redaction import Redactor
from contraflow_hookspecs import Key

if TYPE_CHECKING:
    from contraflow.engine.promise import Promise
    from contraflow.ledger import Ledger
    from contraflow.source import Source


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


class Workspace(Records):
    """What a project has; the arguments are those of :class:`~contraflow.project.Project`. Close it, or use ``with``."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        plugins: Plugins | None = None,
        redact: Redactor | None = None,
        now: Callable[[], datetime] = utc_now,
        lease_lifetime: float = 30.0,
    ) -> None:
        self.config = config = configuration.project
        self.redact = redact if redact is not None else Redactor()
        self.redact.add(config.secrets)
        self._now = now
        self.lease_lifetime = lease_lifetime
        self._source: Source | None = None
        self._ledger: Ledger | None = None
        # The project's own modules (mapped classes, connectors) lie beside its file.
        if str(config.directory) not in sys.path:
            sys.path.insert(0, str(config.directory))
        self.plugins = plugins if plugins is not None else Plugins(disabled=config.disabled_plugins)
        for name, module in config.plugins.items():
            self.plugins.register_module(name, module, distribution=f"{config.path.name}, plugins")
        self._jobs = Jobs(config=config, own=configuration.jobs, plugins=self.plugins, redact=self.redact)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        environ: Mapping[str, str] = os.environ,
        plugins: Plugins | None = None,
        redact: Redactor | None = None,
    ) -> Self:
        """Load a project.

        Args:
            path: The project file, or the directory in which it lies as ``contraflow.yaml``.
            environ: Where ``${NAME}`` is looked up.
            plugins: The plugins to use; ``None`` discovers what is installed.
            redact: Learns the project's secrets; ``None`` makes a new one.

        Raises:
            ConfigError: With every problem found.
        """
        return cls(load_configuration(path, environ=environ), plugins=plugins, redact=redact)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections to source and ledger, and end the event loop of connectors that have one."""
        for opened in (self._source, self._ledger):
            if opened is not None:
                opened.close()
        self._source = self._ledger = None
        self.plugins.close()

    # What there is

    @property
    def source(self) -> Source | None:
        """The source database; ``None`` if the project names none. Not connected before it is needed."""
        if self._source is None and self.config.source is not None:
            from contraflow.source import EntitySpec, Source

            entities = {
                name: EntitySpec(
                    name=name,
                    mapped=entity.mapped,
                    table=entity.table,
                    schema=entity.schema,
                    key=entity.key or None,
                    location=entity.location,
                )
                for name, entity in self.config.entities.items()
            }
            self._source = Source(self.config.source, entities, directory=self.config.directory)
        return self._source

    def ledger(self, *, create: bool = True) -> Ledger:
        """The ledger, opened and brought up to date.

        Args:
            create: Whether to make it where there is none.

        Raises:
            LedgerError: It cannot be opened, trusted or written.
            RestoredLedgerError: It is older than this project has seen it.
        """
        if self._ledger is None:
            from contraflow.ledger import open_ledger

            ledger = open_ledger(self.config.ledger, create=create, witness=self._witnesses)
            try:
                found = ledger.contradiction()
                if found is not None:
                    raise RestoredLedgerError(ledger.display_url, found)
            except BaseException:
                ledger.close()
                raise
            self._ledger = ledger
        return self._ledger

    @property
    def _witnesses(self) -> Path:
        """Where is remembered how far the ledger had come: not beside the ledger, which may be restored with its folder."""
        return self.config.directory / ".contraflow"

    # Its jobs

    @property
    def definitions(self) -> Mapping[str, JobDefinition]:
        """Every job that is defined: by the connectors that are in use, and, with precedence, by the project's job files.

        A connector that fails to say what it brings is passed over: that is the trouble of its own integrations alone.
        """
        return self._jobs.definitions

    def integration(self, name: str) -> IntegrationConfig:
        """The integration of this name.

        Raises:
            ConfigError: There is none.
        """
        return self._jobs.integration(name)

    def jobs(self) -> Sequence[JobOverview]:
        """Every job of every integration, in the order of the project file."""
        return self._jobs.overviews()

    def job_names(self, integration: IntegrationConfig) -> tuple[str, ...]:
        """The names of an integration's jobs, in order.

        Raises:
            ConfigError: Its connector is not provided, or there is no job.
        """
        return self._jobs.names(integration)

    def job_name(self, integration: IntegrationConfig, wanted: str | None = None) -> str:
        """The name of the integration's job that is meant: the wanted one, or its only one.

        Raises:
            ConfigError: There is none of that name, or there are several.
        """
        return self._jobs.name(integration, wanted)

    def assemble(self, integration: IntegrationConfig, job: str) -> RunnableJob:
        """Make one job runnable, and learn its secrets.

        Raises:
            ConfigError: With every problem found.
        """
        return self._jobs.assemble(integration, job)

    def definitions_for(self, integration: IntegrationConfig) -> Mapping[str, JobDefinition]:
        """Every job that is defined, for an integration whose connector must be able to say what it brings."""
        return self._jobs.definitions_for(integration)

    def item_keys(self, integration: str, job: str, step: str, ids: Any) -> tuple[Key, ...]:
        """Read ids as a step of a job does.

        Raises:
            ConfigError: There is no such step, or an id has another shape than the key.
        """
        from contraflow.engine.request import RunRequest, step_requests

        runnable = self.assemble(self.integration(integration), job)
        (request,) = step_requests(runnable, RunRequest(ids=ids, steps=(step,)), self.source)
        return request.filter.ids or ()

    def promise(self, job: RunnableJob, *, step: str | None = None) -> Sequence[Promise]:
        """What a job, or one step of it, promises when something goes wrong; several promises where its steps differ."""
        from contraflow.engine.promise import promise_of

        steps = (each for each in job.steps if each.writer is not None and step in (None, each.key))
        found = (promise_of(job.capabilities, each.parameters.get("in_doubt")) for each in steps)
        return tuple(dict.fromkeys(found))
