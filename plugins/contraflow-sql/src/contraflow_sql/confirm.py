"""Read back what became of changes in doubt, and compare it value by value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from contraflow_hookspecs import Action, Change, Deferred, Rejected, Unknown, WriteResult, Written
from contraflow_sql.connection import connect, driver_errors, label
from contraflow_sql.faults import raise_fault
from contraflow_sql.reading import read_rows
from contraflow_sql.rows import Row, fit_rows
from contraflow_sql.target import Database, Target


def confirm_chunk(changes: Sequence[Change], database: Database, target: Target) -> list[WriteResult]:
    """Return one result for each change: ``Written`` where the table shows it, ``Deferred`` where it surely does not.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us.
    """
    engine = database.engine
    rows, rejected = fit_rows(changes, target, engine.dialect.name)
    results: list[WriteResult] = [_unwritable(refusal) for refusal in rejected]
    if not rows:
        return results
    with connect(engine, read_only=True) as connection:
        try:
            held = read_rows(connection, target, {row.key for row in rows})
        except driver_errors(engine) as error:
            raise_fault(error, engine.url, f"reading table '{target.table.name}' of {label(engine.url)}")
    results += [_judge(row, held.get(row.key), target) for row in rows]
    return results


def _unwritable(refusal: Rejected) -> WriteResult:
    """What does not fit the table was surely not written; but two items of one row cannot be told apart."""
    if refusal.code == "duplicate":
        return Unknown(key=refusal.key, reason=refusal.reason)
    return Deferred(key=refusal.key, reason=refusal.reason)


def _judge(row: Row, held: Mapping[Any, Any] | None, target: Target) -> WriteResult:
    key = row.change.key
    if row.is_delete:
        if held is None:
            return Written(key=key, action=Action.DELETED, remote_id=row.remote_id)
        return Deferred(key=key, reason=f"the row is still in table '{target.table.name}'")
    if held is None:
        return Deferred(key=key, reason=f"no such row in table '{target.table.name}'")
    for name, value in row.values.items():
        column = target.table.columns[name]
        if not _same(value, held[column], column):
            return Deferred(key=key, reason=f"column {name} of table '{target.table.name}' holds another value")
    return Written(key=key, remote_id=row.remote_id)


def _same(value: Any, held: Any, column: sa.Column[Any]) -> bool:
    if value is None or held is None:
        return value is held
    if isinstance(column.type, sa.CHAR) and isinstance(held, str) and isinstance(value, str):
        return value.rstrip(" ") == held.rstrip(" ")
    if isinstance(column.type, sa.Float):
        # Seven digits: what a single-precision column keeps.
        return math.isclose(value, float(held), rel_tol=1e-6)
    return bool(value == held)
