"""The ledger as the engine sees it: each public method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from contraflow.ledger import dead_letters, history, intents, leases
from contraflow.ledger.leasing import Leasing
from contraflow.ledger.records import Intent, IntentItem, ItemState, Lease, Settlement, StepRecord
from contraflow.ledger.reporting import Reporting
from contraflow_hookspecs import JobExecution, Key, StepExecution


class Ledger(Leasing, Reporting):
    """What was sent, what came back, and what is still owed. Made by :func:`contraflow.ledger.open_ledger`.

    A context manager; usable from several threads. Every method raises :class:`contraflow.errors.LedgerError` if the
    database fails it, and has then changed nothing. One that is given a ``lease`` proves it in the same transaction, and
    raises :class:`contraflow.errors.FencedError`, having changed nothing, if somebody else has taken it over.
    """

    def start_job(
        self,
        *,
        integration: str,
        job: str,
        parameters: Mapping[str, Any],
        started: datetime,
        lease: Lease | None = None,
    ) -> int:
        """Record that a job began.

        Args:
            parameters: The run's parameters, without secrets. What JSON cannot spell is kept as its ``str``.
            started: With a time zone, as all moments in the ledger.

        Returns:
            The job execution's number.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            execution_id = history.begin_job(
                connection,
                integration=integration,
                job=job,
                parameters=parameters,
                started=started,
                epoch=None if lease is None else lease.epoch,
            )
            if lease is not None:
                leases.note_execution(connection, lease, execution_id)
            return execution_id

    def finish_job(self, execution: JobExecution, *, lease: Lease | None = None) -> None:
        """Record how the job execution ``execution.id`` ended. Its steps are not touched."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            history.end_job(connection, execution)

    def interrupt_executions(self, lease: Lease, *, exit_code: str, reason: str, ended: datetime) -> list[int]:
        """Record as failed what former holders of the lease left open: their job executions, and the steps of these.

        Checkpoints and counts stay, so that the steps can be resumed.

        Returns:
            The numbers of these job executions, oldest first.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            return history.interrupt(connection, lease, exit_code=exit_code, reason=reason, ended=ended)

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
        request: str | None = None,
        lease: Lease | None = None,
    ) -> StepRecord:
        """Record that a step began.

        Args:
            execution_id: The job execution's number.
            total: How many items are expected, if known.
            checkpoint: Where the step resumes, as :meth:`checkpoint` told before: without it, a step that fails before its
                first chunk would make the next run begin anew.
            request: Digest of what the step was asked (filter and parameters): only the same request may be resumed.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            return history.begin_step(
                connection,
                execution_id=execution_id,
                names=(integration, job, step),
                total=total,
                started=started,
                checkpoint=checkpoint,
                request=request,
            )

    def finish_step(self, step_execution_id: int, execution: StepExecution, *, lease: Lease | None = None) -> None:
        """Record how a step ended. Its checkpoint stays as the last settlement left it."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            history.end_step(connection, step_execution_id, execution)

    def checkpoint(self, *, integration: str, job: str, step: str, request: str | None = None) -> Key | None:
        """Where the step may resume: the checkpoint of its latest execution for ``request``, if that did not complete.

        To be asked before :meth:`start_step`, which makes a new latest execution.
        """
        with self._database.read() as connection:
            return history.resume_point(connection, (integration, job, step), request)

    def item_states(self, stream_id: int, keys: Sequence[str]) -> dict[str, ItemState]:
        """What is known of the items with the canonical texts ``keys``; unknown items are left out."""
        if not keys:
            return {}
        with self._database.read() as connection:
            return self._items.read(connection, stream_id, keys)

    # --- a chunk: intend, call the remote, settle ---------------------------------------------------------------------

    def intend(
        self, lease: Lease, *, stream_id: int, execution_id: int, items: Sequence[IntentItem], attempt: int = 1
    ) -> int:
        """Record what is about to be sent. Repeated if the connection is lost, without recording it twice.

        Returns:
            The intent's number, for :class:`Settlement`.
        """
        token = secrets.token_hex(16)

        def work(connection: Connection) -> int:
            leases.prove(connection, lease)
            return intents.record(
                connection,
                token=token,
                stream_id=stream_id,
                execution_id=execution_id,
                epoch=lease.epoch,
                attempt=attempt,
                items=items,
                moment=self._clock(),
                boot=self._boot_clock(),
            )

        return self._database.repeatably(work)

    def intents(self, stream_id: int) -> list[Intent]:
        """What may have been sent and has no outcome yet, oldest first."""
        with self._database.read() as connection:
            return intents.find(connection, stream_id)

    def adopt_intent(self, lease: Lease, intent_id: int) -> None:
        """Begin to recover an intent that a former run left: it becomes one of this epoch, and ``recoveries`` grows by one.

        Adopting it again under the same lease changes nothing.
        """

        def work(connection: Connection) -> None:
            leases.prove(connection, lease)
            intents.adopt(connection, intent_id, lease.epoch)

        self._database.repeatably(work)

    def end_in_order(self, lease: Lease, stream_id: int) -> None:
        """Note that a step ended without dying, whatever it left: its intents' ``recoveries`` start anew."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            intents.end_in_order(connection, stream_id)

    def retry_intent(
        self, lease: Lease, intent_id: int, attempt: int, items: Sequence[IntentItem] | None = None
    ) -> None:
        """Record that an intent is about to be sent again, at this moment.

        Args:
            attempt: The number of the attempt, from 1.
            items: What is still in flight, if that has changed.
        """

        def work(connection: Connection) -> None:
            leases.prove(connection, lease)
            intents.retry(
                connection, intent_id, attempt=attempt, items=items, moment=self._clock(), boot=self._boot_clock()
            )

        self._database.repeatably(work)

    def settle(self, settlement: Settlement, *, lease: Lease | None = None) -> bool:
        """Record a chunk's outcomes, dead letters, checkpoint and counts: all or nothing.

        A dead letter for a key that has one already counts one attempt more. ``resolved`` goes first, so a key that is also
        in ``dead_letters`` begins anew.

        With an intent, settling the same twice records it once; so it is repeated if the connection is lost.

        Returns:
            ``False`` if this settlement of an intent was found recorded, and nothing was changed: by an earlier call, or by
            this one before the connection was lost.
        """

        def work(connection: Connection) -> bool:
            leases.prove(connection, lease)
            return self._settle(connection, settlement)

        if settlement.intent_id is not None:
            return self._database.repeatably(work)
        with self._database.write() as connection:
            return work(connection)

    def _settle(self, connection: Connection, settlement: Settlement) -> bool:
        stream_id, execution_id = settlement.stream_id, settlement.execution_id
        if settlement.intent_id is not None and not intents.settle(
            connection, settlement.intent_id, settlement.unsettled, settlement.parts
        ):
            return False
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
        return True
