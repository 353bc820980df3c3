"""Read and process the next items while something else is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from inspect import GEN_RUNNING, getgeneratorstate
from typing import Generic, Self, TypeVar

_T = TypeVar("_T")
_AT_ONCE = 16  # items between two looks at whether to go on


class ReadAhead(Generic[_T]):
    """Yields what a generator yields, in its order; some of it may be had before it is asked for.

    Args:
        source: Belongs to this object from now on.
        most: Most items that are kept.
    """

    def __init__(self, source: Generator[_T, None, None], most: int) -> None:
        self._source = source
        self._most = most
        self._items: deque[_T] = deque()
        self._error: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        return next(self._source)

    def fill(self, go_on: Callable[[], bool]) -> None:
        """Read ahead as long as that is wanted and there is room. What the source raises is kept for its turn.

        Nothing is done if it is the source itself that waits: it reads no further before that is over.
        """
        if getgeneratorstate(self._source) == GEN_RUNNING:
            return
        items = self._items
        while self._error is None and len(items) < self._most and go_on():
            try:
                for _ in range(min(_AT_ONCE, self._most - len(items))):
                    items.append(next(self._source))
            except Exception as error:  # noqa: BLE001 - raised when the items before it are through
                self._error = error

    def close(self) -> None:
        """Read no more."""
        self._items.clear()
        self._source.close()
