"""Several chunks in flight at once, finished in the order in which they were started."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import attrs

from contraflow.engine.chunk import Chunk

_I = TypeVar("_I")
_S = TypeVar("_S")


@attrs.frozen
class _Flight(Generic[_I, _S]):
    chunk: Chunk
    intent: _I
    sent: Future[_S]


class Pipeline(Generic[_I, _S]):
    """A window of chunks that are being sent. A context manager; at its end everything in flight has come down.

    Args:
        size: Most chunks in flight. With one, sending happens in the thread that starts it.
        send: Sends a chunk under its intent.
    """

    def __init__(self, size: int, send: Callable[[Chunk, _I], _S]) -> None:
        self._size = size
        self._send = send
        self._flights: deque[_Flight[_I, _S]] = deque()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="contraflow") if size > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True)

    def concerns(self, keys: Set[str]) -> bool:
        """Whether something in flight concerns one of these items."""
        return any(flight.chunk.concerns(keys) for flight in self._flights)

    def start(self, chunk: Chunk, intent: _I) -> None:
        """Begin to send a chunk."""
        if self._threads is None:
            sent: Future[_S] = Future()
            sent.set_result(self._send(chunk, intent))
        else:
            sent = self._threads.submit(self._send, chunk, intent)
        self._flights.append(_Flight(chunk, intent, sent))

    def make_room(self, chunks: int) -> Iterator[tuple[Chunk, _I, _S]]:
        """Wait until so many chunks may start; yield what had to finish for that, oldest first."""
        while len(self._flights) > self._size - chunks:
            yield self._oldest()

    def landed(self) -> Iterator[tuple[Chunk, _I, _S]]:
        """Yield what has finished, without waiting, oldest first."""
        while self._flights and self._flights[0].sent.done():
            yield self._oldest()

    def drain(self) -> Iterator[tuple[Chunk, _I, _S]]:
        """Wait for all that is in flight; yield it, oldest first."""
        while self._flights:
            yield self._oldest()

    def _oldest(self) -> tuple[Chunk, _I, _S]:
        flight = self._flights.popleft()
        return flight.chunk, flight.intent, flight.sent.result()
