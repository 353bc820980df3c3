"""Items are processed some at a time; nobody can tell that from what becomes of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contraflow_hookspecs import BatchStatus, Item, ItemError, Skip, SystemicError, hookimpl


def numbers(shop: Any, count: int) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, ?, NULL)", *[(n, f"c{n}") for n in range(1, count + 1)])


def test_each_item_keeps_what_became_of_it_whatever_its_neighbours_are(shop) -> None:
    numbers(shop, 200)
    told = []

    class Observer:
        @hookimpl
        def item_filtered(self, item: Item, skip: Skip) -> None:
            told.append(item.key[0])

    def process(item: Item, _: object) -> Any:
        match item.key[0] % 5:
            case 0:
                return Skip(reason="not now")
            case 1:
                raise ItemError("bad", code="bad")
            case 2:
                raise KeyError("tripped")
            case 3:
                return {"n": item.key[0], "value": float("nan")}
        return {"n": item.key[0]}

    shop.parameters = {"max_rejected": 1.0}
    shop.plugins["observer"] = Observer()
    shop.remote.process = process
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert {name: execution.counts[name] for name in ("read", "written", "filtered", "rejected")} == {
        "read": 200,
        "written": 40,
        "filtered": 40,
        "rejected": 120,
    }
    assert told == list(range(5, 201, 5))
    assert shop.remote.records == {(n,): {"n": n} for n in range(4, 201, 5)}
    with shop.project() as project:
        codes = {letter.key[0]: letter.code for letter in project.dead_letters(limit=1000)}
    assert codes == {
        n: {1: "bad", 2: "process_error", 3: "payload"}[n % 5] for n in range(1, 201) if n % 5 in (1, 2, 3)
    }


def test_nothing_is_processed_behind_an_error_that_ends_the_run_and_what_lies_before_it_is_told(shop) -> None:
    numbers(shop, 50)
    asked, told = [], []

    class Observer:
        @hookimpl
        def item_filtered(self, item: Item) -> None:
            told.append(item.key[0])

    def process(item: Item, _: object) -> Any:
        asked.append(item.key[0])
        if item.key == (7,):
            raise SystemicError("the price list is locked")
        return Skip(reason="not now")

    shop.plugins["observer"] = Observer()
    shop.remote.process = process
    execution = shop.sync()
    assert execution.errors[0] == "the price list is locked"
    assert asked == [1, 2, 3, 4, 5, 6, 7]
    assert told == [1, 2, 3, 4, 5, 6]


def test_a_record_that_fails_now_and_then_is_not_a_processor_that_fails(shop) -> None:
    numbers(shop, 300)

    def process(item: Item, _: object) -> Any:
        if item.key[0] % 20:  # nineteen in a row
            raise KeyError("tripped")
        return {"n": item.key[0]}

    shop.parameters = {"max_rejected": 1.0}
    shop.remote.process = process
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED, execution.errors
    assert execution.counts["written"] == 15


def test_no_more_is_processed_ahead_than_a_few_chunks(shop) -> None:
    numbers(shop, 100)
    shop.parameters = {"batch_size": 3}
    processed: list[int] = []
    ahead: list[int] = []

    def process(item: Item, _: object) -> Any:
        processed.append(item.key[0])
        return {"n": item.key[0]}

    def answer(changes: Any, _: object) -> Any:
        ahead.append(len(processed) - len(shop.remote.records))
        return shop.remote.store(changes)

    shop.remote.process, shop.remote.answer = process, answer
    assert shop.sync().counts["written"] == 100
    assert max(ahead) <= 3 * 3, "payloads may be large, and a chunk is as large as somebody wants it"


class Anew:
    """An iterator that begins anew when it is iterated over, as many are that somebody wrote by hand."""

    def __init__(self, end: int, bad: int = 0) -> None:
        self.end, self.bad, self.number = end, bad, 0

    def __iter__(self) -> Anew:
        self.number = 0
        return self

    def __next__(self) -> Item:
        self.number += 1
        if self.number > self.end:
            raise StopIteration
        if self.number == self.bad:
            raise ItemError("unreadable", key=(self.number,), code="read")
        return Item(key=(self.number,), entity={"n": self.number})


class NextAlone:
    """What can be asked for the next item, and no more: that is enough for `iter` and `next`."""

    def __init__(self, end: int) -> None:
        self.items = Anew(end)

    def __next__(self) -> Item:
        return next(self.items)


class Container:
    def __iter__(self) -> Any:
        return NextAlone(100)


def one_row(end: int) -> Any:
    row = {}
    for n in range(1, end + 1):
        row["n"] = n
        yield Item(key=(n,), entity=row)


def of_a_file(directory: Any, end: int) -> Any:
    (directory / "numbers").write_text("".join(f"{n}\n" for n in range(1, end + 1)))
    with (directory / "numbers").open() as file:
        for n in range(1, end + 1):
            yield Item(key=(n,), entity={"file": file})


def read_with(shop: Any, answer: Callable[[], Any]) -> None:
    class Reader:
        @hookimpl
        def read_items(self) -> Any:
            return answer()

    shop.plugins["reader"] = Reader()
    shop.reader = "reader"


@pytest.mark.parametrize(
    "answer", [lambda: Anew(100), Container, lambda: one_row(100)], ids=["begins anew", "next alone", "one row"]
)
def test_a_reader_of_ones_own_is_asked_for_the_next_item_and_for_nothing_else(shop, answer) -> None:
    read_with(shop, answer)
    assert shop.sync().counts["written"] == 100
    assert shop.remote.records == {(n,): {"n": n} for n in range(1, 101)}


def test_a_reader_that_goes_on_behind_an_error_does_not_begin_anew(shop) -> None:
    read_with(shop, lambda: Anew(5, bad=3))
    execution = shop.sync()
    assert (execution.counts["written"], execution.counts["rejected"], execution.counts["read"]) == (4, 1, 5)


def test_what_a_reader_of_ones_own_has_open_is_open_while_its_item_is_processed(shop) -> None:
    read_with(shop, lambda: of_a_file(shop.directory, 30))
    shop.remote.process = lambda item, _: {"n": int(item.entity["file"].readline())}
    assert shop.sync().counts["written"] == 30
    assert shop.remote.records == {(n,): {"n": n} for n in range(1, 31)}
