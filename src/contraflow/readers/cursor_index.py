"""Whether the database can find rows by their cursor, and the statement that makes the index if it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from contraflow.source import Entity

if TYPE_CHECKING:
    from contraflow.source import Source


def missing_index(source: Source, entity: Entity, cursor: str) -> str | None:
    """The statement for an index over cursor and key; ``None`` if there is one that begins with the cursor, or can be none.

    Raises:
        SourceError: The database cannot be reached.
    """
    table, columns = _stored(entity, cursor)
    if table is None:
        return None
    name = str(columns[0].name)
    if source.run(lambda connection: _may_stay(sa.inspect(connection), table, name)):
        return None
    stored = sa.Table(table.name, sa.MetaData(), *(sa.Column(c.name, c.type) for c in columns), schema=table.schema)
    index = sa.Index(f"ix_{table.name}_{name}", *stored.columns)
    return str(CreateIndex(index).compile(dialect=source.engine.dialect)).strip()


def _stored(entity: Entity, cursor: str) -> tuple[sa.Table | None, list[Any]]:
    """The table in which the cursor column lies, and the columns of the index there."""
    columns: list[Any] = []
    for column in (entity.column(cursor), *entity.key):
        prop = getattr(column, "property", None)
        each = column if prop is None else prop.columns[0]
        if each is not None and each.name not in [known.name for known in columns]:
            columns.append(each)
    table = getattr(columns[0], "table", None)
    if not isinstance(table, sa.Table):
        return None, []
    return table, [column for column in columns if column.name in table.columns]


def _may_stay(inspector: sa.Inspector, table: sa.Table, name: str) -> bool:
    if table.name not in inspector.get_table_names(table.schema):
        return True  # a view has no index of its own
    return any(first == name for first in _first_columns(inspector, table))


def _first_columns(inspector: sa.Inspector, table: sa.Table) -> Iterator[str | None]:
    yield from inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"][:1]
    for index in inspector.get_indexes(table.name, table.schema):
        partial = any(name.endswith("_where") and value for name, value in index.get("dialect_options", {}).items())
        yield from () if partial else index["column_names"][:1]
    for constraint in inspector.get_unique_constraints(table.name, table.schema):
        yield from constraint["column_names"][:1]
