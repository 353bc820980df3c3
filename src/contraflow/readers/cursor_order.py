"""Reading in the order of a cursor column and the key together, so that rows with one cursor value are told apart.

Rows whose cursor is NULL come first, in the order of the key: nothing tells when they changed. An item's position is
``(entity.column, cursor, *key)``. Where the cursor is none to read on from, since it is NULL or lies in the future, the one
that is follows at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa

from contraflow.errors import SourceError
from contraflow.ledger import encode_key
from contraflow.readers.cursor_values import is_temporal, lies_ahead
from contraflow.readers.keyset import KeysetOrder, check_page, read_in_key_order, refuse_null
from contraflow.source.keys import KeyShape
from contraflow.source.selection import Selection
from contraflow_hookspecs import Item, Key, SystemicError

if TYPE_CHECKING:
    from contraflow.source import Source


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class CursorOrder:
    """A selection in the order of a column and its key.

    Args:
        source: The database.
        selection: What is read.
        column: The cursor column.
        name: Names entity and column in positions: those of another column mean nothing here.
        nullable: Whether the column may hold NULL.
        page_size: Rows read at once.
        now: The clock.
    """

    source: Source
    selection: Selection
    column: sa.ColumnElement[Any]
    name: str
    nullable: bool
    page_size: int
    now: Callable[[], datetime] = _now

    @property
    def raw(self) -> sa.ColumnElement[Any]:
        """The column as the driver gives it, and takes it."""
        return sa.type_coerce(self.column, sa.types.NULLTYPE)

    def since_of(self, position: Key | None) -> Any:
        """The cursor value from which a run goes on that was given this position; ``None`` for the beginning."""
        size = len(self.selection.key)
        if position is None or position[0] != self.name or len(position) not in (2 + size, 3 + size):
            return None
        return position[1] if len(position) == 2 + size else position[-1]

    def within(self, since: Any) -> sa.ColumnElement[bool]:
        """The condition that a row lies at or behind a cursor value, or has none."""
        condition = self.raw >= sa.bindparam("contraflow_since", since, type_=sa.types.NULLTYPE)
        return sa.or_(condition, self.column.is_(None)) if self.nullable else condition

    def read(self, after: Key | None, since: Any, reached: Any) -> Iterator[Item]:
        """The items behind a position, and at or behind a cursor value.

        Args:
            after: The position; ``None`` for the beginning.
            since: The cursor value; ``None`` for all.
            reached: The cursor value that earlier runs have reached.

        Raises:
            SystemicError: The database cannot be read, or the key does not identify a row.
        """
        size = len(self.selection.key)
        if after is not None and (after[0] != self.name or len(after) not in (2 + size, 3 + size)):
            after = None
        if after is not None:
            reached = self.since_of(after)
        place = None if after is None else after[1 : 2 + size]
        if self.nullable and (place is None or place[0] is None):
            nulls = attrs.evolve(self.selection, statement=self.selection.statement.where(self.column.is_(None)))
            key = None if place is None else place[1:]
            for item in read_in_key_order(self.source, nulls, key, self.page_size):
                yield attrs.evolve(item, position=(self.name, None, *item.key, reached))
            place = None
        temporal = is_temporal(self.column)
        for (value, *key_values), entity in self._rows(place, since):
            key = tuple(key_values)
            if lies_ahead(value, self.now, temporal=temporal):
                yield Item(key=key, entity=entity, position=(self.name, value, *key, reached))
            else:
                reached = value
                yield Item(key=key, entity=entity, position=(self.name, value, *key))

    def _rows(self, after: Key | None, since: Any) -> Iterator[tuple[Key, Any]]:
        """Cursor value and key of each row that has a cursor value, and the row."""
        ordered = attrs.evolve(
            self.selection,
            key=(self.raw, *self.selection.key),
            shape=KeyShape(
                of=self.selection.shape.of,
                names=(self.name, *self.selection.shape.names),
                types=(object, *self.selection.shape.types),
            ),
        )
        order = KeysetOrder(ordered, self.source.engine.dialect.name)
        statement = self.selection.statement.add_columns(self.raw.label("contraflow_cursor"))
        if self.nullable:
            statement = statement.where(self.column.is_not(None))
        if since is not None:
            statement = statement.where(self.raw >= sa.bindparam("contraflow_since", since, type_=sa.types.NULLTYPE))
        first = statement.order_by(*order.columns).limit(self.page_size + 1)
        following = first.where(order.behind())
        if self.selection.nullable:
            refuse_null(self.source, self.selection)
        while True:
            page = self._fetch(first if after is None else following, order.parameters(after))
            places = [(value, *self.selection.key_of(entity)) for entity, value in page]
            if places:
                check_page(ordered, places, after)
                self._check_value(places[-1][0])
            for place, (entity, _) in zip(places[: self.page_size], page, strict=False):
                yield place, entity
            if len(places) <= self.page_size:
                return
            after = places[self.page_size - 1]

    def _fetch(self, statement: sa.Select[Any], parameters: dict[str, Any]) -> list[tuple[Any, Any]]:
        try:
            return self.source.with_last_column(statement, parameters, mapped=self.selection.mapped)
        except SourceError as error:
            raise SystemicError(str(error)) from error

    def _check_value(self, value: Any) -> None:
        try:
            encode_key((value,))
        except ValueError as error:
            reason = str(error).replace("the key", "it").replace("a key", "a position")
            raise SystemicError(f"'{self.name}' cannot be a cursor: {reason}") from error
