"""One execution of a job at a time: the lease, its heartbeat, and the proof that it is still ours.

The lease stands in the ledger, with an epoch that grows with each holder; every write of a run carries the epoch, so a
process that was frozen and wakes up can settle nothing. Whether a holder is alive is judged by its heartbeats on the
contender's own clock, after Kubernetes' client-go; where the platform proves its death at once, by that.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Self

import attrs

from contraflow.engine.stopping import StopRequest, StopRequestedError
from contraflow.errors import ContraflowError, FencedError, LedgerError
from contraflow.ledger import Lease, LeaseState, Ledger, Liveness
from contraflow.ledger.boot_clock import boot_moment

LIFETIME = 30.0
"""Seconds without a heartbeat after which a holder is taken for dead."""

_BEATS = 6  # in a lifetime
_POLL = 0.2


class JobRunningError(ContraflowError):
    """The job is running in another process."""

    exit_code = 5

    def __init__(self, state: LeaseState) -> None:
        super().__init__(
            f"{state.integration}, {state.job}: already running since {state.since.astimezone():%Y-%m-%d %H:%M:%S}, "
            f"in process {state.pid} on {state.host}"
            + (f" (execution {state.execution_id})" if state.execution_id else "")
        )
        self.state = state


def steady_clock() -> float:
    """Seconds that only go forward, and go on while the machine sleeps, where the platform has such a clock."""
    seconds = boot_moment().seconds
    return time.monotonic() if seconds is None else seconds


@attrs.define(kw_only=True)
class Leadership:
    """The right to run a job, held and kept. A context manager: it is given back at the end.

    Made by :func:`take`.

    Args:
        ledger: Where the lease stands.
        lease: The lease.
        liveness: The lock that proves that this process is alive.
        stop: Set when somebody asks, through the ledger, that the run should stop, or when the lease is lost.
        lifetime: Seconds without a heartbeat after which others may take over.
    """

    ledger: Ledger
    lease: Lease
    liveness: Liveness
    stop: StopRequest
    lifetime: float = LIFETIME
    _beaten: float = attrs.field(factory=steady_clock, init=False)
    _lost: bool = attrs.field(default=False, init=False)
    _over: threading.Event = attrs.field(factory=threading.Event, init=False)
    _heart: threading.Thread | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        self._heart = threading.Thread(target=self._keep_beating, name="contraflow-lease", daemon=True)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._heart is not None:
            self._heart.join()
        try:
            if not self._lost:
                self.ledger.release(self.lease)
        finally:
            self.liveness.release()

    def check(self) -> None:
        """Prove, before a request is sent, that nobody can have taken over.

        Raises:
            FencedError: Somebody has, or may have.
        """
        if not self._lost and steady_clock() - self._beaten > self.lifetime / 2:
            self._beat()  # the heart has not beaten for long: this process was frozen, or the ledger was
        if self._lost:
            raise FencedError(
                f"{self.lease.integration}, {self.lease.job}: another process has taken over; this one has stopped"
            )

    def _beat(self) -> None:
        before = steady_clock()
        self.liveness.acquire()  # after a take-over from a frozen process, the lock may only now be free
        if self.ledger.beat(self.lease):
            self._beaten = before
            if self.ledger.stop_requested(self.lease):
                self.stop.set("stopped by request")
        else:
            self._lost = True
            self.stop.set("another process has taken over")

    def _keep_beating(self) -> None:
        while not self._over.wait(self.lifetime / _BEATS):
            try:
                self._beat()
            except LedgerError:
                continue  # the next settlement will say so; without heartbeats, check() refuses to send
            if self._lost:
                return


def take(
    ledger: Ledger,
    integration: str,
    job: str,
    *,
    now: Callable[[], datetime],
    stop: StopRequest,
    wait: bool = False,
    lifetime: float = LIFETIME,
) -> Leadership:
    """Take the lease of a job.

    Args:
        ledger: Where it stands.
        integration: The integration's name.
        job: The job's name.
        now: The clock, for people.
        stop: Ends waiting early, and is set when the lease is lost later.
        wait: Whether to wait while another process holds it.
        lifetime: Seconds without a heartbeat after which a holder is taken for dead.

    Raises:
        JobRunningError: Another process holds it.
        StopRequestedError: Waiting was ended.
    """
    liveness = ledger.liveness(integration, job)
    contender = _Contender(lifetime)
    try:
        while True:
            alone = liveness.acquire()
            state = ledger.lease_state(integration, job)
            if contender.may_take(state, alone=alone, proof=liveness.proof):
                lease = _take(ledger, integration, job, now, state)
                if lease is not None:
                    return Leadership(ledger=ledger, lease=lease, liveness=liveness, stop=stop, lifetime=lifetime)
            elif not wait and not alone and state is not None and state.owner is not None:
                raise JobRunningError(state)
            if stop.wait(_POLL):
                raise StopRequestedError(stop.reason or "stopped")
    except BaseException:
        liveness.release()
        raise


@attrs.define
class _Contender:
    """Watches a holder's heartbeats on its own clock: no two machines' clocks are compared."""

    lifetime: float
    _seen: tuple[int, int] | None = attrs.field(default=None, init=False)
    _since: float = attrs.field(default=0.0, init=False)

    def may_take(self, state: LeaseState | None, *, alone: bool, proof: bool) -> bool:
        """Whether the lease is free, or its holder dead.

        Args:
            state: The lease as it stands.
            alone: Whether the holder's lock is ours.
            proof: Whether that proves the holder's death.
        """
        if state is None or state.owner is None:
            return alone
        if self._seen != (state.epoch, state.beat):
            self._seen, self._since = (state.epoch, state.beat), steady_clock()
        # A lock that only went with a connection is a hint: two heartbeats must have failed to come, too.
        patience = self.lifetime if not alone else 0.0 if proof else self.lifetime * 2 / _BEATS
        return steady_clock() - self._since >= patience


def _take(
    ledger: Ledger, integration: str, job: str, now: Callable[[], datetime], seen: LeaseState | None
) -> Lease | None:
    return ledger.take_lease(
        integration,
        job,
        owner=uuid.uuid4().hex,
        host=socket.gethostname(),
        pid=os.getpid(),
        since=now(),
        seen=seen,
    )
