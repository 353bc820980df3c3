"""What the three readers have in common: choosing between ids and key order, and counting."""

from __future__ import annotations

from collections.abc import Iterator

from contraflow.readers.ids import read_by_ids, remaining
from contraflow.readers.keyset import count, read_in_key_order
from contraflow.readers.parameters import paging_parameters
from contraflow.source.selection import Selection
from contraflow_hookspecs import Item, StepContext


def read_selection(selection: Selection, context: StepContext) -> Iterator[Item]:
    """The items of a selection that the context's filter asks for, behind its checkpoint.

    Raises:
        ConfigError: A parameter has a value that means nothing.
        SystemicError: The database cannot be read, or a key is none.
    """
    paging = paging_parameters(context.parameters)
    ids = context.filter.ids
    if ids is None:
        return read_in_key_order(context.source, selection, context.checkpoint, paging.batch_size)
    return read_by_ids(
        context.source,
        selection,
        remaining(ids, context.checkpoint),
        page_size=paging.batch_size,
        missing=paging.missing,
        logger=context.logger,
    )


def count_selection(selection: Selection, context: StepContext) -> int:
    """How many items :func:`read_selection` will yield, if nothing changes and no id is missing.

    Raises:
        SystemicError: The database cannot be read.
    """
    if context.filter.ids is not None:
        return len(remaining(context.filter.ids, context.checkpoint))
    return count(context.source, selection, context.checkpoint)
