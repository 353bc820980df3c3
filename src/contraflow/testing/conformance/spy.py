"""Sees what a thread does beyond computing: connections, files that it writes, programs that it starts."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WATCHED = frozenset(
    ["socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.system", "sqlite3.connect"]
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_seen: dict[int, list[str]] = {}
_installed = threading.Lock()


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the current thread does within the block, as the names of Python's audit events.

    Python's own compiled files do not count: whoever imports something late writes them.
    """
    if _installed.acquire(blocking=False):  # once for ever: an audit hook cannot be taken away
        sys.addaudithook(_audit)
    thread = threading.get_ident()
    seen: list[str] = []
    _seen[thread] = seen
    try:
        yield seen
    finally:
        del _seen[thread]


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _seen or (seen := _seen.get(threading.get_ident())) is None:
        return
    if event in _WATCHED:
        seen.append(event)
    elif event == "open" and "__pycache__" not in str(arguments[0]) and _writes(arguments):
        seen.append(f"open {arguments[0]}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITING)
