"""What happens while the ledger commits: the next items are read and processed, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.engine.read_ahead import ReadAhead
from contraflow.errors import LedgerError
from contraflow.ledger import Ledger
from contraflow_hookspecs import BatchStatus, Item, hookimpl


class BrokenError(Exception):
    pass


def numbers(amount: int, *, breaks: bool) -> Generator[int, None, None]:
    yield from range(amount)
    if breaks:
        raise BrokenError


@given(
    amount=st.integers(0, 60),
    breaks=st.booleans(),
    most=st.integers(1, 40),
    looks=st.lists(st.integers(0, 5), max_size=30),
)
def test_everything_comes_once_in_its_order_however_much_is_read_ahead(amount, breaks, most, looks) -> None:
    ahead = ReadAhead(numbers(amount, breaks=breaks), most)
    got: list[int] = []
    broke = False
    for look in [*looks, *[0] * (amount + 1)]:
        for _ in range(look):
            ahead.fill(partial(next, iter([True, False])))
        try:
            taken = ahead.take(1)
        except BrokenError:
            broke = True
            break
        if not taken:
            break
        got += taken
    assert got == list(range(amount))
    assert broke is breaks


@given(amount=st.integers(0, 60), most=st.integers(0, 40), size=st.integers(1, 20), ahead_first=st.booleans())
def test_pages_are_full_but_for_the_last(amount, most, size, ahead_first) -> None:
    ahead = ReadAhead(numbers(amount, breaks=False), most)
    if ahead_first:
        ahead.fill(lambda: True)
    pages = []
    while page := ahead.take(size):
        pages.append(page)
    assert [number for page in pages for number in page] == list(range(amount))
    assert all(len(page) == size for page in pages[:-1])


def test_no_more_is_read_ahead_than_there_is_room_for() -> None:
    read: list[int] = []

    def source() -> Generator[int, None, None]:
        for number in range(1000):
            read.append(number)
            yield number

    ahead = ReadAhead(source(), 40)
    ahead.fill(lambda: True)
    assert len(read) == 40
    ahead.close()
    assert ahead.take(5) == []


@pytest.mark.parametrize("ahead_first", [False, True])
def test_a_source_that_waits_itself_is_not_read_meanwhile(ahead_first) -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        ahead.fill(lambda: True)
        yield 2

    ahead = ReadAhead(source(), 10)
    if ahead_first:
        ahead.fill(lambda: True)
    assert [*ahead.take(1), *ahead.take(5)] == [1, 2]


@pytest.mark.parametrize("amount", range(1, 8))
def test_the_end_of_the_source_may_come_while_the_ledger_commits(shop, slow_ledger, amount) -> None:
    reads(shop, [(key, "a") for key in range(amount)])
    shop.parameters = {"batch_size": 2}
    for _ in range(2):
        assert shop.sync().status is BatchStatus.COMPLETED
    assert len(shop.remote.records) == amount


@pytest.fixture
def slow_ledger(monkeypatch) -> None:
    """A ledger that takes its time, so that reading is sure to be ahead of it."""

    def slowly(name: str) -> None:
        original = getattr(Ledger, name)

        def patched(self: Ledger, *arguments: Any, **named: Any) -> Any:
            time.sleep(0.02)
            answer = original(self, *arguments, **named)
            time.sleep(0.02)
            return answer

        monkeypatch.setattr(Ledger, name, patched)

    slowly("intend_all")
    slowly("settle_all")


def reads(shop, versions: list[tuple[int, str]]) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context):
            yield from (Item(key=(key,), entity={"v": version}) for key, version in versions)

    shop.plugins["versions"] = Reader()
    shop.reader = "versions"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_item_that_comes_again_is_compared_with_what_was_settled_of_it(shop, slow_ledger, size) -> None:
    reads(shop, [(1, "a"), (2, "a"), (3, "a"), (1, "b"), (4, "a"), (5, "a"), (1, "a"), (6, "a"), (7, "a")])
    shop.parameters = {"batch_size": size}
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert [change.payload["v"] for change in shop.remote.sent if change.key == (1,)] == ["a", "b", "a"]
    assert len({change.idempotency_key for change in shop.remote.sent}) == 9


def test_items_are_processed_while_the_ledger_commits(shop, monkeypatch) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(1, 31)])
    shop.parameters = {"batch_size": 10}
    processed: list[int] = []
    shop.remote.process = lambda item, _: processed.append(item.key[0]) or dict(item.data)
    seen: list[tuple[int, bool]] = []
    settle = Ledger.settle_all

    def settle_all(self: Ledger, *arguments: Any, **named: Any) -> Any:
        deadline = time.monotonic() + 30
        while len(processed) < 30 and time.monotonic() < deadline:
            time.sleep(0.001)
        seen.append((len(processed), threading.current_thread() is threading.main_thread()))
        return settle(self, *arguments, **named)

    monkeypatch.setattr(Ledger, "settle_all", settle_all)
    assert shop.sync().counts["written"] == 30
    # Before the first settlement, at most one chunk beside the one that was sent can have been read ahead.
    assert seen == [(30, False)] * 3


def test_nothing_is_sent_once_a_settlement_failed(shop, monkeypatch) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(1, 31)])
    shop.parameters = {"batch_size": 5}
    settle, settlements = Ledger.settle_all, []

    def settle_all(self: Ledger, *arguments: Any, **named: Any) -> Any:
        settlements.append(len(shop.remote.sent))
        if len(settlements) == 3:
            raise LedgerError("the disk is full")
        return settle(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "settle_all", settle_all)
        execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "the disk is full" in execution.errors[0]
    assert len(shop.remote.sent) == 15
    again = shop.sync()
    assert again.status is BatchStatus.COMPLETED
    assert again.counts["recovered"] == 5
    assert len(shop.remote.records) == 30


def test_what_the_reader_raises_while_it_is_ahead_comes_after_what_it_had_read(shop, slow_ledger) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context):
            yield from (Item(key=(key,), entity={"v": key}) for key in range(1, 8))
            raise RuntimeError("the source broke")

    shop.plugins["breaking"] = Reader()
    shop.reader = "breaking"
    shop.parameters = {"batch_size": 3}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "the source broke" in execution.errors[0]
    assert execution.counts["written"] == 6
