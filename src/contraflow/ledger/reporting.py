"""The part of the ledger that people ask, and in which they decide what a run may not decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from sqlalchemy import func, select, text

from contraflow.errors import LedgerError
from contraflow.ledger import dead_letters, history, intents, leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.keys import display_key, encode_key
from contraflow.ledger.records import (
    UNKNOWN_CONTENT,
    DeadLetter,
    ItemRef,
    ItemsInFlight,
    ItemState,
    ItemStatus,
    Lease,
    StatusCount,
)
from contraflow.ledger.schema import OPEN_ITEMS, intent, item_state, stream
from contraflow_hookspecs import JobExecution, Key

Verdict = Literal["written", "deleted", "resend"]
"""What somebody found out about an item in doubt: the remote has the change, or no longer has the item; or send it again."""


class Reporting(LedgerCore):
    """Executions, dead letters and items, as people ask for them."""

    def executions(self, *, integration: str | None = None, limit: int = 10) -> list[JobExecution]:
        """The latest job executions with their steps, newest first."""
        with self._database.read() as connection:
            return history.latest_executions(connection, integration=integration, limit=limit)

    def dead_letters(
        self, *, integration: str | None = None, job: str | None = None, limit: int = 100, after: int = 0
    ) -> list[DeadLetter]:
        """Up to ``limit`` dead letters by id, those with an id above ``after`` (the last one seen, for the next page)."""
        with self._database.read() as connection:
            return dead_letters.find(connection, integration=integration, job=job, limit=limit, after=after)

    def dead_letter(self, number: int) -> DeadLetter | None:
        """The dead letter with that id, or ``None``."""
        with self._database.read() as connection:
            return dead_letters.get(connection, number)

    def drop_dead_letters(self, numbers: Sequence[int]) -> int:
        """Forget the dead letters with these ids; how many there were. The items stay rejected until they change."""
        with self._database.write() as connection:
            return dead_letters.drop(connection, numbers)

    def retry_dead_letters(self, numbers: Sequence[int]) -> int:
        """Let the next run send the items of these dead letters once more, also where the remote has refused this very
        content before; how many items that are. The letters stay until the items go through.
        """
        with self._database.write() as connection:
            return dead_letters.forget_refusals(connection, numbers)

    def in_flight(self, *, integration: str | None = None) -> list[ItemsInFlight]:
        """What intents without an outcome hold, oldest first: it may have been sent, and recovery has to see to it."""
        query = (
            select(intent.c.id, stream.c.integration, stream.c.job, stream.c.step).join(stream).order_by(intent.c.id)
        )
        if integration is not None:
            query = query.where(stream.c.integration == integration)
        with self._database.read() as connection:
            return [
                ItemsInFlight(*row[1:], found.execution_id, tuple(history.read_key(item.key) for item in found.items))
                for row in connection.execute(query).all()
                for found in intents.find(connection, number=row.id)
            ]

    def counts_by_status(self, *, integration: str | None = None) -> list[StatusCount]:
        """How many items each step of each integration has in each status, in the order of the names."""
        names = (stream.c.integration, stream.c.job, stream.c.step, item_state.c.status)
        query = (
            select(*names, func.count())
            .join_from(item_state, stream, item_state.c.stream_id == stream.c.id)
            .group_by(*names)
            .order_by(*names)
        )
        if integration is not None:
            query = query.where(stream.c.integration == integration)
        with self._database.read() as connection:
            return [StatusCount._make(row) for row in connection.execute(query)]

    def items_in(
        self, status: ItemStatus, *, integration: str | None = None, job: str | None = None, limit: int = 100
    ) -> list[ItemRef]:
        """Up to ``limit`` items with ``status``, by stream and text of the key.

        Quick for ``rejected``, ``deferred`` and ``in_doubt``; for ``written`` and ``deleted`` all items are read.
        """
        query = (
            select(
                stream.c.integration,
                stream.c.job,
                stream.c.step,
                item_state.c.key,
                item_state.c.status,
                item_state.c.execution_id,
            )
            .join_from(item_state, stream, item_state.c.stream_id == stream.c.id)
            .where(item_state.c.status == status)
            .order_by(item_state.c.stream_id, item_state.c.key)
            .limit(limit)
        )
        if status not in ("written", "deleted"):
            query = query.where(text(f"({OPEN_ITEMS})"))
        for column, name in ((stream.c.integration, integration), (stream.c.job, job)):
            if name is not None:
                query = query.where(column == name)
        with self._database.read() as connection:
            return [
                ItemRef(
                    *row[:3], key=history.read_key(row.key), status=cast(ItemStatus, row.status), execution_id=row[5]
                )
                for row in connection.execute(query)
            ]

    def settle_by_hand(
        self, *, integration: str, job: str, step: str, key: Key, verdict: Verdict, lease: Lease | None = None
    ) -> ItemState:
        """Record what somebody found out about an item in doubt.

        Args:
            verdict: ``written``: the remote has what was sent. ``deleted``: it no longer has the item. ``resend``: the next
                run shall send the item as it is then.
            lease: Proves that no run changes the item at the same time.

        Returns:
            The item's new state.

        Raises:
            contraflow.errors.LedgerError: The item is not in doubt, or what was sent is not known.
        """
        item = f"item {display_key(key)} of step '{step}' of job '{job}' into '{integration}'"
        with self._database.write() as connection:
            leases.prove(connection, lease)
            stream_id = history.find_stream(connection, (integration, job, step))
            key_text = encode_key(key)
            states = {} if stream_id is None else self._items.read(connection, stream_id, [key_text])
            state = states.get(key_text)
            if stream_id is None or state is None:
                raise LedgerError(f"the ledger knows no {item}")
            if state.status != "in_doubt":
                raise LedgerError(f"{item} is not in doubt: it is {state.status}")
            settled = _apply(verdict, state)
            if settled is None:
                raise LedgerError(f"the ledger does not know what was last sent for {item}: let it be sent again")
            in_doubt = (
                item_state.c.stream_id == stream_id,
                item_state.c.key == key_text,
                item_state.c.status == "in_doubt",
                item_state.c.generation == state.generation,
            )
            if connection.execute(item_state.update().where(*in_doubt).values(settled._asdict())).rowcount != 1:
                raise LedgerError(f"{item} is being changed by a run; try again when that has ended")
            return settled


def _apply(verdict: Verdict, state: ItemState) -> ItemState | None:
    # Of the fields of what was in doubt nothing is kept but the fingerprint of all.
    known = state._replace(digests=None, payload=None, changed=None, retry_at=None, kept=None)
    if verdict == "resend":
        # Neither the last confirmed content nor the one in doubt: only what differs from both is sure to be sent.
        return known._replace(status="deferred", fingerprint=UNKNOWN_CONTENT)
    if verdict == "deleted":
        return known._replace(status="deleted", fingerprint=None, pending=None, remote_id=None, remote_version=None)
    if state.pending is None:
        return None
    # The version that the remote gave it is not known.
    return known._replace(status="written", fingerprint=state.pending, pending=None, remote_version=None)
