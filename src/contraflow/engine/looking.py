"""Read one entity, process it and compare it, and write nothing: what the next run would make of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from datetime import datetime
from typing import Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.engine.chunk import Chunk
from contraflow.engine.comparison import Comparison
from contraflow.engine.memory import Memory
from contraflow.engine.preparation import Preparation
from contraflow.engine.prepared import Prepared, removal
from contraflow.engine.processing import Processing
from contraflow.engine.promise import Promise, promise_of
from contraflow.engine.standing import is_ours
from contraflow.ledger import Ledger, decode_key, encode_key
from contraflow.options import StepOptions
from contraflow_hookspecs import Item, Operation, Skip, StepContext

_NO_STREAM = -1


@attrs.frozen(kw_only=True)
class Seen:
    """What the next run would make of an entity."""

    outcome: str
    """``create``, ``update``, ``delete``, ``unchanged``, ``filtered``, ``rejected``, ``missing``, or another outcome by
    which an item is not sent, such as ``deferred``."""
    reason: str = ""
    """Why it is not sent; of a removal, what it waits for."""
    refused_before: bool = False
    """Whether it was the remote that refused just this."""
    changed: frozenset[str] | None = None
    """The fields that differ; ``None`` where nobody can say, or nothing is to be sent."""


def look(
    job: RunnableJob,
    step: RunnableStep,
    options: StepOptions,
    context: StepContext,
    ledger: Ledger | None,
    stream_id: int | None,
    *,
    explain: Callable[[BaseException, object], str | None],
    now: Callable[[], datetime],
) -> Seen:
    """Look at the one entity that ``context.filter`` names, as the next run does that reads all that the step reads.

    Args:
        job: The step's job.
        step: The step.
        options: Its parameters, read.
        context: What its reader and processor may know.
        ledger: Where the item's state is; ``None`` if nothing ever ran.
        stream_id: The ledger's number of the step; ``None`` before its first run.
        explain: Turns an exception of the processor into words, where it knows better.
        now: The clock.

    Raises:
        ContraflowError: A stage fails.
        ConnectorError: The same, as its plugin tells it.
    """
    assert step.reader is not None and step.processor is not None  # noqa: S101, PT018 - an item step has both
    skipped: list[Skip] = []

    def filtered(item: Item, skip: Skip, context: Any) -> None:
        skipped.append(skip)

    context = attrs.evolve(context, dry_run=True)
    preparation = Preparation(
        read=step.reader.call,
        reader=step.reader.plugin,
        processing=Processing(
            process=step.processor.call,
            processor=step.processor.plugin,
            context=context,
            can_delete=job.capabilities.delete,
            removal=options.missing,
            filtered=filtered,
            explain=explain,
            forgotten=None if ledger is None or stream_id is None else ledger.forgotten(stream_id),
        ),
        context=context,
    )
    if ledger is None:
        with closing(iter(preparation)) as items:
            for item in items:
                return _new(item, skipped)
        return Seen(outcome="missing")
    comparison = Comparison(
        ledger=ledger,
        stream_id=_NO_STREAM if stream_id is None else stream_id,
        identity=(ledger.id, context.integration, context.job, context.step),
        page_size=1,
        chunk_size=1,
        memory=Memory(ledger.id),
        now=now,
        filtered=options.filtered,
        resurrect=options.resurrect,
        settles_conflicts=options.conflicts is not None,
        resend_held=promise_of(job.capabilities, options.in_doubt) is Promise.AT_LEAST_ONCE,
    )
    with closing(comparison.chunks(_with_removal(preparation, comparison, options))) as chunks:
        for chunk in chunks:
            return _seen(chunk, skipped)
    return Seen(outcome="missing")


def _with_removal(
    preparation: Preparation, comparison: Comparison, options: StepOptions
) -> Generator[Prepared, None, None]:
    """What is read; of what is not there its removal, if there is anything of ours to remove."""
    ids = preparation.context.filter.ids or ()
    ours = {
        key
        for key, state in comparison.ledger.item_states(comparison.stream_id, list(map(encode_key, ids))).items()
        if is_ours(state)
    }
    found = False
    with closing(iter(preparation)) as items:
        for item in items:
            if item.operation is Operation.UPSERT or item.key_text in ours:
                found = True
                yield item
    if not found and options.deletions is not None:
        yield from (removal(decode_key(key), key, options.deletions) for key in ours)


def _new(item: Prepared, skipped: list[Skip]) -> Seen:
    """Of an item of which nothing can be known."""
    if skipped:
        return Seen(outcome="filtered", reason=skipped[0].reason)
    if item.rejected is not None:
        return Seen(outcome="rejected", reason=f"{item.rejected.code}: {item.rejected.reason}")
    return Seen(outcome="create" if item.operation is Operation.UPSERT else "missing")


def _seen(chunk: Chunk, skipped: list[Skip]) -> Seen:
    for intended in chunk.intended.values():
        if intended.change.operation is Operation.DELETE:
            return Seen(outcome="delete")
        known = intended.prior is not None and intended.prior.fingerprint is not None
        return Seen(outcome="update" if known else "create", changed=intended.change.changed)
    if skipped:
        return Seen(outcome="filtered", reason=skipped[0].reason)
    if chunk.rejected:
        rejected = chunk.rejected[0].rejected
        return Seen(outcome="rejected", reason=f"{rejected.code}: {rejected.reason}")
    if chunk.aside:
        outcome, _, reason = chunk.aside[0]
        return Seen(outcome=outcome, reason=reason, refused_before=outcome == "rejected")
    outcomes = [name for name, number in chunk.counts.items() if number]
    return Seen(outcome=outcomes[0] if outcomes else "unchanged")
