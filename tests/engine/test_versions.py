"""One key that is read several times in a run: each version is held against what became of the one before."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from contraflow_hookspecs import BatchStatus, Item, ItemError, Operation, Skip, hookimpl

ERROR, SKIP, DELETE = "error", "skip", "delete"


class Versions:
    """A reader that yields what it is told: pairs of a key and a version, or of what else may come."""

    def __init__(self) -> None:
        self.yields: Sequence[tuple[int, str]] = ()

    @hookimpl
    def read_items(self, context):
        return self

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, self.yields)

    @staticmethod
    def _item(pair: tuple[int, str]) -> Item:
        key, version = pair
        if version == DELETE:
            return Item(key=(key,), operation=Operation.DELETE)
        return Item(key=(key,), entity={"v": version})


def process(item: Item, context: object) -> Any:
    version = item.data["v"]
    if version == ERROR:
        raise ItemError("it is bad", code="bad")
    return Skip(reason="not now") if version == SKIP else {"v": version}


@pytest.fixture
def versions(shop) -> Versions:
    versions = shop.plugins["versions"] = Versions()
    shop.reader = "versions"
    shop.remote.process = process
    return versions


def held_by(shop) -> dict[int, str]:
    return {key[0]: record["v"] for key, record in shop.remote.records.items()}


@pytest.mark.parametrize("between", [0, 1, 2, 5])
@pytest.mark.parametrize(("batch", "concurrency"), [(1, 1), (3, 1), (1, 4), (2, 4), (3, 2)])
def test_a_version_that_comes_back_is_sent_although_the_ledger_still_has_it(
    shop, versions, batch, concurrency, between
) -> None:
    """The ledger has A; B is under way, or about to be, when A is read again."""
    shop.parameters = {"batch_size": batch, "concurrency": concurrency}
    versions.yields = [(1, "A")]
    shop.sync()
    versions.yields = [(1, "B"), *[(n, "x") for n in range(10, 10 + between)], (1, "A"), (2, "x")]

    def answer(changes, context):
        if any(change.payload["v"] == "B" for change in changes):
            time.sleep(0.05)
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert held_by(shop)[1] == "A"
    versions.yields = [(1, "A")]
    assert shop.sync().counts["unchanged"] == 1


@pytest.mark.parametrize(("batch", "concurrency"), [(1, 1), (5, 1), (1, 4), (2, 4)])
def test_a_version_that_is_refused_leaves_the_one_before_it_as_it_was_sent(shop, versions, batch, concurrency) -> None:
    shop.parameters = {"batch_size": batch, "concurrency": concurrency}
    versions.yields = [(1, "A")]
    shop.sync()
    versions.yields = [(1, "B"), (1, ERROR)]
    execution = shop.sync()
    assert (execution.counts["written"], execution.counts["rejected"]) == (1, 1)
    assert held_by(shop) == {1: "B"}
    with shop.project() as project:
        assert [each.code for each in project.dead_letters()] == ["bad"]
    versions.yields = [(1, "A")]  # the ledger must not believe that the remote still has it
    assert shop.sync().counts["written"] == 1
    with shop.project() as project:
        assert project.dead_letters() == []


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_version_that_is_filtered_removes_the_one_before_it(shop, versions, concurrency) -> None:
    shop.parameters = {"batch_size": 3, "concurrency": concurrency, "filtered": "delete"}
    versions.yields = [(1, "A"), (1, SKIP)]
    assert shop.sync(ids=[1]).status is BatchStatus.COMPLETED
    assert held_by(shop) == {}


@pytest.mark.parametrize("seed", range(200 if os.environ.get("CONTRAFLOW_TEST_ALL") == "1" else 10))
def test_of_any_stream_of_versions_the_last_one_is_what_the_remote_has(shop, versions, seed) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    shop.parameters = {
        "batch_size": chance.choice([1, 2, 3, 7]),
        "concurrency": chance.choice([1, 2, 4, 8]),
        "max_rejected": 1.0,
    }
    pauses = [chance.choice([0, 0, 0.003]) for _ in range(100)]

    def answer(changes, context):
        time.sleep(pauses.pop() if pauses else 0)
        return shop.remote.store(changes)

    shop.remote.answer = answer
    last: dict[int, str] = {}
    rejected: set[int] = set()
    for _ in range(3):
        kinds = chance.choices(["A", "B", "C", ERROR, SKIP, DELETE], [5, 5, 2, 1, 1, 1], k=40)
        versions.yields = [(chance.randint(1, 6), kind) for kind in kinds]
        execution = shop.sync()
        assert execution.status is BatchStatus.COMPLETED
        for key, version in versions.yields:
            if version == ERROR:
                rejected.add(key)
            elif version != SKIP:
                rejected.discard(key)
                last[key] = version
        assert held_by(shop) == {key: version for key, version in last.items() if version != DELETE}
        with shop.project() as project:
            assert {each.key[0] for each in project.dead_letters()} == rejected
    versions.yields = sorted(last.items())
    assert shop.sync().counts["unchanged"] == len(last)


@pytest.mark.parametrize("then", ["A", DELETE])
def test_a_bad_version_of_a_removed_item_is_forgotten_when_a_good_one_comes(shop, versions, then) -> None:
    for version in ("A", DELETE, ERROR):
        versions.yields = [(1, version)]
        shop.sync()
    with shop.project() as project:
        assert [each.key for each in project.dead_letters()] == [(1,)]
    versions.yields = [(1, then)]
    shop.sync()
    with shop.project() as project:
        assert project.dead_letters() == []
