"""A request to stop, from a signal, another terminal or a lost lease, that the run honours between two chunks."""

from __future__ import annotations

import threading

import attrs

from contraflow.errors import ContraflowError


class StopRequestedError(ContraflowError):
    """Somebody asked the run to stop; what was settled stays settled, and the next run goes on."""


@attrs.define
class StopRequest:
    """Set once, from any thread; waiting for it is how the engine sleeps, so that a stop wakes it."""

    reason: str | None = None
    """Why, for people; the first reason stays."""
    _event: threading.Event = attrs.field(factory=threading.Event, init=False)

    def set(self, reason: str) -> None:
        """Ask the run to stop after the chunk in hand."""
        if self.reason is None:
            self.reason = reason
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def check(self) -> None:
        """Go on, unless somebody asked.

        Raises:
            StopRequestedError: Somebody did.
        """
        if self.is_set:
            raise StopRequestedError(self.reason or "stopped")

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until somebody asks.

        Returns:
            Whether somebody asked.
        """
        return self._event.wait(max(seconds, 0.0))
