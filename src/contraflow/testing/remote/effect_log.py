"""The remote's append-only log: every request with its fate, and every effect, one JSON line each."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class EffectLog:
    """Written line by line with one ``write`` each, so that a reader never sees half of one. Safe between threads.

    Args:
        path: The file; an existing one is continued.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._sequence = sum(1 for _ in read_log(path))

    def write(self, event: str, **fields: Any) -> None:
        """Append one event: ``received``, ``effect``, ``read`` or ``fate``, with a rising sequence and the moment.

        The moment is in seconds on the machine's clock that only goes forward.
        """
        with self._lock:
            self._sequence += 1
            entry = {"seq": self._sequence, "time": time.monotonic(), "event": event, **fields}
            os.write(self._file, json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def clear(self) -> None:
        """Begin anew, with an empty file."""
        with self._lock:
            os.ftruncate(self._file, 0)
            self._sequence = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, in order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
