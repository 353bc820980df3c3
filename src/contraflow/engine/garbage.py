"""Python's garbage collector, while items stream through a step.

The objects of a chunk die by their reference counts. Meanwhile the collector counts them as if they were there to stay, and
again and again looks in vain through all that the process holds: an eighth of a run's time. So it looks less often.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 50_000
"""More than a chunk of 1,000 items leaves behind, so that what is found is true garbage; at most some 10 MB of it."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the collector look only after many allocations; what the program has set stays if that is rarer still."""
    before = gc.get_threshold()
    if 0 < before[0] < _ALLOCATIONS:
        gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
