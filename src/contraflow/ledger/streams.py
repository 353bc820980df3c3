"""What the ledger remembers of a step into an integration as a whole."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from contraflow.ledger.schema import item_state, stream


def mapping(connection: Connection, stream_id: int) -> Any:
    """What turned entities into payloads when all of them were last compared; ``None`` if that is not known."""
    return connection.execute(select(stream.c.mapping).where(stream.c.id == stream_id)).scalar_one_or_none()


def note_mapping(connection: Connection, stream_id: int, value: Any) -> None:
    """Record what turns entities into payloads, now that all of them were compared."""
    connection.execute(stream.update().where(stream.c.id == stream_id).values(mapping=value))


def note_renumbered(connection: Connection, stream_id: int, execution_id: int) -> None:
    """Record that the remote gave some item another id than it had before."""
    connection.execute(stream.update().where(stream.c.id == stream_id).values(renumbered=execution_id))


def forget_payloads(connection: Connection, stream_id: int) -> None:
    """Remove the payloads of all items; their digests stay."""
    kept = (item_state.c.stream_id == stream_id, item_state.c.payload.is_not(None))
    connection.execute(item_state.update().where(*kept).values(payload=None))
