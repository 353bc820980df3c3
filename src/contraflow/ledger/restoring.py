"""The part of the ledger that deals with having been put back: an older copy of itself, from a backup or a snapshot."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select

from contraflow.ledger import history, leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import UNKNOWN_CONTENT, Lease
from contraflow.ledger.schema import item_state, ledger, stream
from contraflow.ledger.witness import contradiction


class StreamName(NamedTuple):
    """A step of a job into an integration."""

    integration: str
    job: str
    step: str


class Restoring(LedgerCore):
    """What an older copy does not know, and what must not be built upon it."""

    def contradiction(self) -> str | None:
        """What shows that the ledger is older than this project has seen it, or another; ``None`` if nothing does."""
        seen = None if self._witness is None else self._witness.recall(self.id)
        if seen is None:
            return None
        with self._database.read() as connection:
            return contradiction(connection, seen)

    def accept_restored(self, known: Collection[StreamName], held: Collection[StreamName]) -> None:
        """Go on with an older copy: nothing that it says of the remote is believed any more.

        The ledger gets a new id, so that no idempotency key is used a second time for something else, and no witness of what
        it was before refuses it. Until a run has been through all of a stream, its items count as restored.

        Args:
            known: All streams that may have been written, also those that the copy does not know.
            held: Those of them whose items cannot be sent again, and whose remote cannot be asked: what they hold is still
                compared, since only what differs is held.
        """
        with self._database.write() as connection:
            for names in known:
                history.make_stream(connection, names)
            identity = secrets.token_hex(16)
            connection.execute(ledger.update().values(id=identity))
            connection.execute(stream.update().values(restored=True, mapping=None, cursor=None, swept=None))
            for row in connection.execute(select(stream)).all():
                if StreamName(row.integration, row.job, row.step) not in held:
                    forgotten = item_state.update().where(
                        item_state.c.stream_id == row.id, item_state.c.fingerprint.is_not(None)
                    )
                    connection.execute(forgotten.values(fingerprint=UNKNOWN_CONTENT, digests=None, payload=None))
        self.id = identity

    def trust_again(self, lease: Lease, stream_id: int) -> None:
        """Note that a run has been through all items of a restored stream."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            connection.execute(stream.update().where(stream.c.id == stream_id).values(restored=False))
