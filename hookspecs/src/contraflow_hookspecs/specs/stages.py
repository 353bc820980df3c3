"""The stages of a step: read, process and write, with the questions beside them, or the whole of a tasklet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contraflow_hookspecs.markers import hookspec
from contraflow_hookspecs.types import Change, Item, Skip, StepContext, WriteResult


@hookspec(firstresult=True)
def count_items(context: StepContext) -> int | None:
    """Optional, for readers. How many items ``read_items`` will yield, so that progress can be shown.

    Returns:
        The number, or ``None`` where counting is not worth its cost.

    Example:
        >>> @hookimpl
        ... def count_items(context):
        ...     return len(context.filter.ids) if context.filter.ids is not None else None
        >>> count_items(StepContext(integration="a", job="j", step="s", execution_id=1, filter=IdFilter(ids=((1,), (2,)))))
        2
    """


@hookspec(firstresult=True)
def read_items(context: StepContext) -> Iterable[Item]:  # type: ignore[empty-body]
    """The reader stage: yield the entities that ``context.filter`` asks for, one at a time, each key once.

    Stream: hold no more than a page in memory, and no transaction or cursor open across a ``yield``, since the remote is
    written between two items. In a steady order, so that ``context.checkpoint`` (the key of the last item that was
    settled) can be resumed from. Items are read until the iterable ends; ``0``, ``""`` and ``False`` are legal entities.

    Raises:
        SystemicError: The source cannot be read.
        ItemError: One entity cannot be read, with its key. Only an iterator that is not a generator can go on after it.

    Example:
        >>> @hookimpl
        ... def read_items(context):
        ...     for number in (1, 2, 3):
        ...         if context.filter.ids is None or (number,) in context.filter.ids:
        ...             yield Item(key=(number,), entity={"name": f"customer {number}"})
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1, filter=IdFilter(ids=((2,),)))
        >>> [item.data["name"] for item in read_items(context)]
        ['customer 2']
    """


@hookspec(firstresult=True)
def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:  # type: ignore[empty-body]
    """The processor stage: turn an entity into what the remote should hold.

    Called once for each item read, not for deletes. Pure: no I/O, and the same item gives the same payload, since the
    engine compares it with what was last sent.

    Returns:
        The payload: a mapping with text keys and values of text, bytes, numbers, booleans, ``None``, dates, times, UUIDs,
        enumerations, and lists and mappings of those. Or ``Skip``, and the item is *filtered*.

    Raises:
        ItemError: This item cannot be exported; it is rejected with the reason, and the run goes on.

    Example:
        >>> @hookimpl
        ... def process_item(item, context):
        ...     if not item.data["email"]:
        ...         return Skip(reason="no e-mail address")
        ...     return {"mail": item.data["email"].lower()}
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1)
        >>> process_item(item=Item(key=(7,), entity={"email": "Ana@Example.org"}), context=context)
        {'mail': 'ana@example.org'}
    """


@hookspec(firstresult=True)
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """The writer stage: bring a chunk of changes to the remote.

    Called once a chunk and once more for each new attempt, never with an empty chunk, never with more than
    ``Capabilities.max_batch`` changes, never with two of one key.

    Returns:
        Exactly one result for each change, matched by ``key``, in any order. A change without a result is in doubt.

    Raises:
        TransientError: Nothing of the chunk was carried out; later it may be.
        PermanentError: The remote refused the chunk as a whole.
        SystemicError: Nothing can be written until somebody acts.
        Exception: Any other leaves the whole chunk in doubt.

    Example:
        >>> @hookimpl
        ... def write_items(items, context):
        ...     results = []
        ...     for change in items:
        ...         context.resource[change.key] = change.payload
        ...         results.append(Written(key=change.key, action=Action.UPDATED, remote_id=f"acme-{change.key[0]}"))
        ...     return results
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1, resource={})
        >>> [result.remote_id for result in write_items(items=[Change(key=(7,), payload={"mail": "a@b"})], context=context)]
        ['acme-7']
    """


@hookspec(firstresult=True)
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Ask the remote what became of changes that are in doubt. Read-only; never part of a normal run.

    Returns:
        One result for each change: ``Written`` if it was carried out, ``Deferred`` if it surely was not, ``Unknown`` if the
        remote cannot say (also while it is only partly available).

    Example:
        >>> @hookimpl
        ... def confirm_items(items, context):
        ...     return [
        ...         Written(key=change.key, action=Action.UPDATED)
        ...         if context.resource.get(change.key) == change.payload
        ...         else Deferred(key=change.key, reason="not there")
        ...         for change in items
        ...     ]
    """


@hookspec(firstresult=True)
def run_step(context: StepContext) -> Mapping[str, int] | None:
    """The whole of a *tasklet* step: one that has no reader.

    Returns:
        Counters to show with the step, or ``None``.

    Raises:
        Exception: The step failed.

    Example:
        >>> @hookimpl
        ... def run_step(context):
        ...     return {"purged": 3}
    """
