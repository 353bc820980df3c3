"""Let signals end a run in order: the first one after the chunk in hand, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from contraflow.engine.stopping import StopRequest

_REASONS = {
    name: reason
    for name, reason in {
        "SIGINT": "interrupted by Ctrl-C",
        "SIGTERM": "stopped by SIGTERM",
        "SIGHUP": "stopped by SIGHUP",
    }.items()
    if hasattr(signal, name)
}
_SAID = "{}: the chunk in hand is finished first; once more ends at once.\n"


@contextmanager
def stopping_in_order(stop: StopRequest) -> Iterator[None]:
    """Let signals set ``stop``; the second one ends the process at once, in the state that a crash would leave.

    What was there before is restored at the end. Outside of the main thread, where signals cannot be handled, nothing is
    changed.

    Args:
        stop: Ends the run after the chunks in hand.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # The interpreter itself writes each signal's number to a socket, whatever the main thread does: a thread of its own can
    # act upon it while that waits in a library, or holds a lock that a handler would need.
    near, far = socket.socketpair()
    near.setblocking(False)
    numbers = {getattr(signal, name): reason for name, reason in _REASONS.items()}
    watcher = threading.Thread(target=_watch, args=(far, stop, numbers), name="contraflow-signals", daemon=True)
    watcher.start()
    former_fd = signal.set_wakeup_fd(near.fileno(), warn_on_full_buffer=False)
    former = {number: signal.signal(number, _leave_to_the_watcher) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(former_fd)
        near.close()
        watcher.join()
        far.close()


def _leave_to_the_watcher(number: int, frame: object) -> None:
    """Python calls a handler late, in the main thread; the watcher has heard before."""


def _watch(heard: socket.socket, stop: StopRequest, reasons: dict[int, str]) -> None:
    again = False
    while data := heard.recv(1):
        number = data[0]
        if number not in reasons:
            continue
        if again:
            os._exit(128 + number)
        again = True
        stop.set(reasons[number])
        with contextlib.suppress(OSError):
            os.write(2, _SAID.format(reasons[number]).encode())
