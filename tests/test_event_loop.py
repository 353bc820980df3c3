"""The event loop in which the coroutines of connectors run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from contraflow.event_loop import EventLoop


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close()


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def broken() -> None:
    await asyncio.sleep(0)
    raise StopIteration("one that a future would not take")


def test_it_runs_coroutines_for_many_threads_at_once(loop: EventLoop) -> None:
    barrier = asyncio.Barrier(4)
    answers: list[int] = []

    async def meet(number: int) -> int:
        await barrier.wait()
        return number

    threads = [threading.Thread(target=lambda n=n: answers.append(loop.run(meet(n)))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == [0, 1, 2, 3]


def test_it_can_be_used_again_after_it_was_closed(loop: EventLoop) -> None:
    assert loop.run(answer(1)) == 1
    loop.close()
    loop.close()
    assert loop.run(answer(2)) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_has_one_of_its_own(loop: EventLoop) -> None:
    assert loop.run(answer(1)) == 1
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if loop.run(answer(2)) == 2 else 2
            loop.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loop.run(answer(3)) == 3


def test_what_is_raised_is_raised(loop: EventLoop) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        loop.run(broken())
    assert loop.run(answer(3)) == 3


def test_what_still_runs_at_the_end_is_ended() -> None:
    loop = EventLoop()
    ended = threading.Event()

    async def for_ever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(for_ever())
        await asyncio.sleep(0)
        return task

    loop.run(begin())
    loop.close()
    assert ended.is_set()


def test_who_stops_waiting_ends_the_coroutine(loop: EventLoop) -> None:
    ended = threading.Event()

    async def for_ever() -> None:
        threading.Timer(0.1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        loop.run(for_ever())
    assert ended.wait(10)
    assert loop.run(answer(1)) == 1


def test_a_coroutine_that_waits_for_another_one_is_told(loop: EventLoop) -> None:
    async def outer() -> int:
        return loop.run(answer(1))

    with pytest.raises(RuntimeError, match="keeps it from running: await it"):
        loop.run(outer())


def test_a_context_manager_is_entered_and_left_in_one_task(loop: EventLoop) -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(60):  # may only be left in the task in which it was entered
            yield "value"
        tasks.append(asyncio.current_task())

    with loop.opened(manager()) as value:
        assert value == "value"
        assert loop.run(answer(1)) == 1
    assert len(set(tasks)) == 1


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()], ids=repr)
def test_a_context_manager_is_told_of_an_error(loop: EventLoop, error: BaseException) -> None:
    seen: list[BaseException] = []

    @asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        try:
            yield
        except BaseException as caught:
            seen.append(caught)
            raise

    with pytest.raises(type(error)), loop.opened(manager()):
        raise error
    assert seen == [error]
    assert loop.run(answer(1)) == 1


def test_a_context_manager_may_swallow_an_error(loop: EventLoop) -> None:
    @asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        with contextlib.suppress(ValueError):
            yield

    with loop.opened(manager()):
        raise ValueError("bad")


def test_a_context_manager_of_the_plain_kind_needs_no_loop(loop: EventLoop) -> None:
    @contextmanager
    def manager() -> Iterator[int]:
        yield 1

    with loop.opened(manager()) as value:
        assert value == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "contraflow-loop"]
