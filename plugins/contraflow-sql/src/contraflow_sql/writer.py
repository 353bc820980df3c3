"""The writer stage: a chunk of changes in one transaction; row by row only when the database refuses one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from contraflow_hookspecs import (
    Action,
    Change,
    Gone,
    PermanentError,
    Rejected,
    TransientError,
    Unknown,
    WriteResult,
    Written,
)
from contraflow_sql.connection import connect, driver_errors, label
from contraflow_sql.faults import Reach, diagnose, raise_fault
from contraflow_sql.rows import Row, fit_rows
from contraflow_sql.settings import Mode
from contraflow_sql.statements import delete_rows, existing_keys, insert_rows, update_rows
from contraflow_sql.target import Database, Target

# What drivers raise about a value before the database sees it.
_VALUE_ERRORS = (OverflowError, UnicodeError, TypeError)


def write_chunk(changes: Sequence[Change], database: Database, target: Target) -> list[WriteResult]:
    """Write the changes and return one result for each.

    Raises:
        TransientError: The database went away, or a lock did not; surely nothing was written.
        PermanentError: The database refused the chunk at its end (a deferred constraint); nothing was written.
        SystemicError: Privileges, schema or disk.
    """
    rows, rejected = fit_rows(changes, target, database.engine.dialect.name)
    if not rows:
        return list(rejected)
    try:
        written = _transaction(database, target, rows, _write_together)
    except _RowRefusedError:
        written = _transaction(database, target, rows, _write_singly)
    return [*rejected, *written]


class _RowRefusedError(Exception):
    """A statement for many rows failed for one of them; which, only single rows can tell."""


_Work = Callable[[Connection, Target, Sequence[Row]], list[WriteResult]]


def _transaction(database: Database, target: Target, rows: Sequence[Row], work: _Work) -> list[WriteResult]:
    engine = database.engine
    doing = f"writing table '{target.table.name}' of {label(engine.url)}"
    with connect(engine) as connection:
        try:
            results = work(connection, target, rows)
        except _VALUE_ERRORS:
            raise _RowRefusedError from None
        except driver_errors(engine) as error:
            if diagnose(error).reach is Reach.ITEM and work is _write_together:
                raise _RowRefusedError from None
            raise_fault(error, engine.url, doing)
        try:
            connection.commit()
        except driver_errors(engine) as error:
            return _after_failed_commit(error, rows, doing)
    return results


def _after_failed_commit(error: Exception, rows: Sequence[Row], doing: str) -> list[WriteResult]:
    """A refusal is an answer: rolled back. Anything else leaves open whether the database committed."""
    fault = diagnose(error, (value for row in rows for value in (*row.key, *row.values.values())))
    if fault.reach is Reach.CONTENTION:
        raise TransientError(f"{doing}: {fault.reason}") from None
    if fault.reach is Reach.ITEM:
        if len(rows) == 1:
            return [Rejected(key=rows[0].change.key, code=fault.code, reason=fault.reason)]
        raise PermanentError(f"{doing}: {fault.reason}", code=fault.code) from None
    return [Unknown(key=row.change.key, reason=f"{doing}: lost at commit: {fault.reason}") for row in rows]


def _write_together(connection: Connection, target: Target, rows: Sequence[Row]) -> list[WriteResult]:
    """Deletes first, so that a row whose key passes from one item to another ends up with the living one."""
    results: list[WriteResult] = []
    deletes = [row for row in rows if row.is_delete]
    if deletes:
        delete_rows(connection, target, deletes)
        results += [Written(key=row.change.key, action=Action.DELETED, remote_id=row.remote_id) for row in deletes]
    upserts = [row for row in rows if not row.is_delete]
    if not upserts:
        return results
    existing = existing_keys(connection, target, upserts)
    creates: list[Row] = []
    updates: list[Row] = []
    for row in upserts:
        there = row.key in existing
        if there and target.mode is Mode.CREATE:
            reason = f"table '{target.table.name}' has a row with this key already"
            results.append(Rejected(key=row.change.key, code="exists", reason=reason))
        elif not there and target.mode is Mode.UPDATE:
            results.append(Gone(key=row.change.key))
        else:
            (updates if there else creates).append(row)
    results += _in_groups(connection, target, updates, Action.UPDATED)
    results += _in_groups(connection, target, creates, Action.CREATED)
    return results


def _in_groups(connection: Connection, target: Target, rows: Sequence[Row], action: Action) -> list[WriteResult]:
    """One statement for all rows that fill the same columns."""
    groups: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        filled = _changed(row) if target.only_changed and action is Action.UPDATED else row.values
        groups[tuple(sorted(filled))].append(row)
    results: list[WriteResult] = []
    for columns, group in groups.items():
        done = action
        if action is Action.CREATED:
            count = insert_rows(connection, target, columns, group)
        elif columns:
            count = update_rows(connection, target, columns, group)
        else:  # a row of nothing but its key
            count, done = len(group), Action.UNCHANGED
        if count not in (-1, len(group)):
            if len(group) > 1:
                raise _RowRefusedError
            reason = "the database reported success and wrote no row: a trigger or a row policy holds it back"
            results.append(Rejected(key=group[0].change.key, code="refused", reason=reason))
            continue
        results += [Written(key=row.change.key, action=done, remote_id=row.remote_id) for row in group]
    return results


def _changed(row: Row) -> Collection[str]:
    """The columns that differ from what was last confirmed; all where nobody knows, or what differs is no longer sent."""
    changed = row.change.changed or ()
    return [name for name in row.values if name in changed] or row.values


def _write_singly(connection: Connection, target: Target, rows: Sequence[Row]) -> list[WriteResult]:
    """Each row in a savepoint of its own: a refused one goes back alone."""
    results: list[WriteResult] = []
    for row in sorted(rows, key=lambda row: not row.is_delete):
        try:
            with connection.begin_nested():
                results += _write_together(connection, target, [row])
        except _VALUE_ERRORS as error:
            reason = f"the driver refused a value: {type(error).__name__}"
            results.append(Rejected(key=row.change.key, code="data", reason=reason))
        except sa.exc.StatementError as error:
            fault = diagnose(error, (*row.key, *row.values.values()))
            if fault.reach is not Reach.ITEM:
                raise
            results.append(Rejected(key=row.change.key, code=fault.code, reason=fault.reason))
    return results
