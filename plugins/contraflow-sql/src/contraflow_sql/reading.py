"""Read rows of the target as ``process_item`` would have made them: by the changes' keys, or all of them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from contraflow_hookspecs import Change, Gone, Key, PermanentError, RemoteItem
from contraflow_sql import remote_id
from contraflow_sql.connection import connect, driver_errors, label
from contraflow_sql.faults import raise_fault
from contraflow_sql.rows import NoKeyError, row_key
from contraflow_sql.statements import in_keys
from contraflow_sql.target import Database, Target, is_generated
from contraflow_sql.values import UnfitError, fit

_PAGE = 500

_MOST_FOUND = 6
"""Rows of one natural key that are read: two are too many already, and a few are named to people."""


def fetch_rows(changes: Sequence[Change], database: Database, target: Target) -> list[RemoteItem | Gone]:
    """The rows of these changes; a change of which the row cannot be told is left out.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us.
    """
    engine = database.engine
    backend = engine.dialect.name
    keys = {change.key: key for change in changes if (key := _row_key(change, target, backend)) is not None}
    own = {change.key: _row_key(attrs.evolve(change, remote_id=None), target, backend) for change in changes}
    if not keys:
        return []
    with connect(engine, read_only=True) as connection:
        try:
            held = read_rows(connection, target, set(keys.values()))
        except driver_errors(engine) as error:
            raise_fault(error, engine.url, _doing(target, database))
    return [
        _remote_item(held[key], key, target, database, item=item, with_key=target.find is None or own[item] == key)
        if key in held
        else Gone(key=item)
        for item, key in keys.items()
    ]


def _row_key(change: Change, target: Target, backend: str) -> Key | None:
    try:
        return row_key(change, target, backend)
    except (NoKeyError, UnfitError):
        return None


def find_rows(changes: Sequence[Change], database: Database, target: Target) -> list[RemoteItem]:
    """The rows that hold these changes' natural keys, all of each; a change with an empty one has none.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us.
        PermanentError: The settings do not say by which columns rows are found.
    """
    if target.find is None:
        raise PermanentError(f"tables.{target.name} has no 'find' to look for rows by", code="not_supported")
    engine = database.engine
    columns = [target.table.columns[name] for name in target.find]
    found: list[RemoteItem] = []
    with connect(engine, read_only=True) as connection:
        try:
            for change in changes:
                values = _natural_key(change, columns, engine.dialect.name)
                if values is None:
                    continue
                query = sa.select(target.table).where(*(column == value for column, value in values)).limit(_MOST_FOUND)
                for row in connection.execute(query):
                    key = tuple(row._mapping[column] for column in target.key_columns)
                    found.append(_remote_item(row._mapping, key, target, database, item=change.key, with_key=False))
        except driver_errors(engine) as error:
            raise_fault(error, engine.url, _doing(target, database))
    return found


def _natural_key(
    change: Change, columns: Sequence[sa.Column[Any]], backend: str
) -> list[tuple[sa.Column[Any], Any]] | None:
    """Columns and values; ``None`` if one is empty, or is nothing that the column could hold."""
    try:
        values = [(column, fit(change.payload.get(column.name), column, backend)) for column in columns]
    except UnfitError:
        return None
    return None if any(value in (None, "") for _, value in values) else values


def list_rows(database: Database, target: Target) -> Generator[RemoteItem, None, None]:
    """All rows of the target, whoever wrote them, in the order of the key, streamed.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us.
    """
    engine = database.engine
    query = sa.select(target.table).order_by(*target.key_columns)
    with connect(engine, read_only=True) as connection:
        try:
            streamed = connection.execution_options(stream_results=True, yield_per=_PAGE)
            for found in streamed.execute(query):
                key = tuple(found._mapping[column] for column in target.key_columns)
                yield _remote_item(found._mapping, key, target, database, item=None, with_key=True)
        except driver_errors(engine) as error:
            raise_fault(error, engine.url, _doing(target, database))


def read_rows(connection: Connection, target: Target, keys: set[Key]) -> dict[Key, Mapping[Any, Any]]:
    """The rows with these keys, under the keys as they are given."""
    held: dict[Key, Mapping[Any, Any]] = {}
    strangers = False
    for found in connection.execute(sa.select(target.table).where(in_keys(target, keys))):
        key = tuple(found._mapping[column] for column in target.key_columns)
        held[key] = found._mapping
        strangers = strangers or key not in keys
    if strangers:  # the database holds keys equal that Python does not; ask one by one
        for key in keys - held.keys():
            found_one = connection.execute(sa.select(target.table).where(in_keys(target, [key]))).first()
            if found_one is not None:
                held[key] = found_one._mapping
    return held


def _remote_item(
    row: Mapping[Any, Any], key: Key, target: Target, database: Database, *, item: Key | None, with_key: bool
) -> RemoteItem:
    """``with_key`` unless the row was found by other columns: its key is its own then, and no edit of the item's."""
    backend = database.engine.dialect.name
    return RemoteItem(
        key=item,
        remote_id=remote_id.encode(_trimmed(key, target, backend)),
        payload={
            column.name: _value(row[column], column, backend)
            for column in target.table.columns
            if _is_ours(column, target, with_key) and not _is_rounded(column)
        },
    )


def _trimmed(key: Key, target: Target, backend: str) -> Key:
    return tuple(_value(value, column, backend) for value, column in zip(key, target.key_columns, strict=True))


def _value(value: Any, column: sa.Column[Any], backend: str) -> Any:
    if isinstance(column.type, sa.CHAR) and isinstance(value, str) and backend != "sqlite":
        return value.rstrip(" ")
    return value


def _is_ours(column: sa.Column[Any], target: Target, with_key: bool) -> bool:
    if column.name in target.key:
        return with_key
    if target.columns is None:
        return not is_generated(column)
    return column.name in target.columns or column.name in target.parents


def _is_rounded(column: sa.Column[Any]) -> bool:
    """Whether the column keeps fewer digits than Python's numbers have: what comes back is not what was sent."""
    kind = column.type
    return isinstance(kind, sa.REAL | sa.FLOAT) and not isinstance(kind, sa.Double)


def _doing(target: Target, database: Database) -> str:
    return f"reading table '{target.table.name}' of {label(database.engine.url)}"
