"""Compare the remote with what it last confirmed: what others edited there, what is missing, what is not ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import attrs

from contraflow.assembly import RunnableJob, RunnableStep, Stage
from contraflow.contract import describe
from contraflow.engine.conflicts import edits_of
from contraflow.engine.fetching import Fetcher
from contraflow.engine.memory import Memory, previous_of
from contraflow.engine.rate import RateLimiter
from contraflow.engine.retry import Retries
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, HookContractError, Problem, near_match
from contraflow.ledger import ItemState, Ledger, decode_key, encode_key
from contraflow.options import StepOptions, options_of
from contraflow_hookspecs import (
    Change,
    Gone,
    ItemError,
    JobExecution,
    Key,
    PermanentError,
    RemoteItem,
    StepContext,
)

if TYPE_CHECKING:
    from contraflow.project import Project

SAMPLE = 1000
"""Items of a step that are compared, unless somebody says otherwise."""
_NOT_SUPPORTED = "not_supported"
_PAGE = 1000

Kind = Literal["edited", "missing", "extra"]


@attrs.frozen(kw_only=True)
class FieldDrift:
    """One field that somebody edited."""

    name: str
    confirmed: Any
    """What the remote last confirmed; ``None`` if the step does not remember payloads."""
    remote: Any


@attrs.frozen(kw_only=True)
class ItemDrift:
    """One record that is not as it was last confirmed."""

    job: str
    step: str
    kind: Kind
    key: Key | None
    """``None`` for a record that is not ours."""
    remote_id: str | None
    fields: tuple[FieldDrift, ...] = ()
    values_known: bool = False
    """Whether the ledger knows what was confirmed, and not only digests of it."""


@attrs.frozen(kw_only=True)
class StepDrift:
    """What the comparison of one step came to."""

    job: str
    step: str
    compared: int = 0
    edited: int = 0
    missing: int = 0
    extra: int | None = None
    """``None`` where the remote's records were not listed."""
    unread: int = 0
    """Records that the remote did not tell."""
    blind: bool = False
    """Whether nothing could be compared."""
    note: str = ""
    """Why something could not be compared."""


@attrs.frozen(kw_only=True)
class Drift:
    """What a comparison found."""

    integration: str
    sampled: bool
    steps: tuple[StepDrift, ...]
    items: tuple[ItemDrift, ...]
    repairs: tuple[JobExecution, ...] = ()
    """The runs that repaired it."""

    @property
    def found(self) -> bool:
        """Whether anything differs."""
        return bool(self.items)


def drift(
    project: Project,
    integration: str,
    *,
    job: str | None = None,
    step: str | None = None,
    sample: int | None = SAMPLE,
    repair: bool = False,
    wait: bool = False,
    stop: StopRequest | None = None,
) -> Drift:
    """Compare. Nothing is written anywhere, except to repair.

    Args:
        project: The project.
        integration: The integration's name.
        job: Only this job.
        step: Only this step.
        sample: How many items of each step are compared, chosen at random; ``None`` for all of them, and then also records
            are found that are not ours, where the connector can list them.
        repair: Let an ordinary run see to what was edited: the step's policy holds, and without one it is overwritten. What
            is missing is recorded as gone, and left to the next run, which makes it again only if the step says so.
        wait: Whether to wait while another process runs the job.
        stop: Set it to end early.

    Raises:
        ConfigError: There is no such integration, job or step, or its connector cannot read.
        ConnectorError: The remote cannot be asked.
        JobRunningError: To repair, the job must not run in another process.
    """
    stop = stop if stop is not None else StopRequest()
    configured = project.integration(integration)
    names = project.job_names(configured) if job is None else (project.job_name(configured, job),)
    jobs = [project.assemble(configured, name) for name in names]
    known = [each.key for runnable in jobs for each in runnable.steps]
    if step is not None and step not in known:
        raise ConfigError(
            Problem(
                message=f"integration '{integration}' has no step '{step}'",
                expected=", ".join(known),
                hint=near_match(step, known),
            )
        )
    steps: list[StepDrift] = []
    items: list[ItemDrift] = []
    repairs: list[JobExecution] = []
    for runnable in jobs:
        with runnable.open_resource() as resource:
            for each in runnable.steps:
                if each.writer is None or step not in (None, each.key):
                    continue
                summary, drifted = _Audit(project, runnable, each, resource, stop).run(sample)
                steps.append(summary)
                items += drifted
    if all(each.blind for each in steps):
        raise ConfigError(*(Problem(message=f"step '{each.step}' of job '{each.job}': {each.note}") for each in steps))
    if repair:
        repairs += _repair(project, integration, items, wait=wait, stop=stop)
    return Drift(
        integration=integration,
        sampled=sample is not None,
        steps=tuple(steps),
        items=tuple(items),
        repairs=tuple(repairs),
    )


@attrs.define
class _Audit:
    """The comparison of one step."""

    project: Project
    job: RunnableJob
    step: RunnableStep
    resource: Any
    stop: StopRequest
    _options: StepOptions = attrs.field(init=False)
    _context: StepContext = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        job, step = self.job, self.step
        self._options = options_of(step.parameters, job.capabilities, step.parameter_location)
        self._context = StepContext(
            integration=job.integration,
            job=job.name,
            step=step.key,
            execution_id=0,
            parameters=step.parameters,
            services=step.services,
            settings=job.settings,
            resource=self.resource,
            source=self.project.source,
            dry_run=True,
            logger=logging.getLogger(f"contraflow.drift.{job.integration}.{step.key}"),
        )

    def run(self, sample: int | None) -> tuple[StepDrift, list[ItemDrift]]:
        summary = StepDrift(job=self.job.name, step=self.step.key)
        if self.step.fetcher is None:
            return attrs.evolve(summary, blind=True, note="its connector cannot read the remote (no fetch_items)"), []
        ledger = self.project.existing_ledger()
        names = {"integration": self.job.integration, "job": self.job.name, "step": self.step.key}
        stream = None if ledger is None else ledger.stream(**names)
        if ledger is None or stream is None:
            return attrs.evolve(summary, note="nothing was sent yet"), []
        comparison = _Comparison(
            ledger=ledger,
            stream_id=stream.id,
            memory=Memory(ledger.id),
            fetcher=self._fetcher(self.step.fetcher),
            names=(self.job.name, self.step.key),
        )
        drifted: list[ItemDrift] = []
        try:
            for page in self._pages(ledger, stream.id, sample):
                unread, found = comparison.compare(page)
                summary = attrs.evolve(
                    summary, compared=summary.compared + len(page) - unread, unread=summary.unread + unread
                )
                drifted += found
        except PermanentError as error:
            if error.code != _NOT_SUPPORTED:
                raise
            return attrs.evolve(summary, blind=True, note=error.reason), []
        if sample is None:
            extra, note = self._extra(ledger, stream.id)
            summary = attrs.evolve(summary, extra=None if extra is None else len(extra), note=note)
            drifted += extra or ()
        edited = sum(each.kind == "edited" for each in drifted)
        missing = sum(each.kind == "missing" for each in drifted)
        return attrs.evolve(summary, edited=edited, missing=missing), drifted

    def _fetcher(self, stage: Stage) -> Fetcher:
        return Fetcher(
            stage=stage,
            context=self._context,
            before=RateLimiter(rate=self._options.rate, stop=self.stop).wait,
            retries=Retries(policy=self._options.retry, stop=self.stop),
            stop=self.stop,
        )

    def _pages(self, ledger: Ledger, stream_id: int, sample: int | None) -> Iterator[Sequence[ItemState]]:
        size = self._options.batch_size
        pages = ledger.confirmed_items(stream_id) if sample is None else [ledger.sampled_items(stream_id, sample)]
        for page in pages:
            for start in range(0, len(page), size):
                yield page[start : start + size]

    def _extra(self, ledger: Ledger, stream_id: int) -> tuple[list[ItemDrift] | None, str]:
        """Records that are not ours; ``None`` and why, if the remote does not list them."""
        lister = self.step.lister
        if lister is None:
            return None, "its connector cannot list the remote (no list_items)"
        known = set(ledger.remote_ids(stream_id))
        extra: list[ItemDrift] = []
        try:
            listed = iter(lister.call(context=self._context))
            while page := list(islice(listed, _PAGE)):
                for each in page:
                    if not isinstance(each, RemoteItem):
                        raise HookContractError(lister.plugin, "list_items", describe(each), "RemoteItem")
                extra += [
                    ItemDrift(job=self.job.name, step=self.step.key, kind="extra", key=None, remote_id=each.remote_id)
                    for each in _strangers(ledger, stream_id, page, known)
                ]
        except PermanentError as error:
            if error.code != _NOT_SUPPORTED:
                raise
            return None, error.reason
        return extra, ""


def _strangers(ledger: Ledger, stream_id: int, page: Sequence[RemoteItem], known: set[str]) -> list[RemoteItem]:
    left = [each for each in page if each.remote_id not in known]
    keys = {encode_key(each.key) for each in left if each.key is not None}
    ours = ledger.item_states(stream_id, sorted(keys))
    return [each for each in left if each.key is None or encode_key(each.key) not in ours]


@attrs.frozen(kw_only=True)
class _Comparison:
    """Holds items against what the remote has of them."""

    ledger: Ledger
    stream_id: int
    memory: Memory
    fetcher: Fetcher
    names: tuple[str, str]

    def compare(self, states: Sequence[ItemState]) -> tuple[int, list[ItemDrift]]:
        """How many could not be read, and those that differ."""
        found = self.fetcher.fetch([_change(state) for state in states])
        drifted: dict[str, ItemDrift] = {}
        for state in states:
            record = found.get(decode_key(state.key))
            if isinstance(record, Gone):
                drifted[state.key] = self._drifted(state, "missing")
            elif record is not None and (fields := self._edited(state, record)):
                drifted[state.key] = self._drifted(state, "edited", fields)
        if drifted:
            self._forget_moving({state.key: state for state in states}, drifted)
        return len(states) - len(found), list(drifted.values())

    def _forget_moving(self, states: Mapping[str, ItemState], drifted: dict[str, ItemDrift]) -> None:
        """A run may have changed a record between our look at the ledger and that at the remote."""
        now = self.ledger.item_states(self.stream_id, list(drifted))
        sent = {item.key for intent in self.ledger.intents(self.stream_id) for item in intent.items}
        for key in list(drifted):
            if now.get(key) != states[key] or key in sent:
                del drifted[key]

    def _edited(self, state: ItemState, record: RemoteItem) -> tuple[FieldDrift, ...]:
        if state.digests is None:
            return ()  # nobody can say what was confirmed
        try:
            edits = edits_of(state, (), record, self.memory)
        except ItemError as error:
            plugin = self.fetcher.stage.plugin
            raise HookContractError(plugin, "fetch_items", error.reason, "values as process_item gives them") from error
        before = previous_of(state) or {}
        return tuple(
            FieldDrift(name=name, confirmed=before.get(name), remote=edits.remote[name])
            for name in sorted(edits.changed)
        )

    def _drifted(self, state: ItemState, kind: Kind, fields: tuple[FieldDrift, ...] = ()) -> ItemDrift:
        job, step = self.names
        return ItemDrift(
            job=job,
            step=step,
            kind=kind,
            key=decode_key(state.key),
            remote_id=state.remote_id,
            fields=fields,
            values_known=state.payload is not None,
        )


def _change(state: ItemState) -> Change:
    return Change(
        key=decode_key(state.key),
        previous=previous_of(state),
        remote_id=state.remote_id,
        remote_version=state.remote_version,
    )


def _repair(
    project: Project, integration: str, drifted: Sequence[ItemDrift], *, wait: bool, stop: StopRequest
) -> Iterator[JobExecution]:
    """Make what was edited due, let ordinary runs of just those items see to it, and record what is gone."""
    for job, step in dict.fromkeys((each.job, each.step) for each in drifted):
        mine = [each for each in drifted if (each.job, each.step) == (job, step)]
        edited = [each.key for each in mine if each.kind == "edited" and each.key is not None]
        missing = [each.key for each in mine if each.kind == "missing" and each.key is not None]
        names = {"job": job, "step": step}
        project.note_drift(integration, **names, edited=edited, missing=missing, wait=wait, stop=stop)
        if edited:
            yield project.sync(integration, job=job, steps=(step,), ids=edited, wait=wait, stop=stop)
