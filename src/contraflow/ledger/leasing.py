"""The part of the ledger that decides who runs a job, and keeps what others ask of it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contraflow.ledger import leases, requests
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.liveness import JobLock, Liveness, SessionLock, lock_file, session_key
from contraflow.ledger.records import Lease, LeaseState, Request


class Leasing(LedgerCore):
    """Leases, and requests that wait for them."""

    def lease_state(self, integration: str, job: str) -> LeaseState | None:
        """Who holds, or last held, the lease of a job; ``None`` if nobody ever did."""
        with self._database.read() as connection:
            return leases.find(connection, integration, job)

    def take_lease(
        self,
        integration: str,
        job: str,
        *,
        owner: str,
        host: str,
        pid: int,
        since: datetime,
        seen: LeaseState | None = None,
    ) -> Lease | None:
        """Take the lease of a job under the next epoch.

        It is given if it is free, or if its epoch and beat are still those of ``seen``: the caller found its holder dead.

        Args:
            owner: Text that no other run has.
            host: Of the caller, for people, as is ``pid``.
            since: The present moment.
            seen: The state at which the holder stopped.

        Returns:
            ``None`` if somebody else holds it.
        """
        with self._database.write() as connection:
            return leases.take(connection, integration, job, owner=owner, host=host, pid=pid, since=since, seen=seen)

    def liveness(self, integration: str, job: str) -> Liveness:
        """A new, unlocked lock that dies with its holder. Take it before the lease and release it after."""
        if self._path is not None:
            return JobLock(lock_file(self._path, integration, job))
        return SessionLock(self._database, session_key(self.id, integration, job))

    def beat(self, lease: Lease) -> bool:
        """Show that the holder lives; ``False`` if the lease is lost."""
        with self._database.write() as connection:
            return leases.beat(connection, lease)

    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if it has been lost."""
        with self._database.write() as connection:
            leases.release(connection, lease, only_if_idle=False)

    def release_if_idle(self, lease: Lease) -> bool:
        """Give the lease back unless a request waits for this job. One that was taken and not finished does not wait.

        Together with a try to take the lease *after* :meth:`add_request`, this leaves no request lying: either the holder
        still sees it, or the lease is free for whoever made it.

        Returns:
            ``False`` if a request waits, and the lease is still held.
        """
        with self._database.write() as connection:
            return leases.release(connection, lease, only_if_idle=True)

    def request_stop(self, integration: str, job: str) -> LeaseState | None:
        """Ask the holder of a lease to stop. Who that is, or ``None`` if nobody holds it."""
        with self._database.write() as connection:
            return leases.ask_to_stop(connection, integration, job)

    def stop_requested(self, lease: Lease) -> bool:
        """Whether somebody asked this holder to stop."""
        with self._database.read() as connection:
            return leases.is_asked_to_stop(connection, lease)

    # --- requests that came while the job ran -------------------------------------------------------------------------

    def add_request(self, integration: str, job: str, body: Mapping[str, Any]) -> bool:
        """Record that the job is to run again with ``body`` (JSON values). Try to take the lease once more afterwards.

        Returns:
            ``False`` if the same request is waiting already. One that is being carried out does not count: it may have read
            its items before this one was made.
        """
        with self._database.write() as connection:
            leases.hold_still(connection, integration, job)
            return requests.add(connection, integration, job, body, self._clock())

    def take_requests(self, lease: Lease) -> list[Request]:
        """Begin the requests that wait, and those that a former run began and did not finish; oldest first.

        They stay in the ledger until :meth:`finish_request`. A second call returns only what came since.

        Raises:
            contraflow.errors.FencedError: The lease is lost.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            return requests.take(connection, lease)

    def finish_request(self, lease: Lease, request_id: int) -> None:
        """Forget a request that was taken and has been carried out.

        Raises:
            contraflow.errors.FencedError: The lease is lost.
        """
        with self._database.write() as connection:
            leases.prove(connection, lease)
            requests.finish(connection, lease, request_id)

    def requests(self, *, integration: str | None = None, job: str | None = None) -> list[Request]:
        """The requests that are not finished, oldest first."""
        with self._database.read() as connection:
            return requests.find(connection, integration, job)
