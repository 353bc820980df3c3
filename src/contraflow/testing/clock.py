"""A clock that stands until it is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Call it for the moment. It is what a project takes as ``now``.

    Args:
        start: The first moment, aware.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self.set(start)

    def __call__(self) -> datetime:
        """The moment."""
        return self._moment

    def set(self, moment: datetime) -> None:
        """Set it.

        Raises:
            ValueError: The moment has no time zone.
        """
        if moment.tzinfo is None:
            raise ValueError("a moment with a time zone is needed")
        self._moment = moment.astimezone(UTC)

    def advance(self, seconds: float = 0, **more: float) -> None:
        """Let time pass: seconds, or ``minutes=``, ``hours=``, ``days=``."""
        self._moment += timedelta(seconds=seconds, **more)
