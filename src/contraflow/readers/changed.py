"""``entity.changed``: of a large entity only what changed, found by a column that grows with every change.

A run reads from where the last complete one had come to, less the overlap, in the order of that column and the key. What
such a column cannot tell (a commit that is later than the overlap, a change that left it alone, a deleted row) is found by a
sweep: the run that is due reads everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from contraflow.errors import ConfigError, Location, Problem, SourceError, near_match
from contraflow.intervals import EXPECTED, parse_interval
from contraflow.ledger import decode_key
from contraflow.readers.cursor_index import missing_index
from contraflow.readers.cursor_order import CursorOrder
from contraflow.readers.cursor_values import has_overlap, is_temporal, reaching_back
from contraflow.readers.entity_parameters import PARAMETERS, check_entity_parameters, select_entity
from contraflow.readers.ids import read_by_ids, remaining
from contraflow.readers.parameters import Missing, check_sentences, paging_parameters
from contraflow.source import Source
from contraflow.source.selection import Selection
from contraflow_hookspecs import Advice, Item, Key, StepContext, SystemicError, hookimpl

_OVERLAP = 600.0
_PARAMETERS: Mapping[str, str] = {
    **PARAMETERS,
    "cursor": "the column that grows with every change of a row: a moment, a number, any type that has an order",
    "overlap": "how far behind the cursor a run begins to read: seconds or 10min, 2h; units of a number (default 600)",
    "sweep": "how often a run reads everything: 12h, 7d (the default), or never",
}


@attrs.frozen(kw_only=True)
class _Reading:
    order: CursorOrder
    overlap: float

    def since(self, context: StepContext) -> Any:
        """The cursor value from which a run reads; ``None`` for the beginning."""
        reached = self.reached(context)
        if reached is None or not context.filter.changed:
            return None
        return reaching_back(reached, self.overlap, temporal=is_temporal(self.order.column))

    def reached(self, context: StepContext) -> Any:
        """The cursor value that earlier runs have reached."""
        return self.order.since_of(_position(context.cursor))


def _position(cursor: str | None) -> Key | None:
    try:
        return None if cursor is None else decode_key(cursor)
    except ValueError:
        return None


def _reading(parameters: Mapping[str, Any], source: Source, location: Location | None = None) -> _Reading:
    """What the parameters describe.

    Raises:
        ConfigError: They describe nothing that exists.
        SourceError: The database cannot be reached.
    """
    place = location or Location()
    selection = select_entity(parameters, source, location)
    entity = source.entity(str(parameters["entity"]))
    name = parameters.get("cursor")
    column = None if name is None else entity.column(str(name))
    if column is None:
        known = tuple(entity.columns)
        message = "the step names no cursor column" if name is None else f"{selection.label} has no column '{name}'"
        hint = None if name is None else near_match(str(name), known)
        expected = None if hint else f"parameter `cursor`, one of {', '.join(known)}"
        raise ConfigError(Problem(message=message, location=place, expected=expected, hint=hint))
    return _Reading(
        order=CursorOrder(
            source=source,
            selection=selection,
            column=column,
            name=f"{entity.name}.{name}",
            nullable=entity.is_nullable(column),
            page_size=paging_parameters(parameters, location).batch_size,
        ),
        overlap=_overlap(parameters, column, place),
    )


def _overlap(parameters: Mapping[str, Any], column: sa.ColumnElement[Any], location: Location) -> float:
    given = parameters.get("overlap")
    if given is None:
        return _OVERLAP
    try:
        overlap = parse_interval(given)
    except ValueError:
        raise ConfigError(
            Problem(message="`overlap` is no length", location=location, found=repr(given), expected=EXPECTED)
        ) from None
    if overlap and not has_overlap(column):
        raise ConfigError(
            Problem(
                message=f"`overlap` means nothing with the cursor column '{column.name}'",
                location=location,
                found=f"a column of type {column.type}",
                expected="moments, days or numbers; or `overlap: 0`",
            )
        )
    return overlap


def check(parameters: Mapping[str, Any], source: Source, location: Location) -> list[Problem]:
    """Everything that is wrong with the parameters; needs the database.

    Raises:
        SourceError: The database cannot be reached.
    """
    problems = check_entity_parameters(parameters, source, location)
    if problems:
        return problems
    try:
        _reading(parameters, source, location)
    except ConfigError as error:
        problems += error.problems
    sweep = parameters.get("sweep")
    if sweep not in (None, "never"):
        try:
            parse_interval(sweep)
        except ValueError:
            problems.append(
                Problem(
                    message="`sweep` is no length of time",
                    location=location,
                    found=repr(sweep),
                    expected=f"{EXPECTED}; or never",
                    hint=near_match(str(sweep), ("never",)),
                )
            )
    return problems


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """Those of the entity readers, and ``cursor``, ``overlap``, ``sweep``."""
    return _PARAMETERS


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """What :func:`check` finds, as sentences; and, as advice, the index that would be needed."""
    found = check_sentences(check, context)
    if found:
        return found
    statement = missing_index(
        context.source, context.source.entity(str(context.parameters["entity"])), str(context.parameters["cursor"])
    )
    if statement is None:
        return []
    return [
        Advice(
            f"no index begins with the cursor column '{context.parameters['cursor']}', so each page is found by sorting "
            f"the table: {statement}"
        )
    ]


@hookimpl
def count_items(context: StepContext) -> int:
    """The number of ids, or of the rows that are to be read."""
    if context.filter.ids is not None:
        return len(remaining(context.filter.ids, context.checkpoint))
    reading = _reading(context.parameters, context.source)
    order, since = reading.order, reading.since(context)
    counted = order.selection.statement.with_only_columns(sa.func.count(), maintain_column_froms=True)
    try:
        return int(context.source.rows(counted if since is None else counted.where(order.within(since)))[0][0])
    except SourceError as error:
        raise SystemicError(str(error)) from error


@hookimpl
def read_items(context: StepContext) -> Iterable[Item]:
    """What may have changed since the context's cursor; everything where its filter does not say ``changed``; or ids."""
    reading = _reading(context.parameters, context.source)
    since = reading.since(context)
    if context.filter.ids is None:
        return reading.order.read(context.checkpoint, since, reading.reached(context))
    if context.filter.changed:
        return _owed(reading, context.filter.ids, since, context)
    paging = paging_parameters(context.parameters)
    return read_by_ids(
        context.source,
        reading.order.selection,
        remaining(context.filter.ids, context.checkpoint),
        page_size=paging.batch_size,
        missing=paging.missing,
        logger=context.logger,
    )


def _owed(reading: _Reading, ids: tuple[Key, ...], since: Any, context: StepContext) -> Iterator[Item]:
    """Items that are read although their cursor did not move: those of the ids that the run does not read anyhow."""
    if since is None:
        return
    order, paging = reading.order, paging_parameters(context.parameters)

    def found(selection: Selection, keys: list[Key], missing: Missing | None) -> Iterator[Item]:
        return read_by_ids(
            context.source, selection, keys, page_size=paging.batch_size, missing=missing, logger=context.logger
        )

    window = attrs.evolve(order.selection, statement=order.selection.statement.where(order.within(since)))
    read_anyhow = {item.key for item in found(window, list(ids), None)}
    rest = [key for key in ids if key not in read_anyhow]
    yield from found(order.selection, rest, Missing.DELETE if paging.missing is Missing.DELETE else None)
