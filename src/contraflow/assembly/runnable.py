"""What comes out of assembly: jobs, steps and stages of which every name is resolved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import attrs

from contraflow.errors import Location, Problem, near_match
from contraflow.event_loop import EventLoop
from contraflow.references import Reference, Referrer
from contraflow_hookspecs import Capabilities, ExportJob, StepContext


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
    referrers: tuple[Referrer, ...] = ()
    """The steps whose items refer to its own."""
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
    event_loop: EventLoop = attrs.field(repr=False)
    """Where an asynchronous resource is opened, used and closed."""

    def open_resource(self) -> AbstractContextManager[Any]:
        """Open what the connector shares among its stages; ``None`` where it shares nothing. The ``with`` closes it."""
        opener = self.export_job.open_resources
        return nullcontext() if opener is None else self.event_loop.opened(opener(self.settings))

    def context(self, step: RunnableStep, source: Any, purpose: str) -> StepContext:
        """What a step's stages may know where no execution is on record, with the parameters of the job file.

        Args:
            step: One of the job's.
            source: The project's source database.
            purpose: What it is for: a part of the logger's name.
        """
        return StepContext(
            integration=self.integration,
            job=self.name,
            step=step.key,
            execution_id=0,
            parameters=step.parameters,
            services=step.services,
            settings=self.settings,
            source=source,
            logger=logging.getLogger(f"contraflow.{purpose}.{self.integration}.{step.key}"),
        )


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
