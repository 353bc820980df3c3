"""The part of the ledger that keeps what somebody approved of: what passed a limit, and plans."""

from __future__ import annotations

from sqlalchemy import func, select

from contraflow.ledger import leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import Lease
from contraflow.ledger.schema import approval, item_state, plan


class Approving(LedgerCore):
    """Approvals, plans that were applied, and the number that limits are held against."""

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

    def knows_plan(self, digest: str) -> bool:
        """Whether somebody began to apply a plan."""
        with self._database.read() as connection:
            return connection.execute(select(plan.c.digest).where(plan.c.digest == digest)).first() is not None

    def begin_plan(self, lease: Lease, digest: str) -> int | None:
        """Record that a plan is about to be applied; one that was begun and not carried out to its end is gone on with.

        Returns:
            The execution that has applied it; ``None`` if none has, and it may be applied now.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            row = connection.execute(select(plan.c.execution_id).where(plan.c.digest == digest)).first()
            if row is not None:
                return None if row.execution_id is None else int(row.execution_id)
            connection.execute(
                plan.insert().values(
                    digest=digest, integration=lease.integration, job=lease.job, begun=self._clock(), execution_id=None
                )
            )
            return None

    def finish_plan(self, lease: Lease, digest: str, execution_id: int) -> None:
        """Record which execution has applied a plan."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            connection.execute(plan.update().where(plan.c.digest == digest).values(execution_id=execution_id))
