"""Items that wait for a person, since somebody changed them at the remote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, case, delete, select

from contraflow.ledger.history import read_key
from contraflow.ledger.items import ItemStore
from contraflow.ledger.records import ItemConflict, NewConflict
from contraflow.ledger.schema import conflict, stream
from contraflow.ledger.upsert import insert_into


class Decided(NamedTuple):
    """What somebody decided of a conflict, and the contents on which that rests."""

    local: str | None
    remote: str
    sides: Mapping[str, str]
    """Field to ``local`` or ``remote``; under the name ``""`` what holds of all others."""


def record(
    connection: Connection, stream_id: int, execution_id: int, found: Sequence[NewConflict], moment: datetime
) -> None:
    """Keep conflicts. One that was there before keeps its number, and, if nothing has changed, its moment."""
    statement = insert_into(conflict, connection.dialect.name)
    new = statement.excluded
    same = and_(conflict.c.local == new.local, conflict.c.remote == new.remote)
    replaced: dict[str, Any] = {name: new[name] for name in ("fields", "base", "local", "remote", "decision")}
    replaced |= {name: case((same, conflict.c[name]), else_=new[name]) for name in ("execution_id", "recorded")}
    rows = [
        {
            "stream_id": stream_id,
            **each._asdict(),
            "fields": list(each.fields),
            "decision": None,
            "execution_id": execution_id,
            "recorded": moment,
        }
        for each in found
    ]
    connection.execute(statement.on_conflict_do_update(index_elements=["stream_id", "key"], set_=replaced), rows)


def resolve(connection: Connection, stream_id: int, keys: Sequence[str], items: ItemStore) -> None:
    """Take away the conflicts of ``keys``, as far as there are any, with all that they hold."""
    connection.execute(delete(conflict).where(conflict.c.stream_id == stream_id, items.among(conflict.c.key, keys)))


def decided(connection: Connection, stream_id: int, keys: Sequence[str], items: ItemStore) -> dict[str, Decided]:
    """What was decided of the conflicts of ``keys``."""
    query = select(conflict.c.key, conflict.c.local, conflict.c.remote, conflict.c.decision).where(
        conflict.c.stream_id == stream_id, items.among(conflict.c.key, keys)
    )
    rows = connection.execute(query)
    return {row.key: Decided(row.local, row.remote, row.decision) for row in rows if row.decision is not None}


def find(
    connection: Connection, *, integration: str | None, job: str | None, limit: int, after: int
) -> list[ItemConflict]:
    """The conflicts with an id above ``after``, by id."""
    query = _conflicts().where(conflict.c.id > after).order_by(conflict.c.id).limit(limit)
    for column, name in ((stream.c.integration, integration), (stream.c.job, job)):
        if name is not None:
            query = query.where(column == name)
    return [_conflict(dict(row)) for row in connection.execute(query).mappings()]


def get(connection: Connection, number: int) -> ItemConflict | None:
    """One conflict."""
    row = connection.execute(_conflicts().where(conflict.c.id == number)).mappings().one_or_none()
    return None if row is None else _conflict(dict(row))


def decide(connection: Connection, seen: ItemConflict, sides: Mapping[str, str]) -> bool:
    """Note what somebody decided; ``False`` if the contents are no longer those that were seen."""
    statement = conflict.update().where(
        conflict.c.id == seen.id,
        conflict.c.remote == seen.remote,
        conflict.c.local.is_(None) if seen.local is None else conflict.c.local == seen.local,
    )
    return connection.execute(statement.values(decision=dict(sides))).rowcount == 1


def _conflicts() -> Select[Any]:
    return select(conflict, stream.c.integration, stream.c.job, stream.c.step).join(stream)


def _conflict(row: dict[str, Any]) -> ItemConflict:
    del row["stream_id"]
    row["key"] = read_key(row["key"])
    return ItemConflict(**row)
