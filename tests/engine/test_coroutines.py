"""A connector whose hooks are `async def`: they run in one event loop, and the engine waits for them as for any other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contraflow_hookspecs import (
    BatchStatus,
    Capabilities,
    Change,
    Deferred,
    ExportJob,
    Idempotency,
    Item,
    PermanentError,
    StepContext,
    TransientError,
    Written,
    hookimpl,
)


class Client:
    """Belongs to the event loop in which it is opened, as most asynchronous clients do."""

    def __init__(self) -> None:
        self.records: dict[tuple[Any, ...], Any] = {}
        self.loops = {asyncio.get_running_loop()}
        self.threads = {threading.current_thread()}
        self.now = self.most = 0
        self.ended: str | None = None

    async def put(self, change: Change) -> None:
        self.loops.add(asyncio.get_running_loop())
        self.threads.add(threading.current_thread())
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        self.records[change.key] = dict(change.payload)


class Acme:
    """A connector. Its writer is changed by replacing ``answer``."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.capabilities = Capabilities(confirm=True, request_lifetime=0.0)
        self.answer = self.store
        self.asked: list[tuple[Any, ...]] = []

    @asynccontextmanager
    async def open(self, settings: object) -> AsyncIterator[Client]:
        client = Client()
        self.clients.append(client)
        try:
            yield client
        except BaseException as error:
            client.ended = type(error).__name__
            raise
        else:
            client.ended = "closed"
        finally:
            client.loops.add(asyncio.get_running_loop())

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        return ExportJob(
            name="shop_export", entity="customer", capabilities=self.capabilities, open_resources=self.open
        )

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        return dict(item.data)

    @hookimpl
    async def write_items(self, items: Sequence[Change], context: StepContext) -> Any:
        return await self.answer(items, context.resource)

    async def store(self, items: Sequence[Change], client: Client) -> Any:
        await asyncio.gather(*(client.put(change) for change in items))
        return [Written(key=change.key, remote_id=f"r{change.key[0]}") for change in items]

    @hookimpl
    async def confirm_items(self, items: Sequence[Change], context: StepContext) -> Any:
        await asyncio.sleep(0)
        self.asked += [change.key for change in items]
        known = {key for client in self.clients for key in client.records}
        return [
            Written(key=change.key) if change.key in known else Deferred(key=change.key, reason="not there")
            for change in items
        ]

    @hookimpl
    async def check_connection(self, context: StepContext) -> str:
        await asyncio.sleep(0)
        return "Acme 1.0"


@pytest.fixture
def acme(shop) -> Acme:
    acme = shop.remote = Acme()
    return acme


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("contraflow-loop")]


def test_a_writer_may_be_a_coroutine(shop, acme) -> None:
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert execution.counts["written"] == 3
    assert sorted(acme.clients[0].records) == [(1,), (2,), (3,)]
    assert shop.sync().counts["unchanged"] == 3
    assert threads() == []


def test_all_calls_share_one_loop_and_what_was_opened_in_it(shop, acme) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(60)])
    shop.parameters = {"batch_size": 5, "concurrency": 4}
    execution = shop.sync()
    assert execution.counts["written"] == 60
    (client,) = acme.clients
    assert 5 < client.most <= 20, "of several chunks at once, and no more than are in flight"
    assert len(client.loops) == len(client.threads) == 1
    assert client.ended == "closed"


def test_a_doubt_is_asked_for_by_a_coroutine(shop, acme) -> None:
    async def reset(items: Sequence[Change], client: Client) -> Any:
        await client.put(items[0])
        raise ConnectionResetError("reset")

    acme.answer = reset
    assert shop.sync().counts["in_doubt"] == 3
    acme.answer = acme.store
    execution = shop.sync()
    assert execution.counts["recovered"] == 3
    assert sorted(acme.asked) == [(1,), (2,), (3,)]
    assert sorted(key for client in acme.clients for key in client.records) == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("error", "outcomes"),
    [
        (TransientError("busy"), {"deferred": 3}),
        (PermanentError("no"), {"rejected": 3}),
        (TimeoutError("late"), {"in_doubt": 3}),
        (asyncio.CancelledError(), {"in_doubt": 3}),
        (SystemExit(3), {"in_doubt": 3}),
        (KeyboardInterrupt(), {"in_doubt": 3}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_coroutine_raises_is_what_it_raises(shop, acme, error, outcomes) -> None:
    async def answer(items: Sequence[Change], client: Client) -> Any:
        await asyncio.sleep(0)
        raise error

    acme.answer = answer
    shop.parameters = {"attempts": 1, "concurrency": 2}
    execution = shop.sync()
    assert {name: execution.counts[name] for name in outcomes} == outcomes
    assert execution.counts.get("written", 0) == 0
    assert acme.clients[0].ended is not None
    assert threads() == []


@pytest.mark.parametrize(
    ("answer", "message", "in_doubt"),
    [
        (None, "found None (a forgotten `return`?)", 3),
        ([], "0 results for 3 changes, none for (1,)", 3),
        ("ok", "found an object of type str", 3),
    ],
)
def test_what_a_coroutine_answers_is_held_against_the_contract(shop, acme, answer, message, in_doubt) -> None:
    async def wrong(items: Sequence[Change], client: Client) -> Any:
        return answer

    acme.answer = wrong
    execution = shop.sync()
    assert message in execution.errors[0]
    assert "plugin 'remote', hook write_items" in execution.errors[0]
    assert execution.counts["in_doubt"] == in_doubt


def test_a_client_that_cannot_be_opened_ends_the_run(shop, acme) -> None:
    @asynccontextmanager
    async def away(settings: object) -> AsyncIterator[Client]:
        raise TransientError("Acme is away")
        yield

    acme.open = away
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "Acme is away" in execution.exit_description


def test_a_wrapper_sees_the_answer_and_not_the_coroutine(shop, acme) -> None:
    seen: list[Any] = []

    class Observer:
        @hookimpl(wrapper=True)
        def write_items(self, items: Sequence[Change], context: StepContext) -> Any:
            result = yield
            seen.extend(result)
            return result

    shop.plugins["observer"] = Observer()
    shop.sync()
    assert [type(each) for each in seen] == [Written] * 3


def test_a_retried_coroutine_keeps_its_idempotency_key(shop, acme) -> None:
    acme.capabilities = Capabilities(idempotency=Idempotency.KEY)
    keys: list[str] = []

    async def answer(items: Sequence[Change], client: Client) -> Any:
        keys.extend(change.idempotency_key for change in items)
        if len(keys) == 3:
            raise TransientError("busy")
        return await acme.store(items, client)

    acme.answer = answer
    assert shop.sync().counts["written"] == 3
    assert keys[:3] == keys[3:]


def test_a_program_with_an_event_loop_of_its_own_may_sync(shop, acme) -> None:
    async def within() -> int:
        return shop.sync().counts["written"]

    async def beside() -> int:
        return await asyncio.to_thread(lambda: shop.sync().counts["unchanged"])

    assert asyncio.run(within()) == 3
    assert asyncio.run(beside()) == 3
