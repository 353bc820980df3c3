"""The ledger as the engine sees it: each public method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, or_, select

from contraflow.ledger import conflicts, dead_letters, history, intents, kinship, leases, streams
from contraflow.ledger.approving import Approving
from contraflow.ledger.auditing import Auditing
from contraflow.ledger.explaining import Explaining
from contraflow.ledger.forgetting import Forgetting
from contraflow.ledger.kinship import Kinship
from contraflow.ledger.leasing import Leasing
from contraflow.ledger.reach import Reach
from contraflow.ledger.records import AWAY, Intent, IntentItem, ItemState, KnownKey, Lease, Settlement, StepRecord
from contraflow.ledger.reporting import Reporting
from contraflow.ledger.restoring import Restoring
from contraflow.ledger.reviewing import Reviewing
from contraflow.ledger.schema import item_state
from contraflow.ledger.witness import Sighting
from contraflow_hookspecs import JobExecution, Key, StepExecution


class Ledger(Leasing, Approving, Reporting, Reach, Reviewing, Restoring, Auditing, Explaining, Forgetting, Kinship):
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
        self._note(Sighting(execution_id, started, ended=False))
        return execution_id

    def finish_job(self, execution: JobExecution, *, lease: Lease | None = None) -> None:
        """Record how the job execution ``execution.id`` ended. Its steps are not touched."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            history.end_job(connection, execution)
        if execution.started is not None:
            self._note(Sighting(execution.id, execution.started, ended=True))

    def _note(self, sighting: Sighting) -> None:
        if self._witness is not None:
            self._witness.note(self.id, sighting)

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

    def confirmed(self, stream_id: int, keys: Sequence[str]) -> dict[str, str | None]:
        """The fingerprints of what the remote holds of those items with the canonical texts ``keys`` that are known.

        ``None`` for an item of which :meth:`item_states` has more to tell: it is not at rest, or its fields are not known.
        """
        if not keys:
            return {}
        with self._database.read() as connection:
            return self._items.confirmed(connection, stream_id, keys)

    def mapping(self, stream_id: int) -> Any:
        """What turned entities into payloads when all of a stream's items were last compared; ``None`` if never."""
        with self._database.read() as connection:
            return streams.mapping(connection, stream_id)

    def note_mapping(self, lease: Lease, stream_id: int, mapping: Mapping[str, Any]) -> None:
        """Record what turns entities into payloads, now that all of a stream's items were compared."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            streams.note_mapping(connection, stream_id, mapping)

    def forget_payloads(self, lease: Lease, stream_id: int) -> None:
        """Remove the payloads of all of a stream's items."""
        with self._database.write() as connection:
            leases.prove(connection, lease)
            streams.forget_payloads(connection, stream_id)

    def known_keys(self, stream_id: int, *, after: str, limit: int) -> list[KnownKey]:
        """Up to ``limit`` items of a stream in the order of their keys, those behind ``after`` (a canonical text, or empty).

        Items that were deleted, archived, or removed by somebody else are left out.
        """
        query = (
            select(item_state.c.key, or_(item_state.c.fingerprint.is_not(None), item_state.c.status == "in_doubt"))
            .where(item_state.c.stream_id == stream_id, item_state.c.key > after)
            .where(item_state.c.status.not_in(AWAY))
            .order_by(item_state.c.key)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [KnownKey(row[0], bool(row[1])) for row in connection.execute(query)]

    # --- a chunk: intend, call the remote, settle ---------------------------------------------------------------------

    def intend(
        self, lease: Lease, *, stream_id: int, execution_id: int, items: Sequence[IntentItem], attempt: int = 1
    ) -> int:
        """Record what is about to be sent. Repeated if the connection is lost, without recording it twice.

        Returns:
            The intent's number, for :class:`Settlement`.
        """
        (number,) = self.intend_all(
            lease, stream_id=stream_id, execution_id=execution_id, chunks=[items], attempt=attempt
        )
        return number

    def intend_all(
        self,
        lease: Lease,
        *,
        stream_id: int,
        execution_id: int,
        chunks: Sequence[Sequence[IntentItem]],
        attempt: int = 1,
    ) -> list[int]:
        """Record what is about to be sent in several calls, in one transaction; an intent for each."""
        tokens = [secrets.token_hex(16) for _ in chunks]

        def work(connection: Connection) -> list[int]:
            leases.prove(connection, lease)
            return [
                intents.record(
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
                for token, items in zip(tokens, chunks, strict=True)
            ]

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
        """Record a chunk's outcomes, as :meth:`settle_all` does with several."""
        return self.settle_all([settlement], lease=lease)

    def settle_all(self, settlements: Sequence[Settlement], *, lease: Lease | None = None) -> bool:
        """Record the outcomes, dead letters, checkpoint and counts of chunks of one step: all or nothing.

        A dead letter for a key that has one already counts one attempt more. ``resolved`` goes first, so a key that is also
        in ``dead_letters`` begins anew. The last counts and the last checkpoint hold.

        With intents, settling the same twice records it once; so it is repeated if the connection is lost.

        Returns:
            ``False`` if the settlements of intents were found recorded, and nothing was changed: by an earlier call, or by
            this one before the connection was lost.
        """

        def work(connection: Connection) -> bool:
            leases.prove(connection, lease)
            return self._settle(connection, settlements)

        if any(settlement.intent_id is not None for settlement in settlements):
            return self._database.repeatably(work)
        with self._database.write() as connection:
            return work(connection)

    def _settle(self, connection: Connection, settlements: Sequence[Settlement]) -> bool:
        for each in settlements:
            if each.intent_id is not None and not intents.settle(
                connection,
                each.intent_id,
                each.unsettled,
                parts=each.parts,
                moment=self._clock(),
                boot=self._boot_clock(),
            ):
                return False
        last = settlements[-1]
        stream_id, execution_id = last.stream_id, last.execution_id
        states = list(chain.from_iterable(each.states for each in settlements))
        if states:
            self._items.write(connection, stream_id, execution_id, states)
        for each in settlements:
            if each.resolved:
                dead_letters.resolve(connection, stream_id, each.resolved, self._items)
                conflicts.resolve(connection, stream_id, each.resolved, self._items)
            if each.dead_letters:
                dead_letters.record(connection, stream_id, execution_id, each.dead_letters, self._clock())
            if each.conflicts:
                conflicts.record(connection, stream_id, execution_id, each.conflicts, self._clock())
        if referring := list(chain.from_iterable(each.references for each in settlements)):
            kinship.record(connection, stream_id, referring, self._items)
        if any(each.renumbered for each in settlements):
            streams.note_renumbered(connection, stream_id, execution_id)
        checkpoints = [each.checkpoint for each in settlements if each.checkpoint is not None]
        history.advance_step(
            connection,
            last.step_execution_id,
            checkpoint=checkpoints[-1] if checkpoints else None,
            counts=last.counts,
        )
        return True
