"""To which parents items refer at the remote: a parent stays while its children are there, and who came late is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Insert, delete, func, or_, select

from contraflow.ledger.core import LedgerCore
from contraflow.ledger.failures import foreign_row
from contraflow.ledger.history import read_key
from contraflow.ledger.items import ItemStore
from contraflow.ledger.keys import encode_position
from contraflow.ledger.records import AWAY, Referring
from contraflow.ledger.schema import item_state, reference
from contraflow_hookspecs import Key


class Children(NamedTuple):
    """What refers to an item and is at the remote."""

    parent: str
    """Its key, as canonical text."""
    key: Key
    """Of one of them."""
    number: int


def record(connection: Connection, stream_id: int, referring: Sequence[Referring], items: ItemStore) -> None:
    """Record to what items refer from now on."""
    replaced = [each.key for each in referring if each.replaces]
    if replaced:
        mine = (reference.c.stream_id == stream_id, items.among(reference.c.key, replaced))
        connection.execute(delete(reference).where(*mine))
    rows = {
        (each.key, name, parent): met
        for each in referring
        if each.parents
        for name, parent, met in _parsed(each.parents)
    }
    if not rows:
        return
    given = [
        {"stream_id": stream_id, "key": key, "name": name, "parent": parent, "met": met}
        for (key, name, parent), met in rows.items()
    ]
    connection.execute(_upsert(connection.dialect.name), given)


@cache
def _upsert(dialect: str) -> Insert:
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    statement = insert(reference)
    names = ["stream_id", "key", "name", "parent"]
    return statement.on_conflict_do_update(index_elements=names, set_={"met": statement.excluded.met})


def _parsed(text: str) -> list[tuple[str, str, bool]]:
    try:
        return [(name, str(parent), bool(met)) for name, (parent, met) in orjson.loads(text).items()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise foreign_row("to what an item refers") from None


def _is_there() -> ColumnElement[bool]:
    """Whether the remote holds, or may hold, the item."""
    return item_state.c.status.not_in(AWAY) & or_(
        item_state.c.fingerprint.is_not(None), item_state.c.status == "in_doubt"
    )


_OF_ITEM = (item_state.c.stream_id == reference.c.stream_id) & (item_state.c.key == reference.c.key)


class Kinship(LedgerCore):
    """Parents and children, as runs ask for them."""

    def children_of(
        self, stream_id: int, name: str, parents: Sequence[str], *, at_rest: bool = True
    ) -> dict[str, Children]:
        """Of those of ``parents`` (canonical texts) to which items at the remote refer: one of these, and how many they are.

        Args:
            stream_id: The children's.
            name: Of the reference in their step.
            at_rest: Whether those count of which the remote has confirmed the last version.
        """
        query = (
            select(reference.c.parent, func.min(reference.c.key), func.count())
            .join(item_state, _OF_ITEM)
            .where(reference.c.stream_id == stream_id, reference.c.name == name, _is_there())
            .group_by(reference.c.parent)
        )
        if not at_rest:
            query = query.where(item_state.c.status != "written")
        with self._database.read() as connection:
            rows = connection.execute(query.where(self._items.among(reference.c.parent, parents))).all()
        return {row[0]: Children(row[0], read_key(row[1]), row[2]) for row in rows}

    def parents_of(self, stream_id: int, name: str, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Pairs of those of ``keys`` that refer to others, and of what they refer to by ``name``."""
        query = select(reference.c.key, reference.c.parent).where(
            reference.c.stream_id == stream_id, reference.c.name == name, self._items.among(reference.c.key, keys)
        )
        with self._database.read() as connection:
            return [(key, parent) for key, parent in connection.execute(query)]

    def orphans(
        self, stream_id: int, name: str, parents: int, *, after: Key | None = None, limit: int = 100
    ) -> list[Key]:
        """Keys of items that were sent without a parent that is there now.

        Args:
            stream_id: The items'.
            name: Of the reference.
            parents: The stream of the parents.
            after: The last key of the page before.
        """
        query = (
            select(reference.c.key)
            .join(item_state, (item_state.c.stream_id == parents) & (item_state.c.key == reference.c.parent))
            .where(reference.c.stream_id == stream_id, reference.c.name == name, reference.c.met.is_(False))
            .where(item_state.c.remote_id.is_not(None), item_state.c.fingerprint.is_not(None))
            .where(item_state.c.status.not_in(AWAY))
            .order_by(reference.c.key)
            .limit(limit)
        )
        if after is not None:
            query = query.where(reference.c.key > encode_position(after))
        with self._database.read() as connection:
            return [read_key(key) for key in connection.scalars(query.distinct())]
