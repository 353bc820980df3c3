"""Rejected items, kept with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select

from contraflow.ledger.history import read_key
from contraflow.ledger.items import ItemStore
from contraflow.ledger.records import DeadLetter, NewDeadLetter
from contraflow.ledger.schema import dead_letter, item_state, stream
from contraflow.ledger.text import message, storable
from contraflow.ledger.upsert import insert_into

CONFLICT = "conflict"
"""The code of an item that the remote refused, since somebody else had changed its record."""


def record(
    connection: Connection, stream_id: int, execution_id: int, letters: Sequence[NewDeadLetter], moment: datetime
) -> None:
    """Keep ``letters``; one that repeats an earlier one replaces its reason and counts the attempt."""
    statement = insert_into(dead_letter, connection.dialect.name)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["stream_id", "key"],
        set_={
            "code": new.code,
            "reason": new.reason,
            "attempts": dead_letter.c.attempts + 1,
            "last_execution_id": new.last_execution_id,
            "recorded": new.recorded,
        },
    )
    rows = [
        {
            "stream_id": stream_id,
            "key": letter.key,
            "code": storable(letter.code),
            "reason": message(letter.reason),
            "attempts": 1,
            "first_execution_id": execution_id,
            "last_execution_id": execution_id,
            "recorded": moment,
        }
        for letter in letters
    ]
    connection.execute(statement, rows)


def resolve(connection: Connection, stream_id: int, keys: Sequence[str], items: ItemStore) -> None:
    """Take away the dead letters of ``keys``, as far as there are any."""
    connection.execute(
        delete(dead_letter).where(dead_letter.c.stream_id == stream_id, items.among(dead_letter.c.key, keys))
    )


def keys_of(connection: Connection, stream_id: int, code: str, keys: Sequence[str], items: ItemStore) -> list[str]:
    """Those of ``keys`` of which there is a dead letter with this code."""
    query = select(dead_letter.c.key).where(
        dead_letter.c.stream_id == stream_id, dead_letter.c.code == code, items.among(dead_letter.c.key, keys)
    )
    return list(connection.execute(query).scalars())


def find(
    connection: Connection, *, integration: str | None, job: str | None, limit: int, after: int
) -> list[DeadLetter]:
    """The dead letters with an id above ``after``, by id."""
    query = _letters().where(dead_letter.c.id > after).order_by(dead_letter.c.id).limit(limit)
    for column, name in ((stream.c.integration, integration), (stream.c.job, job)):
        if name is not None:
            query = query.where(column == name)
    return [DeadLetter(**_fields(dict(row))) for row in connection.execute(query).mappings()]


def get(connection: Connection, number: int) -> DeadLetter | None:
    """One dead letter."""
    row = connection.execute(_letters().where(dead_letter.c.id == number)).mappings().one_or_none()
    return None if row is None else DeadLetter(**_fields(dict(row)))


def drop(connection: Connection, numbers: Sequence[int]) -> int:
    """Forget dead letters; how many."""
    statement = delete(dead_letter).where(dead_letter.c.id == bindparam("number"))
    return sum(connection.execute(statement, {"number": number}).rowcount for number in set(numbers))


def forget_refusals(connection: Connection, numbers: Sequence[int]) -> int:
    """Forget which content of the dead letters' items was refused, so that it is sent again; how many items that are."""
    letters = select(dead_letter.c.stream_id, dead_letter.c.key).where(dead_letter.c.id == bindparam("number"))
    found = [row for number in set(numbers) for row in connection.execute(letters, {"number": number})]
    statement = item_state.update().where(item_state.c.status == "rejected").values(pending=None)
    return sum(
        connection.execute(statement.where(item_state.c.stream_id == stream_id, item_state.c.key == key)).rowcount
        for stream_id, key in found
    )


def _letters() -> Select[Any]:
    return select(dead_letter, stream.c.integration, stream.c.job, stream.c.step).join(stream)


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    del row["stream_id"]
    row["key"] = read_key(row["key"])
    return row
