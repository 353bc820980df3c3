"""The statements of a target table, each for many rows at once. Names come from reflection, values are bound."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from contraflow_hookspecs import Key
from contraflow_sql.rows import Row
from contraflow_sql.settings import Mode
from contraflow_sql.target import Target

# Names of bound values, apart from all column names, which may be anything.
_KEY = "contraflow_key_"
_VALUE = "contraflow_value_"


def delete_rows(connection: Connection, target: Target, rows: Sequence[Row]) -> None:
    """Delete the rows; one that is not there is as good as deleted."""
    connection.execute(sa.delete(target.table).where(_is_key(target)), [_bound(row, ()) for row in rows])


def update_rows(connection: Connection, target: Target, columns: Sequence[str], rows: Sequence[Row]) -> int:
    """Update the columns of the rows; return how many rows the database found, -1 if it does not say."""
    values = _value_parameters(target, columns)
    statement = sa.update(target.table).where(_is_key(target)).values(values)
    return connection.execute(statement, [_bound(row, columns) for row in rows]).rowcount


def insert_rows(connection: Connection, target: Target, columns: Sequence[str], rows: Sequence[Row]) -> int:
    """Insert the rows; return how many rows the database wrote, -1 if it does not say.

    In mode ``upsert`` a row that somebody else inserts meanwhile is updated, where the database can say *of this key*.
    MySQL cannot: its clause fires on every unique key, and would overwrite another row that has, say, the same e-mail.
    """
    keys = {column: sa.bindparam(f"{_KEY}{n}", type_=column.type) for n, column in enumerate(target.key_columns)}
    values = {**keys, **_value_parameters(target, columns)}
    dialect = connection.dialect.name
    statement: Any
    if target.mode is Mode.UPSERT and dialect in ("postgresql", "sqlite"):
        insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(target.table)
        if columns:
            replaced = {name: insert.excluded[name] for name in columns}
            insert = insert.on_conflict_do_update(index_elements=target.key_columns, set_=replaced)
        else:
            insert = insert.on_conflict_do_nothing(index_elements=target.key_columns)
        statement = insert
    else:
        statement = sa.insert(target.table)
    # inline: nobody needs generated values back, so the rows go out as one batch.
    statement = statement.values(values).inline().execution_options(preserve_rowcount=True)
    return connection.execute(statement, [_bound(row, columns) for row in rows]).rowcount


def existing_keys(connection: Connection, target: Target, rows: Sequence[Row]) -> set[Key]:
    """Return the keys of those rows that are in the table, as the rows spell them.

    One query; but the database may hold a key equal that Python does not (case-insensitive collations, padded CHAR), and
    then the keys without a counterpart are asked for one by one. Rows found stay locked until the transaction ends, so
    that what is found stays true; not in mode ``create``, which changes none of them.
    """
    keys = {row.key for row in rows}
    query = sa.select(*target.key_columns).where(in_keys(target, keys))
    if target.mode is not Mode.CREATE:
        query = query.with_for_update()
    returned = {tuple(found) for found in connection.execute(query)}
    found = keys & returned
    if len(found) < len(returned):
        alone = sa.select(sa.literal(1)).select_from(target.table).where(_is_key(target))
        for row in rows:
            if row.key not in found and connection.execute(alone, _bound(row, ())).first():
                found.add(row.key)
    return found


def in_keys(target: Target, keys: Collection[Key]) -> sa.ColumnElement[bool]:
    """The condition that a row has one of the keys."""
    columns = target.key_columns
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return sa.tuple_(*columns).in_(list(keys))


def _is_key(target: Target) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(
            column == sa.bindparam(f"{_KEY}{number}", type_=column.type)
            for number, column in enumerate(target.key_columns)
        )
    )


def _value_parameters(target: Target, columns: Iterable[str]) -> dict[Any, Any]:
    chosen = [target.table.columns[name] for name in columns]
    return {column: sa.bindparam(f"{_VALUE}{n}", type_=column.type) for n, column in enumerate(chosen)}


def _bound(row: Row, columns: Iterable[str]) -> dict[str, Any]:
    key = {f"{_KEY}{number}": value for number, value in enumerate(row.key)}
    return key | {f"{_VALUE}{number}": row.values[name] for number, name in enumerate(columns)}
