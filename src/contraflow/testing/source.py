"""A source database for tests: a table is made by its first row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_TYPES: Mapping[type, Any] = {
    bool: sa.Boolean,
    int: sa.BigInteger().with_variant(sa.Integer, "sqlite"),
    float: sa.Float,
    Decimal: sa.Numeric(30, 10),
    str: sa.Text,
    bytes: sa.LargeBinary,
    dt.datetime: sa.DateTime(timezone=True),
    dt.date: sa.Date,
}


class SourceTables:
    """An SQLite database (or another, by its URL) with the entities of a test.

    Args:
        directory: Where the file is put.
        url: Another database's; it must be empty, and is not dropped.
    """

    def __init__(self, directory: Path, url: str | None = None) -> None:
        self.url = url or f"sqlite:///{directory / 'source.db'}"
        self._engine = sa.create_engine(self.url)
        self._metadata = sa.MetaData()
        with self._engine.connect():  # the file is there, also while there is no table in it
            pass

    @property
    def names(self) -> Sequence[str]:
        """The tables, in the order in which they were made."""
        return list(self._metadata.tables)

    def fill(self, entity: str, *rows: Mapping[str, Any], key: str | Sequence[str] | None = None) -> None:
        """Put rows into an entity's table. The first call makes it: the values of its first row say the types.

        Args:
            entity: The entity's name, and the table's.
            *rows: Its rows.
            key: The key columns; the first column by default.
        """
        if entity not in self._metadata.tables:
            self._make(entity, rows, [key] if isinstance(key, str) else key)
        with self._engine.begin() as connection:
            connection.execute(sa.insert(self._metadata.tables[entity]), [dict(row) for row in rows])

    def change(self, entity: str, *key: Any, **values: Any) -> None:
        """Change the row with this key.

        Raises:
            LookupError: There is none.
        """
        self._one(sa.update(self._metadata.tables[entity]).values(**values), entity, key)

    def remove(self, entity: str, *key: Any) -> None:
        """Remove the row with this key.

        Raises:
            LookupError: There is none.
        """
        self._one(sa.delete(self._metadata.tables[entity]), entity, key)

    def execute(self, statement: str) -> None:
        """Run any statement."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _make(self, entity: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str] | None) -> None:
        if not rows:
            raise ValueError(f"the first row of '{entity}' is needed: its values say the types of the columns")
        names = list(rows[0])
        keys = key or names[:1]
        columns = []
        for name in names:
            kind = next((type(row[name]) for row in rows if row.get(name) is not None), str)
            if kind not in _TYPES:
                raise TypeError(
                    f"'{entity}.{name}': no column is made for a {kind.__name__}; make the table by execute()"
                )
            columns.append(sa.Column(name, _TYPES[kind], primary_key=name in keys, autoincrement=False))
        sa.Table(entity, self._metadata, *columns).create(self._engine)

    def _one(self, statement: Any, entity: str, key: Sequence[Any]) -> None:
        table = self._metadata.tables[entity]
        for column, value in zip(table.primary_key, key, strict=True):
            statement = statement.where(column == value)
        with self._engine.begin() as connection:
            if connection.execute(statement).rowcount != 1:
                raise LookupError(f"'{entity}' has no row with the key {tuple(key)!r}")
