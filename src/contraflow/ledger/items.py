"""The item states of a chunk, read and written: the hot path of a run.

Both directions are one call of the driver for the whole chunk: with one for each row, every row would wait for its turn
among Python's threads. SQLite is given rows as ``VALUES``, which takes half the time of a JSON array; PostgreSQL is given
columns as arrays, which takes half the time of its ``executemany``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol, cast

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    text,
)

from contraflow.ledger.records import ItemState
from contraflow.ledger.schema import item_state
from contraflow.ledger.text import is_storable, storable

_FIELDS = ItemState._fields
_SELECTED = [item_state.c[name] for name in _FIELDS]
_CONFIRMED = case(
    (
        and_(item_state.c.status == literal_column("'written'"), item_state.c.digests.is_not(None)),
        item_state.c.fingerprint,
    )
)
_MOST_ROWS = 1024
"""In one statement of SQLite's."""
_OTHER_PARAMETERS = 3
_make_state = partial(tuple.__new__, ItemState)  # ItemState._make counts the fields of each, which are those selected
_remote_texts = itemgetter(_FIELDS.index("remote_id"), _FIELDS.index("remote_version"))


class ItemStore(Protocol):
    """Item states, in the way of one dialect."""

    def read(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, ItemState]:
        """The states of those of ``keys`` that have one."""

    def confirmed(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, str | None]:
        """The fingerprints of those of ``keys`` that have a state; ``None`` unless it is written, with its fields known."""

    def write(self, connection: Connection, stream_id: int, execution_id: int, states: Sequence[ItemState]) -> None:
        """Insert or replace ``states``."""

    def among(self, column: ColumnElement[str], keys: Sequence[str]) -> ColumnElement[bool]:
        """The condition that ``column`` is one of ``keys``, however many they are."""


def item_store(dialect: Dialect) -> ItemStore:
    """The store for ``dialect``."""
    return _SqliteItems(dialect) if dialect.name == "sqlite" else _PostgresqlItems()


def storable_states(states: Sequence[ItemState]) -> Sequence[ItemState]:
    """``states`` with remote ids and versions that can be kept; one look at all of them, as nearly all can."""
    try:
        if is_storable("".join(filter(None, chain.from_iterable(map(_remote_texts, states))))):
            return states
    except TypeError:  # a connector gave a number
        pass
    return [
        state._replace(remote_id=storable(state.remote_id), remote_version=storable(state.remote_version))
        for state in states
    ]


class _SqliteItems:
    def __init__(self, dialect: Dialect) -> None:
        query = select(*_SELECTED).where(
            item_state.c.stream_id == bindparam("stream_id"), item_state.c.key.in_(_each(bindparam("keys")))
        )
        self._select = str(query.compile(dialect=dialect))
        self._select_confirmed = str(query.with_only_columns(item_state.c.key, _CONFIRMED).compile(dialect=dialect))

    def confirmed(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, str | None]:
        return dict(self._rows(connection, self._select_confirmed, stream_id, keys))

    def _rows(self, connection: Connection, query: str, stream_id: int, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        # The driver's own cursor: SQLAlchemy's rows would take as long to make as SQLite takes to find them.
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(query, (stream_id, orjson.dumps(keys).decode()))
            return list(cursor.fetchall())

    def read(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, ItemState]:
        rows = self._rows(connection, self._select, stream_id, keys)
        return dict(zip(map(itemgetter(0), rows), map(_make_state, rows), strict=True))

    def write(self, connection: Connection, stream_id: int, execution_id: int, states: Sequence[ItemState]) -> None:
        columns = dict(zip(_FIELDS, zip(*storable_states(states), strict=True), strict=True))
        # What none of them has is written into the statement: a NULL that is taken out of the rows costs more.
        given = tuple(name for name, values in columns.items() if values.count(None) < len(states))
        rows = list(zip(*(columns[name] for name in given), strict=True))
        most = _most_rows(connection, len(given))
        for some in (rows[first : first + most] for first in range(0, len(rows), most)):
            room = 1 << (len(some) - 1).bit_length()
            empty = (None,) * (len(given) * (room - len(some)))
            parameters = (stream_id, execution_id, *chain.from_iterable(some), *empty, len(some))
            connection.exec_driver_sql(_sqlite_upsert(given, room), parameters)

    def among(self, column: ColumnElement[str], keys: Sequence[str]) -> ColumnElement[bool]:
        return column.in_(_each(json.dumps(keys)))


class _PostgresqlItems:
    def __init__(self) -> None:
        self._upsert = _postgresql_upsert()

    def confirmed(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, str | None]:
        query = select(item_state.c.key, _CONFIRMED)
        query = query.where(item_state.c.stream_id == stream_id, self.among(item_state.c.key, keys))
        return {key: fingerprint for key, fingerprint in connection.execute(query)}  # noqa: C416 - rows are no tuples

    def read(self, connection: Connection, stream_id: int, keys: Sequence[str]) -> dict[str, ItemState]:
        query = select(*_SELECTED).where(item_state.c.stream_id == stream_id, self.among(item_state.c.key, keys))
        return {row[0]: ItemState._make(row) for row in connection.execute(query)}

    def write(self, connection: Connection, stream_id: int, execution_id: int, states: Sequence[ItemState]) -> None:
        # PostgreSQL refuses to update one row twice in a statement, so the last state of a key is chosen here.
        latest = {state.key: state for state in storable_states(states)}.values()
        columns = dict(zip(_FIELDS, map(list, zip(*latest, strict=True)), strict=True))
        connection.execute(self._upsert, {"stream": stream_id, "execution": execution_id, **columns})

    def among(self, column: ColumnElement[str], keys: Sequence[str]) -> ColumnElement[bool]:
        return column == func.any(bindparam(None, list(keys), type_=ARRAY(Text)))


def _each(keys: Any) -> Select[tuple[str]]:
    """The elements of a JSON array as rows: one parameter for any number of keys, and one statement for all."""
    return select(func.json_each(keys).table_valued("value").c.value)


def _most_rows(connection: Connection, columns: int) -> int:
    """How many rows a statement is given at most: a power of two, for which SQLite allows enough parameters."""
    raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    allowed = (raw.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) - _OTHER_PARAMETERS) // columns
    return min(_MOST_ROWS, 1 << (allowed.bit_length() - 1))


@lru_cache(maxsize=64)
def _sqlite_upsert(given: Sequence[str], room: int) -> str:
    """For up to ``room`` rows of some columns; the others are NULL. Its parameters: stream, execution, the rows, how many.

    It has room for a power of two, so that there are few statements, which SQLite prepares once: that takes as long as the
    rows themselves. Rows behind the last are never made.
    """
    from sqlalchemy.dialects import sqlite

    row = f"({', '.join('?' * len(given))})"
    rows = text(f"(VALUES {', '.join([row] * room)})")
    values = [literal_column(f"column{given.index(name) + 1}") if name in given else null() for name in _FIELDS]
    query = select(bindparam("stream")).add_columns(*values, bindparam("execution")).select_from(rows)
    statement = sqlite.insert(item_state).from_select(
        ["stream_id", *_FIELDS, "execution_id"], query.suffix_with("LIMIT ?")
    )
    upsert = statement.on_conflict_do_update(index_elements=["stream_id", "key"], set_=_replaced(statement.excluded))
    return str(upsert.compile(dialect=sqlite.dialect()))


def _postgresql_upsert() -> Insert:
    from sqlalchemy.dialects.postgresql import insert

    types = {name: item_state.c[name].type for name in _FIELDS}
    columns = (
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()))
        .table_valued(*_FIELDS)
        .render_derived(name="given")
    )
    rows = select(bindparam("stream", type_=Integer), *columns.c, bindparam("execution", type_=BigInteger))
    statement = insert(item_state).from_select(["stream_id", *_FIELDS, "execution_id"], rows)
    return statement.on_conflict_do_update(index_elements=["stream_id", "key"], set_=_replaced(statement.excluded))


def _replaced(excluded: Any) -> dict[str, Any]:
    return {column.name: excluded[column.name] for column in item_state.c if not column.primary_key}
