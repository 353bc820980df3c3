"""Where the coroutines of connectors run: one event loop, in a thread of its own, however many chunks are in flight.

A client that belongs to the loop in which it is used (``httpx.AsyncClient``, ``aiohttp.ClientSession``) can so be shared by
all calls, and keeps its connections from one chunk to the next. Signals are left alone: they go to the main thread.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")


class EventLoop:
    """Runs coroutines for threads that wait for them. Begins with the first one; may be used again after :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Wait for a coroutine's answer. What it raises is raised here; if the wait is broken off, so is the coroutine."""
        outcome = self._begin(coroutine)
        try:
            answer = outcome.result()
        except BaseException:  # Ctrl-C in a program that handles no signals
            outcome.cancel()
            raise
        return answer()

    def blocking(self, function: Callable[..., Coroutine[Any, Any, _T]]) -> Callable[..., _T]:
        """An ``async def`` function as one that answers at once."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _T:
            return self.run(function(*args, **kwargs))

        return call

    def opened(
        self, manager: AbstractContextManager[_T] | AbstractAsyncContextManager[_T]
    ) -> AbstractContextManager[_T]:
        """A context manager for ``with``, of whichever kind it is given."""
        return manager if isinstance(manager, AbstractContextManager) else self._entered(manager)

    @contextmanager
    def _entered(self, manager: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
        """Entered and left in one task, as some context managers need."""
        opened: Future[tuple[_T, asyncio.Future[BaseException | None]]] = Future()
        held = self._begin(_hold(manager, opened))
        either: list[Future[Any]] = [opened, held]
        wait(either, return_when=FIRST_COMPLETED)
        if not opened.done():
            held.result()()
        value, closing = opened.result()
        try:
            yield value
        except BaseException as error:  # noqa: BLE001 - raised again, unless the manager swallows it
            self._tell(closing.set_result, error)
            held.result()()
        else:
            self._tell(closing.set_result, None)
            held.result()()

    def close(self) -> None:
        """End the loop, and what still runs in it."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or not thread.is_alive():
                return
            assert self._ending is not None  # noqa: S101 - set before the thread was shown to anybody
            self._tell(self._ending.set)
        thread.join()

    def _begin(self, coroutine: Coroutine[Any, Any, _T]) -> Future[Callable[[], _T]]:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a fork takes no thread with it
                self._start()
            elif self._thread is threading.current_thread():
                coroutine.close()
                raise RuntimeError(
                    "a coroutine of a connector waits for another one, and keeps it from running: await it"
                )
            assert self._loop is not None  # noqa: S101 - set by _start
            return asyncio.run_coroutine_threadsafe(_caught(coroutine), self._loop)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None  # noqa: S101 - nobody can have anything to tell before
        self._loop.call_soon_threadsafe(function, *arguments)

    def _start(self) -> None:
        begun: Future[None] = Future()

        async def stay() -> None:
            self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
            begun.set_result(None)
            await self._ending.wait()

        self._thread = threading.Thread(target=lambda: asyncio.run(stay()), name="contraflow-loop", daemon=True)
        self._thread.start()
        begun.result()


async def _caught(coroutine: Coroutine[Any, Any, _T]) -> Callable[[], _T]:
    """A function with its answer, or its error; also of one such as SystemExit, which would end the loop."""
    try:
        answer = await coroutine
    except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
        return functools.partial(_raise, error)
    return lambda: answer


def _raise(error: BaseException) -> NoReturn:
    raise error


async def _hold(
    manager: AbstractAsyncContextManager[_T], opened: Future[tuple[_T, asyncio.Future[BaseException | None]]]
) -> None:
    closing: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with manager as value:
        opened.set_result((value, closing))
        error = await closing
        if error is not None:
            raise error
