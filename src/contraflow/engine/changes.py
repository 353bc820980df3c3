"""When a run may leave alone what did not change, and what it must look at all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

import attrs

from contraflow.engine.mapping import differences_of
from contraflow.engine.parents import Parents
from contraflow.engine.step_request import StepRequest
from contraflow.intervals import parse_interval
from contraflow.ledger import ItemStatus, Ledger, StreamState
from contraflow_hookspecs import IdFilter, Key, StepContext

_SWEEP = "7d"
_OPEN: Sequence[ItemStatus] = ("deferred", "rejected", "in_doubt", "gone", "conflict")


def why_everything(
    step: StepRequest, stream: StreamState | None, now: datetime, parents: Mapping[str, StreamState | None]
) -> str | None:
    """Why a run has to read all of its source, in words; ``None`` if what changed is enough.

    Args:
        step: What is asked of the step; not by id.
        stream: What is known of its items.
        now: The present moment.
        parents: What is known of the items of the steps to which the step's items refer.
    """
    if step.force or not step.filter.changed:
        return "everything was asked for"
    if stream is None or stream.cursor is None:
        return "nothing tells how far earlier runs have read"
    if stream.restored:
        return "the ledger was restored from an older copy"
    if differences := differences_of(stream.mapping, step.step.mapping):
        return f"the mapping changed: {differences}"
    if stream.swept is None:
        return "no run has read everything yet"
    for name, parent in parents.items():
        if parent is not None and parent.renumbered is not None and parent.renumbered > stream.swept:
            return f"records of step '{name}' have got other remote ids"
    sweep = step.parameters.get("sweep") or _SWEEP
    if sweep == "never":
        return None
    if stream.swept_at is None:
        return "nobody knows any more when a run last did"
    if (now - stream.swept_at).total_seconds() >= parse_interval(sweep):
        return f"the last run that did was {sweep} ago, or longer"
    return None


def from_cursor(step: StepRequest, ledger: Ledger, integration: str, job: str, now: datetime) -> StepRequest:
    """A step that reads only what changed, if that is enough; otherwise everything."""
    stream = ledger.stream(integration=integration, job=job, step=step.step.key)
    parents = {
        each.step: ledger.stream(integration=integration, job=each.job, step=each.step) for each in step.step.references
    }
    reason = why_everything(step, stream, now, parents)
    if reason is None and stream is not None:
        return attrs.evolve(step, cursor=stream.cursor)
    has_cursor = stream is not None and stream.cursor is not None
    return attrs.evolve(step, filter=IdFilter(), why_everything=reason if has_cursor else None)


def owed_keys(
    ledger: Ledger, stream_id: int, context: StepContext, page_size: int, parents: Parents | None
) -> Iterator[Sequence[Key]]:
    """Pages of the items that a run has to look at although it reads only what changed.

    Something is open with them, or they were sent without a parent that is there now.
    """
    if context.filter.ids is not None or not context.filter.changed:
        return
    for status in _OPEN:
        yield from pages(partial(ledger.open_items, stream_id, status, before=context.execution_id), page_size)
    for name, stream in () if parents is None else parents.optional():
        yield from pages(partial(ledger.orphans, stream_id, name, stream), page_size)


def pages(read: Callable[..., list[Key]], page_size: int) -> Iterator[Sequence[Key]]:
    """All that a query of the ledger finds, page by page, each page behind the last key of the page before."""
    after: Key | None = None
    while page := read(after=after, limit=page_size):
        yield page
        if len(page) < page_size:
            return
        after = page[-1]
