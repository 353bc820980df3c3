"""``entity.all``: a whole entity in the order of its key; of a run that asks for ids, those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contraflow.readers.entity_parameters import PARAMETERS, check_entity_parameters, select_entity
from contraflow.readers.parameters import check_sentences
from contraflow.readers.reading import count_selection, read_selection
from contraflow_hookspecs import Item, StepContext, hookimpl

check = check_entity_parameters


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """``entity``, ``load``, ``batch_size``, ``missing``."""
    return PARAMETERS


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """What :func:`check` finds, as sentences."""
    return check_sentences(check, context)


@hookimpl
def count_items(context: StepContext) -> int:
    """The number of ids, or of rows."""
    return count_selection(select_entity(context.parameters, context.source), context)


@hookimpl
def read_items(context: StepContext) -> Iterable[Item]:
    """Mapped instances, detached and with the relations of ``load``; or the rows of a table."""
    return read_selection(select_entity(context.parameters, context.source), context)
