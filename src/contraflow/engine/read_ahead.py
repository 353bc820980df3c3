"""Read and process the next items while something else is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from inspect import GEN_CLOSED, GEN_RUNNING, getgeneratorstate
from itertools import islice
from typing import Generic, TypeVar

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

    def take(self, number: int) -> list[_T]:
        """The next items, so many or as many as there are; an empty list at the end."""
        items = self._items
        taken = [items.popleft() for _ in range(min(number, len(items)))]
        if len(taken) < number:
            if self._error is not None:
                raise self._error
            taken += islice(self._source, number - len(taken))
        return taken

    def fill(self, go_on: Callable[[], bool]) -> None:
        """Read ahead as long as that is wanted and there is room. What the source raises is kept for its turn.

        Nothing is done if it is the source itself that waits: it reads no further before that is over.
        """
        if getgeneratorstate(self._source) in (GEN_RUNNING, GEN_CLOSED):
            return
        items = self._items
        while self._error is None and len(items) < self._most and go_on():
            wanted = min(_AT_ONCE, self._most - len(items))
            before = len(items)
            try:
                items.extend(islice(self._source, wanted))  # up to an error, if one is raised
            except Exception as error:  # noqa: BLE001 - raised when the items before it are through
                self._error = error
            if len(items) - before < wanted:
                return

    def close(self) -> None:
        """Read no more."""
        self._items.clear()
        self._source.close()
