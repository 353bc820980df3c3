"""INSERT … ON CONFLICT: SQLite and PostgreSQL have it alike, but SQLAlchemy has one for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_into(table: Table, dialect: str) -> postgresql.Insert:
    """An INSERT that may say what is done on a conflict.

    Args:
        table: Into which table.
        dialect: The database's, ``sqlite`` or ``postgresql``. Only its part of SQLAlchemy is imported.
    """
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert(table)  # type: ignore[return-value]
