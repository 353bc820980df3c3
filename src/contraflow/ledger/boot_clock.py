"""The clock that nobody can set: seconds since the machine was started, the time it slept included."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BootMoment(NamedTuple):
    """A moment of one start of one machine. Moments of different starts cannot be compared."""

    boot_id: str | None
    """The start that the seconds count from; ``None`` where the system does not tell (all but Linux)."""
    seconds: float | None


def boot_moment() -> BootMoment:
    """The present moment."""
    boot_id = _boot_id()
    if boot_id is None:
        return BootMoment(None, None)
    return BootMoment(boot_id, time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text().strip() if hasattr(time, "CLOCK_BOOTTIME") else None
    except OSError:
        return None
