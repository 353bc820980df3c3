"""From changes to rows: the writer's and the confirmer's common first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from contraflow_hookspecs import Change, Key, Operation, Rejected, SystemicError
from contraflow_sql import remote_id
from contraflow_sql.settings import position
from contraflow_sql.target import Target, is_generated, near
from contraflow_sql.values import UnfitError, fit


@attrs.frozen(kw_only=True)
class Row:
    """One change, fitted to the target's columns."""

    change: Change
    key: Key
    """The values of the target's key columns."""
    values: Mapping[str, Any]
    """The other columns; empty for a delete."""

    @property
    def is_delete(self) -> bool:
        """Whether the row is to go."""
        return self.change.operation is Operation.DELETE

    @property
    def remote_id(self) -> str:
        """The row's key as text."""
        return remote_id.encode(self.key)


def fit_rows(changes: Sequence[Change], target: Target, backend: str) -> tuple[list[Row], list[Rejected]]:
    """Return the rows of the changes that fit, and rejections of the others.

    Of several upserts of one target row only the first is kept: which should win is not for a writer to guess.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    taken: set[Key] = set()
    for change in changes:
        try:
            row = _fit_row(change, target, backend)
        except UnfitError as error:
            rejected.append(Rejected(key=change.key, code="data", reason=str(error)))
            continue
        except NoKeyError as error:
            rejected.append(Rejected(key=change.key, code="key", reason=str(error)))
            continue
        if not row.is_delete and row.key in taken:
            reason = f"another item of the chunk writes the same row of table '{target.table.name}'"
            rejected.append(Rejected(key=change.key, code="duplicate", reason=reason))
            continue
        if not row.is_delete:
            taken.add(row.key)
        rows.append(row)
    return rows, rejected


class NoKeyError(ValueError):
    """The change does not say which row it means."""


def _fit_row(change: Change, target: Target, backend: str) -> Row:
    key = row_key(change, target, backend)
    if change.operation is Operation.DELETE:
        return Row(change=change, key=key, values={})
    values = {
        name: _fit(value, _column(name, target), backend)
        for name, value in change.payload.items()
        if name not in target.key
    }
    return Row(change=change, key=key, values=values)


def _column(name: str, target: Target) -> sa.Column[Any]:
    columns = target.table.columns
    if name not in columns:
        raise UnfitError(f"{name}: no such column in table '{target.table.name}'{near(name, columns.keys())}")
    column: sa.Column[Any] = columns[name]
    if is_generated(column):
        raise UnfitError(f"{name}: the column is generated and cannot be written")
    return column


def _fit(value: Any, column: sa.Column[Any], backend: str) -> Any:
    try:
        return fit(value, column, backend)
    except UnfitError as error:
        raise UnfitError(f"{column.name}: {error}") from None


def row_key(change: Change, target: Target, backend: str) -> Key:
    """The row's key: from the payload, else by position, else what was written before.

    The remembered keys come last since they are of the past, and an upsert always has its key in the payload. A guess
    (the item's key columns in their order) would delete the wrong row where the target's key is another than the item's.
    Where rows are found by a natural key it is otherwise: such a row keeps its own key, whatever the payload says.
    """
    columns = target.key_columns
    if target.find is not None and change.remote_id is not None:
        return remote_id.decode(change.remote_id, columns, backend)
    found: list[Any] = []
    for column in columns:
        place = position(target.key[column.name])
        if column.name in change.payload:
            found.append(change.payload[column.name])
        elif place is not None:
            found.append(_at(change.key, place, column.name, target))
        elif change.remote_id is not None:
            return remote_id.decode(change.remote_id, columns, backend)
        elif change.previous is not None and column.name in change.previous:
            found.append(change.previous[column.name])
        else:
            raise NoKeyError(
                f"which row is meant? It was never written from here, and its {column.name} is not in the payload; "
                f"'key: {{{column.name}: 1}}' takes it from the item's own key"
            )
    values = tuple(_fit(value, column, backend) for value, column in zip(found, columns, strict=True))
    for column, value in zip(columns, values, strict=True):
        if value is None:
            raise NoKeyError(f"{column.name}: no value; a row is told by it")
    return values


def _at(key: Key, place: int, column: str, target: Target) -> Any:
    if place > len(key):
        raise SystemicError(
            f"tables.{target.name}.key.{column}: position {place}, but the item's key has {len(key)} columns"
        )
    return key[place - 1]
