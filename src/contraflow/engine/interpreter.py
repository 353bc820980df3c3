"""Settings of the interpreter while items stream through a step. They hold for the whole process, and are put back.

The garbage collector: the objects of a chunk die by their reference counts. Meanwhile the collector counts them as if they
were there to stay, and again and again looks in vain through all that the process holds: an eighth of a run's time. So it
looks less often.

The turns of threads: a thread that comes back from SQLite waits for its turn as long as another one computes, and the thread
that commits to the ledger comes back dozens of times a chunk. At Python's own 5 ms a turn it would hardly get on before
there is nothing left to compute meanwhile.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 50_000
"""More than a chunk of 1,000 items leaves behind, so that what is found is true garbage; at most some 10 MB of it."""
_TURN = 0.0005
"""Seconds. Shorter ones gain nothing more."""

_lock = threading.Lock()
_running = 0
_before = (gc.get_threshold(), sys.getswitchinterval())


@contextmanager
def set_for_streaming() -> Iterator[None]:
    """Let the collector look only after many allocations, and threads take turns quickly.

    What the program has set stays where that goes further still. Of several runs in threads of one process the first changes
    the settings, and the last puts them back.
    """
    global _running, _before
    with _lock:
        _running += 1
        if _running == 1:
            _before = threshold, turn = gc.get_threshold(), sys.getswitchinterval()
            if 0 < threshold[0] < _ALLOCATIONS:
                gc.set_threshold(_ALLOCATIONS, *threshold[1:])
            if turn > _TURN:
                sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                threshold, turn = _before
                gc.set_threshold(*threshold)
                if turn > _TURN:  # setting it loses a fraction of a microsecond
                    sys.setswitchinterval(turn)
