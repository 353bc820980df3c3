from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import ItemState, Ledger, Settlement, StepRecord, open_ledger
from contraflow.ledger import sqlite as sqlite_module

Begin = Callable[..., tuple[int, StepRecord]]
KEYS = [f"[{number}]" for number in range(500)]


def chunk(execution_id: int, step: StepRecord, generation: int) -> Settlement:
    return Settlement(
        step_execution_id=step.id,
        stream_id=step.stream_id,
        execution_id=execution_id,
        states=[ItemState(key, "written", generation) for key in KEYS],
        checkpoint=(generation,),
        counts={"read": generation},
    )


def test_readers_see_whole_settlements_while_another_ledger_writes(url: str, ledger: Ledger, begin: Begin) -> None:
    execution_id, step = begin(ledger)
    ledger.settle(chunk(execution_id, step, 1))
    done, opened = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def read() -> None:
        with open_ledger(url) as reader:
            opened.set()
            while not done.is_set():
                states = reader.item_states(step.stream_id, KEYS)
                seen.append({state.generation for state in states.values()})
                reader.executions()

    reader = threading.Thread(target=read)
    reader.start()
    assert opened.wait(30)
    generation = 1
    while generation < 500 and (generation < 20 or len(seen) < 10):
        generation += 1
        ledger.settle(chunk(execution_id, step, generation))
    done.set()
    reader.join(30)
    assert seen
    assert all(len(generations) == 1 for generations in seen)


def test_two_writers_wait_for_each_other(url: str, ledger: Ledger, begin: Begin) -> None:
    runs = [begin(ledger), begin(ledger, step="tracks")]

    def write(run: tuple[int, StepRecord]) -> None:
        with open_ledger(url) as writer:
            for generation in range(1, 11):
                writer.settle(chunk(*run, generation))

    threads = [threading.Thread(target=write, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [ledger.counts_by_status()[n].items for n in (0, 1)] == [500, 500]
    assert all(state.generation == 10 for state in ledger.item_states(runs[1][1].stream_id, KEYS).values())


def test_a_file_that_stays_locked_is_named(tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sqlite_module._PRAGMAS, "busy_timeout", 50)
    path = tmp_path / "ledger.db"
    with open_ledger(f"sqlite:///{path}") as ledger:
        execution_id, step = begin(ledger)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="locked by another process"):
                ledger.settle(chunk(execution_id, step, 1))
        ledger.settle(chunk(execution_id, step, 1))


def test_a_full_disk_is_named_and_leaves_nothing(sqlite_url: str, begin: Begin) -> None:
    """SQLite's own limit of pages fails in the way in which a full disk does."""
    with open_ledger(sqlite_url) as ledger:
        execution_id, step = begin(ledger)
        with ledger._database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 40")
        with pytest.raises(LedgerError, match="the disk is full"):
            fill(ledger, execution_id, step)
        settled = sum(count.items for count in ledger.counts_by_status())
        (reached,) = ledger.checkpoint(integration="acme", job="customers_export", step="customers") or (-1,)
        assert settled == (reached + 1) * 500


def fill(ledger: Ledger, execution_id: int, step: StepRecord) -> None:
    for generation in range(50):
        states = [ItemState(f"[{generation},{number}]", "written") for number in range(500)]
        ledger.settle(attrs.evolve(chunk(execution_id, step, generation), states=states))
