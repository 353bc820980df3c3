"""Before a run: see that a job's keys are still of the types by which the ledger knows its items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.engine.key_types import LOOKED_AT, KeyTypeChangedError, check_key_type
from contraflow.errors import Problem
from contraflow.ledger import Ledger, decode_key, encode_key
from contraflow_hookspecs import Item, Key

if TYPE_CHECKING:
    from contraflow.source import Source


def key_problems(job: RunnableJob, source: Source | None, ledger: Ledger) -> Iterator[Problem]:
    """A problem for each step that a run would refuse, since its keys are of another type than before.

    The columns' types are held against the ledger. Only where they differ, the first record is read: there are databases
    that keep text in a column of numbers.

    Raises:
        ContraflowError: The source or the ledger cannot be read.
    """
    for step in job.steps:
        stream = ledger.stream(integration=job.integration, job=job.name, step=step.key)
        if stream is None or step.reader is None or source is None:
            continue
        known = [decode_key(each.key) for each in ledger.known_keys(stream.id, after="", limit=LOOKED_AT)]
        shape = source.key_shape(step.parameters)
        if not known or shape is None or not _differ(known, shape.types):
            continue
        first = _first_key(job, step, source)
        if first is None:
            continue
        try:
            check_key_type(ledger, stream.id, encode_key(first), step.key)
        except KeyTypeChangedError as error:
            yield Problem(message=str(error), location=step.location)


def _differ(known: Sequence[Key], types: Sequence[type[Any] | None]) -> bool:
    if all(len(key) != len(types) for key in known):
        return True
    return any(
        kind is not None and all(type(key[place]) is not kind for key in known if len(key) == len(types))
        for place, kind in enumerate(types)
    )


def _first_key(job: RunnableJob, step: RunnableStep, source: Source) -> Key | None:
    parameters = {**step.parameters, "batch_size": 1}
    context = attrs.evolve(job.context(step, source, "check"), parameters=parameters, dry_run=True)
    if step.reader is None:
        return None
    items = iter(step.reader.call(context=context))
    try:
        first = next(items, None)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    return first.key if type(first) is Item else None
