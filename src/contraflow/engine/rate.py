"""A rate limit: calls or items per second, honoured by all threads of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

from contraflow.engine.stopping import StopRequest
from contraflow.options import Rate


@attrs.define(kw_only=True)
class RateLimiter:
    """Spaces calls out evenly: each reserves its slot, and waits until that begins.

    Args:
        rate: The limit; ``None`` for none.
        stop: Ends a wait early.
        clock: Seconds that only go forward.
    """

    rate: Rate | None
    stop: StopRequest
    clock: Callable[[], float] = time.monotonic
    _free_at: float = attrs.field(default=0.0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def wait(self, items: int) -> bool:
        """Wait until a call with so many items may begin; false if the run is to stop instead."""
        if self.rate is None:
            return True
        cost = (items if self.rate.counts_items else 1) / self.rate.per_second
        with self._lock:
            now = self.clock()
            begin = max(self._free_at, now)
            self._free_at = begin + cost
        return begin <= now or not self.stop.wait(begin - now)
