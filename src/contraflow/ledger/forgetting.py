"""Forget one item: all that names it or tells of it goes, but a digest by which it is known again, so that it stays away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from contraflow.ledger import leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.history import read_key
from contraflow.ledger.keys import decode_key, display_key
from contraflow.ledger.records import UNKNOWN_CONTENT, ItemState, Lease
from contraflow.ledger.schema import (
    conflict,
    dead_letter,
    forgetting,
    forgotten,
    item_state,
    job_execution,
    reference,
    request,
    step_execution,
    stream,
)
from contraflow_hookspecs import Key

_SOMETHING = "(forgotten)"


class BegunForgetting(NamedTuple):
    """A record that is to be forgotten, and is not everywhere yet."""

    entity: str
    key: Key
    begun: datetime


class Forgetting(LedgerCore):
    """Items that are forgotten, and those that were linked anew."""

    def begin_forgetting(self, entity: str, key: str) -> None:
        """Record that a record (canonical text) is about to be forgotten; what is begun already stays as it is."""
        mine = (forgetting.c.entity == entity, forgetting.c.key == key)
        with self._database.write() as connection:
            if connection.execute(select(forgetting.c.begun).where(*mine)).first() is None:
                connection.execute(forgetting.insert().values(entity=entity, key=key, begun=self._clock()))

    def begun_forgettings(self) -> list[BegunForgetting]:
        """Those that have not come to their end, oldest first."""
        query = select(forgetting.c.entity, forgetting.c.key, forgetting.c.begun).order_by(forgetting.c.begun)
        with self._database.read() as connection:
            return [BegunForgetting(row.entity, read_key(row.key), row.begun) for row in connection.execute(query)]

    def end_forgetting(self, entity: str, key: str) -> None:
        """Record that it is done, by recording nothing of it any more."""
        with self._database.write() as connection:
            connection.execute(delete(forgetting).where(forgetting.c.entity == entity, forgetting.c.key == key))

    def forget_item(self, lease: Lease, stream_id: int, key: str, *, referring: Sequence[tuple[int, str]] = ()) -> None:
        """Remove all that the stream, and the job of the lease, know of an item, and keep a digest of its key.

        Args:
            referring: The streams whose items may refer to it, with the names of these references: they forget that they do.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            for table in (item_state, dead_letter, conflict, reference):
                connection.execute(delete(table).where(table.c.stream_id == stream_id, table.c.key == key))
            for child, name in referring:
                mine = (reference.c.stream_id == child, reference.c.name == name, reference.c.parent == key)
                connection.execute(delete(reference).where(*mine))
            _blot_executions(connection, lease, stream_id, decode_key(key))
            _blot_requests(connection, lease, decode_key(key))
            _blot_positions(connection, stream_id, decode_key(key))
            digest = self._digest(stream_id, key)
            known = select(forgotten.c.digest).where(forgotten.c.stream_id == stream_id, forgotten.c.digest == digest)
            if connection.execute(known).first() is None:
                connection.execute(forgotten.insert().values(stream_id=stream_id, digest=digest))

    def forgotten(self, stream_id: int) -> Callable[[str], bool] | None:
        """Tells of a key (canonical text) whether its item is forgotten; ``None`` if none of the stream is."""
        query = select(forgotten.c.digest).where(forgotten.c.stream_id == stream_id)
        with self._database.read() as connection:
            digests = frozenset(connection.execute(query).scalars())
        return (lambda key: self._digest(stream_id, key) in digests) if digests else None

    def allow_again(self, lease: Lease, stream_id: int, key: str) -> bool:
        """Let a forgotten item be sent again; whether it was forgotten."""
        mine = (forgotten.c.stream_id == stream_id, forgotten.c.digest == self._digest(stream_id, key))
        with self._database.write() as connection:
            leases.prove(connection, lease)
            return connection.execute(delete(forgotten).where(*mine)).rowcount > 0

    def relink(self, lease: Lease, stream_id: int, key: str, remote_id: str) -> ItemState:
        """Link an item to another record of the remote; what that holds is not known, so the next run sends ours.

        Returns:
            The item's new state; of an item that was never seen, one that was never sent.
        """
        mine = (item_state.c.stream_id == stream_id, item_state.c.key == key)
        with self._database.write() as connection:
            leases.prove(connection, lease)
            known = self._items.read(connection, stream_id, [key]).get(key)
            sent = known is not None and (known.fingerprint is not None or known.status == "gone")
            state = ItemState(
                key,
                "deferred",
                0 if known is None else known.generation,
                UNKNOWN_CONTENT if sent else None,
                remote_id=remote_id,
            )
            execution = connection.execute(select(item_state.c.execution_id).where(*mine)).scalar_one_or_none()
            self._items.write(connection, stream_id, execution or 0, [state])
            return state

    def linked_to(self, stream_id: int, remote_id: str) -> list[Key]:
        """The items of a stream that are linked to a record of the remote."""
        query = select(item_state.c.key).where(item_state.c.stream_id == stream_id, item_state.c.remote_id == remote_id)
        with self._database.read() as connection:
            return [read_key(key) for key in connection.execute(query).scalars()]

    def _digest(self, stream_id: int, key: str) -> str:
        """Keyed with the ledger's id, so that two ledgers have nothing in common that could be compared."""
        text = f"{stream_id}\0{key}".encode()
        return hashlib.blake2b(text, key=self.id.encode()[:64], digest_size=16).hexdigest()


def _blot_executions(connection: Connection, lease: Lease, stream_id: int, key: Key) -> None:
    """Take the key out of what was asked of the job's executions, and out of what they said."""
    jobs = select(job_execution.c.id, job_execution.c.parameters).where(
        job_execution.c.integration == lease.integration, job_execution.c.job == lease.job
    )
    for row in connection.execute(jobs).all():
        blotted = _without(row.parameters, key)
        if blotted != row.parameters:
            connection.execute(job_execution.update().where(job_execution.c.id == row.id).values(parameters=blotted))
    words = f"{display_key(key)}: "
    lines_of = select(step_execution.c.id, step_execution.c.errors, step_execution.c.notes).where(
        step_execution.c.stream_id == stream_id
    )
    for said in connection.execute(lines_of).all():
        values = {
            name: [_SOMETHING if line.startswith(words) else line for line in lines or []]
            for name, lines in (("errors", said.errors), ("notes", said.notes))
        }
        if values != {"errors": said.errors or [], "notes": said.notes or []}:
            connection.execute(step_execution.update().where(step_execution.c.id == said.id).values(values))


def _blot_requests(connection: Connection, lease: Lease, key: Key) -> None:
    mine = (request.c.integration == lease.integration, request.c.job == lease.job)
    for row in connection.execute(select(request.c.id, request.c.body).where(*mine)).all():
        blotted = _without(row.body, key)
        if blotted != row.body:
            connection.execute(request.update().where(request.c.id == row.id).values(body=blotted))


def _blot_positions(connection: Connection, stream_id: int, key: Key) -> None:
    """Forget how far the stream was read, where that is the key or ends with it: the next run reads from the beginning."""
    checkpoints = select(step_execution.c.id, step_execution.c.checkpoint).where(
        step_execution.c.stream_id == stream_id, step_execution.c.checkpoint.is_not(None)
    )
    for row in connection.execute(checkpoints).all():
        if _ends_with(row.checkpoint, key):
            connection.execute(step_execution.update().where(step_execution.c.id == row.id).values(checkpoint=None))
    cursor = connection.execute(select(stream.c.cursor).where(stream.c.id == stream_id)).scalar_one_or_none()
    if cursor is not None and _ends_with(cursor, key):
        connection.execute(stream.update().where(stream.c.id == stream_id).values(cursor=None))


def _ends_with(position: str, key: Key) -> bool:
    return read_key(position)[-len(key) :] == key


def _without(body: Any, key: Key) -> Any:
    """A request's or an execution's parameters without an id, however it was spelt."""
    if not isinstance(body, dict) or "ids" not in body or body["ids"] is None:
        return body
    given = body["ids"]
    many = given if isinstance(given, list) else [given]
    return {**body, "ids": [each for each in many if not _is(each, key)]}


def _is(spelt: Any, key: Key) -> bool:
    values = list(spelt.values()) if isinstance(spelt, dict) else spelt if isinstance(spelt, list) else [spelt]
    if isinstance(spelt, str) and len(key) > 1:
        try:
            values = list(json.loads(spelt).values())
        except (ValueError, AttributeError):
            values = [part.partition("=")[2] for part in spelt.split(",")]
    return sorted(map(str, values)) == sorted(map(str, key))
