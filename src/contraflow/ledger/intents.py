"""What is about to be sent, on record before it is sent, until its outcome is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, func, select
from sqlalchemy.sql.dml import ReturningInsert

from contraflow.errors import LedgerError
from contraflow.ledger.boot_clock import BootMoment
from contraflow.ledger.failures import foreign_row
from contraflow.ledger.records import Intent, IntentItem
from contraflow.ledger.schema import intent
from contraflow.ledger.upsert import insert_into

_DELETE = intent.delete().where(intent.c.id == bindparam("intent_id"))


def record(
    connection: Connection,
    *,
    token: str,
    stream_id: int,
    execution_id: int,
    epoch: int,
    attempt: int,
    items: Sequence[IntentItem],
    moment: datetime,
    boot: BootMoment,
) -> int:
    """Record an intent; its number. ``token`` tells a repetition, which changes nothing, from another intent."""
    row = {
        "token": token,
        "stream_id": stream_id,
        "execution_id": execution_id,
        "epoch": epoch,
        "attempt": attempt,
        "parts": 0,
        "recoveries": 0,
        "returned": False,
        "boot_id": boot.boot_id,
        "boot_time": boot.seconds,
        "recorded": moment,
        "items": _spell(items),
    }
    number = connection.execute(_insert(connection.dialect.name), row).scalar_one_or_none()
    if number is None:
        number = connection.execute(select(intent.c.id).where(intent.c.token == token)).scalar_one()
    return int(number)


def find(connection: Connection, stream_id: int | None = None, *, number: int | None = None) -> list[Intent]:
    """The intents of a stream, or the one of that number, oldest first."""
    query = select(intent).order_by(intent.c.id)
    query = query.where(intent.c.stream_id == stream_id if number is None else intent.c.id == number)
    return [_intent(row) for row in connection.execute(query)]


def count(connection: Connection, stream_id: int) -> int:
    """How many intents a stream has."""
    return int(connection.execute(select(func.count()).where(intent.c.stream_id == stream_id)).scalar_one())


def adopt(connection: Connection, intent_id: int, epoch: int) -> None:
    """Make an intent that a former run left over one of ``epoch``, and count that; once in an epoch."""
    statement = intent.update().where(intent.c.id == intent_id, intent.c.epoch != epoch)
    if connection.execute(statement.values(epoch=epoch, recoveries=intent.c.recoveries + 1)).rowcount != 1:
        _require(connection, intent_id)


def end_in_order(connection: Connection, stream_id: int) -> None:
    """Note that the process that held a stream's intents did not die over them: what is counted starts anew."""
    connection.execute(intent.update().where(intent.c.stream_id == stream_id).values(recoveries=-1))


def retry(
    connection: Connection,
    intent_id: int,
    *,
    attempt: int,
    items: Sequence[IntentItem] | None,
    moment: datetime,
    boot: BootMoment,
) -> None:
    """Record that an intent is about to be sent again."""
    values: dict[str, Any] = {
        "attempt": attempt,
        "returned": False,
        "boot_id": boot.boot_id,
        "boot_time": boot.seconds,
        "recorded": moment,
    }
    if items is not None:
        values["items"] = _spell(items)
    if connection.execute(intent.update().where(intent.c.id == intent_id).values(values)).rowcount != 1:
        _require(connection, intent_id)


def settle(
    connection: Connection,
    intent_id: int,
    unsettled: Sequence[IntentItem],
    *,
    parts: int,
    moment: datetime,
    boot: BootMoment,
) -> bool:
    """Take the intent away, or leave the ``unsettled`` of it; ``False`` if that has been done already."""
    if unsettled:
        reduced = (
            intent.update()
            .where(intent.c.id == intent_id, intent.c.parts == parts)
            .values(
                items=_spell(unsettled),
                parts=parts + 1,
                returned=True,
                boot_id=boot.boot_id,
                boot_time=boot.seconds,
                recorded=moment,
            )
        )
        return connection.execute(reduced).rowcount == 1
    return connection.execute(_DELETE, {"intent_id": intent_id}).rowcount == 1


@cache
def _insert(dialect: str) -> ReturningInsert[tuple[Any]]:
    """Made once, as :data:`_DELETE` is: each is needed once a chunk."""
    return insert_into(intent, dialect).on_conflict_do_nothing(index_elements=["token"]).returning(intent.c.id)


def _require(connection: Connection, intent_id: int) -> None:
    if connection.execute(select(intent.c.id).where(intent.c.id == intent_id)).one_or_none() is None:
        raise LedgerError(f"the ledger knows no intent {intent_id}")


def _spell(items: Sequence[IntentItem]) -> bytes:
    """As lists, not objects: the field names would make half of the text."""
    try:
        return orjson.dumps(list(map(tuple, items)))
    except TypeError:  # a lone surrogate, which only the slower one can spell
        return json.dumps(items, separators=(",", ":")).encode()


def _intent(row: Row[Any]) -> Intent:
    try:
        items = tuple(IntentItem(*item) for item in json.loads(row._mapping["items"]))
    except (ValueError, TypeError, RecursionError):
        raise foreign_row("the items of an intent") from None
    values = row._asdict()
    del values["token"], values["items"]
    return Intent(**values, items=items)
