"""What the proxies that make faults have in common: which fault is in force, and which requests meet it."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable

from contraflow.testing.faults import Fault, FaultKind, Request


class Proxy(abc.ABC):
    """Stands before a remote.

    Args:
        concerns: Which requests faults are for.
        patience: Seconds after which a client that still waits for an answer is taken for one without a timeout.
    """

    def __init__(self, *, concerns: Callable[[Request], bool], patience: float) -> None:
        self._concerns, self._patience = concerns, patience
        self._fault: Fault | None = None
        self._lock = threading.Lock()
        self.requests = self.hits = self.connections = self._passed = 0
        self.overdue = False

    def inject(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._fault, self.hits, self._passed = fault, 0, 0
        if fault.kind is FaultKind.REFUSE:
            self._refuse()

    def clear(self) -> None:
        """Let all go well again; how many requests the fault has met is kept."""
        with self._lock:
            self._fault = None
        self._receive()

    def fate(self, request: Request) -> Fault | None:
        """Count a request, and say which fault it meets."""
        with self._lock:
            self.requests += 1
            fault = self._fault
            if fault is None or not (fault.reads or self._concerns(request)):
                return None
            self._passed += 1
            if self._passed <= fault.after or (fault.times is not None and self.hits >= fault.times):
                return None
            self.hits += 1
            return fault

    @abc.abstractmethod
    def _refuse(self) -> None:
        """Take no connections."""

    @abc.abstractmethod
    def _receive(self) -> None:
        """Take connections again, if none were taken."""
