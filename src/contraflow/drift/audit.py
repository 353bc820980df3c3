"""Compare the items of one step with the remote, page by page, and list what is there and not ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep, Stage
from contraflow.contract import describe
from contraflow.drift.comparison import RemoteComparison
from contraflow.drift.found import ItemDrift, StepDrift
from contraflow.engine.fetching import Fetcher
from contraflow.engine.memory import Memory
from contraflow.engine.rate import RateLimiter
from contraflow.engine.retry import Retries
from contraflow.engine.stopping import StopRequest
from contraflow.errors import HookContractError
from contraflow.ledger import ItemState, Ledger, encode_key
from contraflow.options import StepOptions, options_of
from contraflow_hookspecs import PermanentError, RemoteItem, StepContext

if TYPE_CHECKING:
    from contraflow.workspace import Workspace

_NOT_SUPPORTED = "not_supported"
_PAGE = 1000


@attrs.define
class Audit:
    """The comparison of one step.

    Args:
        project: The project.
        job: The step's job.
        step: The step.
        resource: The job's, open.
        stop: Ends it early.
    """

    project: Workspace
    job: RunnableJob
    step: RunnableStep
    resource: Any
    stop: StopRequest
    _options: StepOptions = attrs.field(init=False)
    _context: StepContext = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        job, step = self.job, self.step
        self._options = options_of(step.parameters, job.capabilities, step.parameter_location)
        context = job.context(step, self.project.source, "drift")
        self._context = attrs.evolve(context, resource=self.resource, dry_run=True)

    def run(self, sample: int | None) -> tuple[StepDrift, list[ItemDrift]]:
        """Compare so many items at random, or all, and then also what is not ours: the sum, and what differs."""
        summary = StepDrift(job=self.job.name, step=self.step.key)
        if self.step.fetcher is None:
            return attrs.evolve(summary, blind=True, note="its connector cannot read the remote (no fetch_items)"), []
        ledger = self.project.existing_ledger()
        names = {"integration": self.job.integration, "job": self.job.name, "step": self.step.key}
        stream = None if ledger is None else ledger.stream(**names)
        if ledger is None or stream is None:
            return attrs.evolve(summary, note="nothing was sent yet"), []
        comparison = RemoteComparison(
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
