"""The ledger as the engine sees it: each public method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

from sqlalchemy import func, select, text

from contraflow.ledger import dead_letters, history
from contraflow.ledger.database import Database
from contraflow.ledger.items import item_store
from contraflow.ledger.records import (
    DeadLetter,
    ItemRef,
    ItemState,
    ItemStatus,
    Settlement,
    StatusCount,
    StepRecord,
)
from contraflow.ledger.schema import OPEN_ITEMS, item_state, stream
from contraflow_hookspecs import JobExecution, Key, StepExecution


class Ledger:
    """What was sent, what came back, and what is still owed. Made by :func:`contraflow.ledger.open_ledger`.

    A context manager; usable from several threads. Every method raises :class:`contraflow.errors.LedgerError` if the
    database fails it, and has then changed nothing.
    """

    def __init__(self, database: Database, identity: str, clock: Callable[[], datetime]) -> None:
        self.id = identity
        """Random text, made with the ledger: two ledgers never have the same."""
        self.display_url = database.display
        """Where the ledger lies, without password."""
        self._database = database
        self._clock = clock
        self._items = item_store(database.dialect)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Closing twice does no harm."""
        self._database.close()

    # --- a run -------------------------------------------------------------------------------------------------------

    def start_job(self, *, integration: str, job: str, parameters: Mapping[str, Any], started: datetime) -> int:
        """Record that a job began.

        Args:
            parameters: The run's parameters, without secrets. What JSON cannot spell is kept as its ``str``.
            started: With a time zone, as all moments in the ledger.

        Returns:
            The job execution's number.
        """
        with self._database.write() as connection:
            return history.begin_job(
                connection, integration=integration, job=job, parameters=parameters, started=started
            )

    def finish_job(self, execution: JobExecution) -> None:
        """Record how the job execution ``execution.id`` ended. Its steps are not touched."""
        with self._database.write() as connection:
            history.end_job(connection, execution)

    def start_step(
        self,
        execution_id: int,
        *,
        integration: str,
        job: str,
        step: str,
        total: int | None,
        started: datetime,
        checkpoint: Key | None = None,
    ) -> StepRecord:
        """Record that a step began.

        Args:
            execution_id: The job execution's number.
            total: How many items are expected, if known.
            checkpoint: Where the step resumes, as :meth:`checkpoint` told before: without it, a step that fails before its
                first chunk would make the next run begin anew.
        """
        with self._database.write() as connection:
            return history.begin_step(
                connection,
                execution_id=execution_id,
                names=(integration, job, step),
                total=total,
                started=started,
                checkpoint=checkpoint,
            )

    def finish_step(self, step_execution_id: int, execution: StepExecution) -> None:
        """Record how a step ended. Its checkpoint stays as the last settlement left it."""
        with self._database.write() as connection:
            history.end_step(connection, step_execution_id, execution)

    def checkpoint(self, *, integration: str, job: str, step: str) -> Key | None:
        """Where the step may resume: the checkpoint of its latest execution, if that did not complete.

        To be asked before :meth:`start_step`, which makes a new latest execution.
        """
        with self._database.read() as connection:
            return history.resume_point(connection, (integration, job, step))

    def item_states(self, stream_id: int, keys: Sequence[str]) -> dict[str, ItemState]:
        """What is known of the items with the canonical texts ``keys``; unknown items are left out."""
        if not keys:
            return {}
        with self._database.read() as connection:
            return self._items.read(connection, stream_id, keys)

    def settle(self, settlement: Settlement) -> None:
        """Record a chunk's outcomes, dead letters, checkpoint and counts: all or nothing.

        A dead letter for a key that has one already counts one attempt more. ``resolved`` goes first, so a key that is also
        in ``dead_letters`` begins anew.
        """
        stream_id, execution_id = settlement.stream_id, settlement.execution_id
        with self._database.write() as connection:
            if settlement.states:
                self._items.write(connection, stream_id, execution_id, settlement.states)
            if settlement.resolved:
                dead_letters.resolve(connection, stream_id, settlement.resolved, self._items)
            if settlement.dead_letters:
                dead_letters.record(connection, stream_id, execution_id, settlement.dead_letters, self._clock())
            history.advance_step(
                connection,
                settlement.step_execution_id,
                checkpoint=settlement.checkpoint,
                counts=settlement.counts,
            )

    # --- for people --------------------------------------------------------------------------------------------------

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
