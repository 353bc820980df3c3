"""Write to the ledger in the background, while the next items are read and processed.

Most of a transaction is waiting, for the disk or for a database server. Nothing that depends on it happens meanwhile: the
ledger is not asked about the next items, nor is anything sent, before it is known to be committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from contraflow.engine.read_ahead import ReadAhead
from contraflow.engine.recording import Entry, Landed, Recorder
from contraflow.engine.settlement import Settled

_T = TypeVar("_T")


@attrs.define(kw_only=True)
class Settling:
    """One thread for the ledger's transactions. A context manager; at its end nothing is being written any more.

    Args:
        recorder: Works out what is to be recorded of chunks, and records it.
        settled: Told of what has been recorded; may raise what ends the run.
        ahead: Is filled while something is waited for; ``None`` if reading has to wait, too.
    """

    recorder: Recorder
    settled: Callable[[Sequence[Landed], Sequence[Settled]], None]
    ahead: ReadAhead[Any] | None
    _thread: ThreadPoolExecutor = attrs.field(init=False)
    _pending: tuple[Sequence[Landed], Sequence[Entry], Future[None]] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="contraflow-ledger")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)

    def carry_out(self, transaction: Callable[[], _T]) -> _T:
        """Carry out a transaction, after what is being recorded; its answer."""
        self.end()
        return self._wait(self._thread.submit(transaction))

    def begin(self, landed: Sequence[Landed]) -> None:
        """Begin to record chunks, in the order in which they were read, after what is being recorded.

        Raises:
            BaseException: As :meth:`end`.
        """
        self.end()
        if landed:
            entries = self.recorder.work_out(landed, with_checkpoint=True)
            self._pending = landed, entries, self._thread.submit(self.recorder.record, entries)
            if self.ahead is None:
                self.end()

    def end(self) -> None:
        """Wait until all is recorded.

        Raises:
            BaseException: What kept it from being recorded, or what ``settled`` raised.
        """
        pending = self._pending
        if pending is None:
            return
        landed, entries, recorded = pending
        self._wait(recorded)
        if self._pending is pending:  # otherwise what was read ahead has asked for it, too
            self._pending = None
            self.recorder.tell(entries)
            self.settled(landed, [entry.settled for entry in entries])

    def _wait(self, future: Future[_T]) -> _T:
        if self.ahead is not None:
            self.ahead.fill(lambda: not future.done())
        return future.result()
