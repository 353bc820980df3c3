"""What a reader reads: a SELECT whose rows are known by a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa
from sqlalchemy.orm.interfaces import ORMOption

from contraflow.source.entities import Entity
from contraflow.source.keys import KeyShape
from contraflow_hookspecs import Key

if TYPE_CHECKING:
    from contraflow.source.database import Source


@attrs.frozen(kw_only=True, eq=False)
class Selection:
    """A SELECT without order and limit, and the key of its rows."""

    label: str
    """For messages: ``entity 'customer'``, ``the query``."""
    statement: sa.Select[Any]
    key: tuple[sa.ColumnElement[Any], ...]
    shape: KeyShape
    values_of: Callable[[Any], Any]
    """The key of a row, or of an instance: a tuple of several values, or the only one as it is."""
    mapped: bool
    """Its results are mapped instances rather than rows."""
    unique: bool
    """The database keeps two rows from having one key."""
    nullable: bool
    """A key column may hold NULL, as far as can be known."""

    def key_of(self, row: Any) -> Key:
        """The key of a row, or of an instance."""
        values = self.values_of(row)
        return values if len(self.key) > 1 else (values,)

    def keys_of(self, rows: Sequence[Any]) -> list[Key]:
        """The keys of many."""
        values = map(self.values_of, rows)
        return list(values) if len(self.key) > 1 else list(zip(values))

    def fetch(self, source: Source, statement: sa.Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        """The rows or instances of a statement made from this one; nothing stays open.

        Raises:
            SourceError: The database cannot be reached or read.
        """
        return source.instances(statement, parameters) if self.mapped else source.rows(statement, parameters)


def entity_selection(entity: Entity, options: Sequence[ORMOption] = ()) -> Selection:
    """All rows or instances of an entity; the options say which relations are loaded with them."""
    common: dict[str, Any] = {
        "label": f"entity '{entity.name}'",
        "key": entity.key,
        "shape": KeyShape.of_columns(f"entity '{entity.name}'", entity.key),
        "unique": entity.unique,
    }
    if entity.mapper is None:
        return row_selection(entity.table, nullable=any(map(entity.is_nullable, entity.key)), **common)
    names = [str(column.key) for column in entity.key]
    return Selection(
        statement=sa.select(entity.mapper.class_).options(*options),
        values_of=attrgetter(*names),
        mapped=True,
        nullable=any(map(entity.is_nullable, entity.key)),
        **common,
    )


def row_selection(
    selectable: sa.FromClause,
    *,
    label: str,
    key: tuple[sa.ColumnElement[Any], ...],
    shape: KeyShape,
    unique: bool,
    nullable: bool,
) -> Selection:
    """All rows of a table or a subquery."""
    names = list(selectable.columns.keys())
    return Selection(
        label=label,
        statement=sa.select(selectable),
        key=key,
        shape=shape,
        values_of=itemgetter(*(names.index(str(column.key)) for column in key)),
        mapped=False,
        unique=unique,
        nullable=nullable,
    )
