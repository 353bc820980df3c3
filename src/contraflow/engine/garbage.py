"""Python's garbage collector, while items stream through a step.

The objects of a chunk die by their reference counts. Meanwhile the collector counts them as if they were there to stay, and
again and again looks in vain through all that the process holds: an eighth of a run's time. So it looks less often.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 50_000
"""More than a chunk of 1,000 items leaves behind, so that what is found is true garbage; at most some 10 MB of it."""


_lock = threading.Lock()
_running = 0
_before = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the collector look only after many allocations; what the program has set stays if that is rarer still."""
    global _running, _before
    with _lock:
        _running += 1
        if _running == 1:  # of several runs in threads of one process the first changes it, and the last puts it back
            _before = gc.get_threshold()
            if 0 < _before[0] < _ALLOCATIONS:
                gc.set_threshold(_ALLOCATIONS, *_before[1:])
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                gc.set_threshold(*_before)
