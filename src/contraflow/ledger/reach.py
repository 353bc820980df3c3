"""How far a step was read into an integration, and which of its items are open."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select, text

from contraflow.ledger import leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.history import read_key
from contraflow.ledger.keys import encode_position
from contraflow.ledger.records import ItemStatus, Lease, StreamState
from contraflow.ledger.schema import OPEN_ITEMS, item_state, job_execution, stream
from contraflow_hookspecs import Key


class Reach(LedgerCore):
    """What a run that reads only what changed has to know of the runs before."""

    def stream(self, *, integration: str, job: str, step: str) -> StreamState | None:
        """What is known of a step's stream; ``None`` before its first run."""
        query = (
            select(
                stream.c.id,
                stream.c.mapping,
                stream.c.cursor,
                stream.c.swept,
                job_execution.c.started,
                stream.c.restored,
                stream.c.renumbered,
            )
            .join_from(stream, job_execution, job_execution.c.id == stream.c.swept, isouter=True)
            .where(stream.c.integration == integration, stream.c.job == job, stream.c.step == step)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else StreamState._make(row)

    def note_read(self, lease: Lease, stream_id: int, *, cursor: Key | None, swept: int | None) -> None:
        """Record that a step has read all that it was to read.

        Args:
            cursor: The position that it came to; ``None`` leaves the one recorded before.
            swept: The job execution, if it has compared all of the source with the ledger.
        """
        values: dict[str, Any] = {}
        if cursor is not None:
            values["cursor"] = encode_position(cursor)
        if swept is not None:
            values["swept"] = swept
        with self._database.write() as connection:
            leases.prove(connection, lease)
            if values:
                connection.execute(stream.update().where(stream.c.id == stream_id).values(values))

    def open_items(
        self, stream_id: int, status: ItemStatus, *, before: int, after: Key | None = None, limit: int = 100
    ) -> list[Key]:
        """Keys of items with an open status which the job execution ``before`` has not touched, in the order of their texts.

        Args:
            after: The last key of the page before.
        """
        query = (
            select(item_state.c.key)
            .where(item_state.c.status == status, item_state.c.stream_id == stream_id)
            .where(item_state.c.execution_id != before, text(f"({OPEN_ITEMS})"))
            .order_by(item_state.c.key)
            .limit(limit)
        )
        return self._keys(query, after)

    def waiting_items(
        self, stream_id: int, execution_id: int, *, after: Key | None = None, limit: int = 100
    ) -> list[Key]:
        """Keys of items that a job execution put off although nothing was tried: they wait for a parent.

        Args:
            after: The last key of the page before.
        """
        query = (
            select(item_state.c.key)
            .where(item_state.c.status == "deferred", item_state.c.stream_id == stream_id)
            .where(item_state.c.pending.is_(None), item_state.c.execution_id == execution_id, text(f"({OPEN_ITEMS})"))
            .order_by(item_state.c.key)
            .limit(limit)
        )
        return self._keys(query, after)

    def _keys(self, query: Select[str], after: Key | None) -> list[Key]:
        if after is not None:
            query = query.where(item_state.c.key > encode_position(after))
        with self._database.read() as connection:
            return [read_key(key) for key in connection.scalars(query)]
