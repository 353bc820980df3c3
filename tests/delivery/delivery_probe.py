"""A plugin that watches a worker, and kills it at a named point. The engine knows nothing of it.

It is steered by the environment:

=========================== ==================================================================================
CONTRAFLOW_PROBE_POINT      ``NAME`` or ``NAME:HIT``: SIGKILL to ourselves when the point is reached for the HIT-th time
CONTRAFLOW_PROBE_SIGNAL     another signal than SIGKILL, by its name: SIGSTOP freezes us
CONTRAFLOW_PROBE_COUNTERS   a file of counters (:mod:`counters`), shared with the parent: what we are doing
CONTRAFLOW_PROBE_MUTANT     the name of a broken variant of the protocol (:mod:`mutants`) that is to be run
=========================== ==================================================================================
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from counters import Counters
from crash_points import MOMENTS
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from contraflow_hookspecs import Change, Item, StepContext, hookimpl

_WRITES = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+\"?(cf_\w+)")


class Probe:
    """Reports phases, and dies at its point."""

    def __init__(self, point: str, counters: Path | None, how: signal.Signals = signal.SIGKILL) -> None:
        self._signal = how
        name, _, hit = point.partition(":")
        self._moment = MOMENTS[name] if name else None
        self._left = int(hit or 1)
        self._counters = Counters(counters) if counters else None
        self._lock = threading.Lock()
        self.heart = threading.RLock()
        """Held during a heartbeat: who is frozen within a transaction would keep an SQLite file locked for all others."""
        self.has_read = False
        self.calls = 0

    def phase(self, name: str) -> None:
        if self._counters is not None:
            self._counters.enter(name)

    def moment(self, *names: str) -> None:
        """One or more names of the present moment; the point may be one of them."""
        if self._moment in names:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    with self.heart:
                        os.kill(os.getpid(), self._signal)

    def waits_for(self, *names: str) -> bool:
        return self._moment in names


def transaction(writes: set[tuple[str, str]]) -> str:
    """Which transaction of the delivery model it is that writes so to the ledger's tables; ``""`` if none of them."""
    tables = {table for _, table in writes}
    if ("INSERT INTO", "cf_job_execution") in writes:
        return "T0"
    if ("INSERT INTO", "cf_lease") in writes:
        return "lease"
    if ("INSERT INTO", "cf_intent") in writes:
        return "T1"
    if "cf_item_state" in tables or ("DELETE FROM", "cf_intent") in writes:
        return "T2"
    if ("UPDATE", "cf_job_execution") in writes:
        return "T3"
    return ""


def _watch_transactions(probe: Probe) -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        found = _WRITES.match(statement)
        if found:
            connection.info.setdefault("writes", set()).add((found[1], found[2]))

    @event.listens_for(Engine, "rollback")
    def forget(connection: Any) -> None:
        connection.info.pop("writes", None)

    original = DefaultDialect.do_commit

    @wraps(original)
    def commit(self: DefaultDialect, connection: Any) -> None:
        name = transaction(connection.info.pop("writes", set()))
        if not name:
            original(self, connection)
            return
        within = "" if probe.has_read else " in recovery"
        probe.phase("T0" if name == "lease" else name)
        probe.moment(f"before {name}", f"before {name}{within}")
        original(self, connection)
        probe.phase("other")
        probe.moment(f"after {name}", f"after {name}{within}")

    DefaultDialect.do_commit = commit  # type: ignore[method-assign]


def _watch_wire(probe: Probe) -> None:
    """The socket of the remote, for the points that only it can see."""
    if not probe.waits_for("half sent", "sent", "answer came"):
        return
    from httpcore._backends.sync import SyncStream

    write, read = SyncStream.write, SyncStream.read
    sent = threading.local()

    def watched_write(self: Any, buffer: bytes, timeout: float | None = None) -> None:
        if buffer.startswith((b"{", b"[")):  # the body; what comes first are the headers
            sent.body = True
            if probe.waits_for("half sent"):
                write(self, buffer[: len(buffer) // 2], timeout)
                probe.moment("half sent")
                write(self, buffer[len(buffer) // 2 :], timeout)
                return
        write(self, buffer, timeout)

    def watched_read(self: Any, max_bytes: int, timeout: float | None = None) -> bytes:
        if getattr(sent, "body", False):
            probe.moment("sent")
        data = read(self, max_bytes, timeout)
        if getattr(sent, "body", False):
            sent.body = False
            probe.moment("answer came")
        return data

    SyncStream.write, SyncStream.read = watched_write, watched_read  # type: ignore[method-assign]


def _watch_waits(probe: Probe) -> None:
    """The engine's sleep, for the backoff and the quiesce time."""
    try:
        from contraflow.engine.stopping import StopRequest
    except ImportError:  # an engine that never waits
        return
    original = StopRequest.wait

    def wait(self: StopRequest, seconds: float) -> bool:
        if seconds > 0:
            probe.phase("waiting")
            probe.moment("wait" if probe.calls else "wait in recovery")
        return original(self, seconds)

    StopRequest.wait = wait  # type: ignore[method-assign]


def _watch_heart(probe: Probe) -> None:
    """The heartbeats, lest the process is frozen in one of them."""
    from contraflow.engine.leadership import Leadership

    original = Leadership._beat

    def beat(self: Leadership) -> None:
        with probe.heart:
            original(self)

    Leadership._beat = beat  # type: ignore[method-assign]


def _start() -> Probe:
    counters = os.environ.get("CONTRAFLOW_PROBE_COUNTERS")
    how = signal.Signals[os.environ.get("CONTRAFLOW_PROBE_SIGNAL", "SIGKILL")]
    probe = Probe(os.environ.get("CONTRAFLOW_PROBE_POINT", ""), Path(counters) if counters else None, how)
    probe.phase("start")
    mutant = os.environ.get("CONTRAFLOW_PROBE_MUTANT")
    if mutant:
        from mutants import MUTANTS

        MUTANTS[mutant].apply()
    _watch_transactions(probe)
    _watch_wire(probe)
    _watch_waits(probe)
    _watch_heart(probe)
    return probe


probe = _start()


@hookimpl(wrapper=True)
def read_items(context: StepContext) -> Iterator[Any]:
    """Note that reading begins, and each item."""
    probe.has_read = True
    probe.phase("reading")
    probe.moment("read begins")
    items = yield
    return _each(items)


def _each(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        probe.moment("read item")
        yield item
        probe.phase("reading")


@hookimpl(wrapper=True)
def process_item(item: Item, context: StepContext) -> Iterator[Any]:
    """Note that an item is processed."""
    probe.phase("processing")
    probe.moment("process")
    return (yield)


@hookimpl(wrapper=True)
def write_items(items: Sequence[Change], context: StepContext) -> Iterator[Any]:
    """Note the begin and the end of a call."""
    again = "call begins again" if probe.calls else ""
    within = "" if probe.has_read else " in recovery"
    probe.calls += 1
    probe.phase("call")
    probe.moment("call begins", again, f"call begins{within}")
    try:
        return (yield)
    finally:
        probe.phase("answered")
        probe.moment("call ends", f"call ends{within}")


@hookimpl(wrapper=True)
def confirm_items(items: Sequence[Change], context: StepContext) -> Iterator[Any]:
    """Note the begin and the end of a look-up."""
    probe.phase("confirm")
    probe.moment("confirm begins")
    try:
        return (yield)
    finally:
        probe.phase("other")
        probe.moment("confirm ends")
