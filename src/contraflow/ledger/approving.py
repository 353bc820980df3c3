"""The part of the ledger that keeps what somebody approved of although it passed a limit."""

from __future__ import annotations

from sqlalchemy import func, select

from contraflow.ledger import leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import Lease
from contraflow.ledger.schema import approval, item_state


class Approving(LedgerCore):
    """Approvals, and the number that limits are held against."""

    def known_items(self, stream_id: int) -> int:
        """How many items the remote holds from a step, as far as anybody knows. Looks at all of them."""
        query = select(func.count()).where(
            item_state.c.stream_id == stream_id,
            item_state.c.fingerprint.is_not(None),
            item_state.c.status.not_in(("deleted", "archived", "gone")),
        )
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def approvals(self, stream_id: int) -> int:
        """How many approvals a step has used up."""
        with self._database.read() as connection:
            query = select(func.count()).where(approval.c.stream_id == stream_id)
            return int(connection.execute(query).scalar_one())

    def use_approval(self, lease: Lease, stream_id: int, digest: str, execution_id: int) -> None:
        """Record that an execution was let through."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            connection.execute(
                approval.insert().values(
                    stream_id=stream_id, digest=digest, execution_id=execution_id, recorded=self._clock()
                )
            )
