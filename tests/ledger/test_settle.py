from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import pytest
from sqlalchemy import Engine, event

from contraflow.errors import LedgerError
from contraflow.ledger import (
    ItemState,
    Ledger,
    NewDeadLetter,
    Settlement,
    StatusCount,
    StepRecord,
    decode_key,
    encode_key,
    open_ledger,
)
from contraflow.ledger.schema import OPEN_ITEMS

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
Begin = Callable[..., tuple[int, StepRecord]]


@pytest.fixture
def settlement(ledger: Ledger, begin: Begin) -> Settlement:
    execution_id, step = begin(ledger)
    return Settlement(step_execution_id=step.id, stream_id=step.stream_id, execution_id=execution_id)


def written(*numbers: int, generation: int = 1) -> list[ItemState]:
    return [
        ItemState(encode_key((n,)), "written", generation, f"fp1:{n}-{generation}", None, f"r{n}", '"v1"')
        for n in numbers
    ]


def test_states_come_back_as_they_were_settled(ledger: Ledger, settlement: Settlement) -> None:
    states = [
        *written(1, 2),
        ItemState('["Zoë ♥"]', "in_doubt", 7, None, "fp1:tried", None, None),
        ItemState("[3]", "deleted", 2),
        ItemState("[4]", "rejected"),
        ItemState("[5]", "deferred", pending="fp1:x"),
    ]
    ledger.settle(attrs.evolve(settlement, states=states))
    keys = [state.key for state in states]
    assert ledger.item_states(settlement.stream_id, [*keys, "[99]"]) == {state.key: state for state in states}
    assert ledger.item_states(settlement.stream_id + 1, keys) == {}
    assert ledger.item_states(settlement.stream_id, []) == {}


def test_later_states_replace_earlier_ones_also_within_a_chunk(ledger: Ledger, settlement: Settlement) -> None:
    ledger.settle(attrs.evolve(settlement, states=written(1, 2)))
    doubt = ItemState("[1]", "in_doubt", 2, "fp1:1-1", "fp1:new", "r1", None)
    ledger.settle(attrs.evolve(settlement, states=[*written(2, generation=2), doubt, *written(2, generation=3)]))
    assert ledger.item_states(settlement.stream_id, ["[1]", "[2]"]) == {
        "[1]": doubt,
        "[2]": written(2, generation=3)[0],
    }


def test_chunks_of_many_thousand_items(ledger: Ledger, settlement: Settlement) -> None:
    """More keys than a statement may have parameters, in the order of numbers, not of texts."""
    states = written(*range(40_000))
    ledger.settle(attrs.evolve(settlement, states=states))
    assert len(ledger.item_states(settlement.stream_id, [state.key for state in states])) == 40_000


@pytest.mark.parametrize("number", [1, 2, 3, 31, 32, 33, 1023, 1024, 1025])
def test_that_each_number_of_items_comes_back(ledger: Ledger, settlement: Settlement, number: int) -> None:
    states = [
        state._replace(changed='["a"]' if n % 3 else None, remote_id=None if n % 2 else state.remote_id)
        for n, state in enumerate(written(*range(number)))
    ]
    for _ in range(2):  # inserted, and replaced
        ledger.settle(attrs.evolve(settlement, states=states))
        assert ledger.item_states(settlement.stream_id, [state.key for state in states]) == {
            state.key: state for state in states
        }


@pytest.mark.parametrize("allowed", [999, 40])
def test_an_sqlite_that_allows_few_parameters(sqlite_url: str, begin: Begin, allowed: int) -> None:
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, allowed)

    event.listen(Engine, "connect", limit)
    try:
        with open_ledger(sqlite_url, clock=lambda: MOMENT) as ledger:
            execution_id, step = begin(ledger)
            states = written(*range(700))
            ledger.settle(
                Settlement(
                    step_execution_id=step.id, stream_id=step.stream_id, execution_id=execution_id, states=states
                )
            )
            kept = ledger.item_states(step.stream_id, [state.key for state in states])
    finally:
        event.remove(Engine, "connect", limit)
    assert kept == {state.key: state for state in states}


def test_an_empty_settlement_only_records_the_counts(ledger: Ledger, settlement: Settlement) -> None:
    ledger.settle(attrs.evolve(settlement, counts={"read": 3, "filtered": 3}))
    assert ledger.executions()[0].steps[0].counts == {"read": 3, "filtered": 3}
    assert ledger.checkpoint(integration="acme", job="customers_export", step="customers") is None


def full(settlement: Settlement) -> Settlement:
    return attrs.evolve(
        settlement,
        states=written(2, 3),
        dead_letters=[NewDeadLetter("[4]", "invalid", "no")],
        resolved=["[1]"],
        checkpoint=(4,),
        counts={"read": 4},
    )


def assert_untouched(ledger: Ledger, settlement: Settlement) -> None:
    """Only what the first settlement recorded is there."""
    states = ledger.item_states(settlement.stream_id, ["[1]", "[2]", "[3]", "[4]"])
    assert states == {"[1]": ItemState("[1]", "rejected")}
    assert [letter.key for letter in ledger.dead_letters()] == [(1,)]
    assert ledger.checkpoint(integration="acme", job="customers_export", step="customers") == (1,)
    assert ledger.executions()[0].counts == {"read": 1}


@pytest.fixture
def first(ledger: Ledger, settlement: Settlement) -> Settlement:
    ledger.settle(
        attrs.evolve(
            settlement,
            states=[ItemState("[1]", "rejected")],
            dead_letters=[NewDeadLetter("[1]", "invalid", "no")],
            checkpoint=(1,),
            counts={"read": 1},
        )
    )
    return settlement


def test_a_row_that_is_refused_leaves_nothing_of_its_chunk(ledger: Ledger, first: Settlement) -> None:
    bad = ItemState("[3]", "almost", 1)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="refused a row"):
        ledger.settle(attrs.evolve(full(first), states=[*written(2), bad]))
    assert_untouched(ledger, first)
    ledger.settle(full(first))


def test_an_unknown_step_execution_leaves_nothing(ledger: Ledger, first: Settlement) -> None:
    with pytest.raises(LedgerError, match="no step execution 999"):
        ledger.settle(attrs.evolve(full(first), step_execution_id=999))
    assert_untouched(ledger, first)


def test_a_checkpoint_that_cannot_be_kept_leaves_nothing(ledger: Ledger, first: Settlement) -> None:
    with pytest.raises(ValueError, match="NaN"):
        ledger.settle(attrs.evolve(full(first), checkpoint=(float("nan"),)))
    assert_untouched(ledger, first)


def test_a_process_killed_within_the_transaction_leaves_nothing(url: str, ledger: Ledger, first: Settlement) -> None:
    """The clock is read in the middle of a settlement: there the child kills itself."""
    child = f"""
import os, signal
from contraflow.ledger import *
settlement = Settlement(
    step_execution_id={first.step_execution_id}, stream_id={first.stream_id}, execution_id={first.execution_id},
    states=[ItemState("[2]", "written")], resolved=["[1]"], dead_letters=[NewDeadLetter("[4]", "invalid", "no")],
    checkpoint=(4,),
)
open_ledger({url!r}, clock=lambda: os.kill(os.getpid(), signal.SIGKILL)).settle(settlement)
"""
    ended = subprocess.run([sys.executable, "-c", child], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert_untouched(ledger, first)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_lost_connection_leaves_nothing_and_the_next_settlement_works(
    url: str, ledger: Ledger, first: Settlement, postgresql_engine: Engine
) -> None:
    backends: list[int] = []

    def cut() -> datetime:
        with postgresql_engine.begin() as connection:
            query = (
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
                "WHERE relname = 'cf_item_state' AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid() "
                "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)"
            )
            schema = url.rsplit("%3D", 1)[-1].rsplit("=", 1)[-1]
            backends.append(connection.exec_driver_sql(query, {"schema": schema}).scalar_one())
        return MOMENT

    with open_ledger(url, clock=cut) as doomed:
        with pytest.raises(LedgerError, match="cannot be reached"):
            doomed.settle(full(first))
        assert backends == [1]
        assert_untouched(doomed, first)
    ledger.settle(full(first))


def test_dead_letters_count_their_attempts_until_resolved(ledger: Ledger, begin: Begin) -> None:
    first_execution, step = begin(ledger)
    letters = [NewDeadLetter("[1]", "no_email", "no e-mail"), NewDeadLetter('["x",2]', "invalid", "bad")]
    ids = {"step_execution_id": step.id, "stream_id": step.stream_id}
    ledger.settle(Settlement(**ids, execution_id=first_execution, dead_letters=letters))
    second_execution, step = begin(ledger)
    ids = {"step_execution_id": step.id, "stream_id": step.stream_id}
    again = [NewDeadLetter("[1]", "no_name", "no name")]
    ledger.settle(Settlement(**ids, execution_id=second_execution, dead_letters=again, resolved=["[77]"]))

    one, two = ledger.dead_letters(integration="acme", job="customers_export")
    assert (one.key, one.code, one.reason, one.attempts) == ((1,), "no_name", "no name", 2)
    assert (one.first_execution_id, one.last_execution_id, one.recorded) == (first_execution, second_execution, MOMENT)
    assert (one.integration, one.job, one.step) == ("acme", "customers_export", "customers")
    assert (two.key, two.attempts, two.last_execution_id) == (("x", 2), 1, first_execution)
    assert ledger.dead_letters(integration="other") == ledger.dead_letters(job="other") == []
    assert ledger.dead_letters(limit=1) == [one]
    assert ledger.dead_letters(after=one.id) == [two]

    ledger.settle(Settlement(**ids, execution_id=second_execution, resolved=["[1]", "[77]"]))
    assert ledger.dead_letters() == [two]


def test_whatever_a_remote_answers_can_be_kept(ledger: Ledger, settlement: Settlement) -> None:
    """A crash here would come after the remote has written."""
    state = ItemState("[1]", "written", 1, "fp1:a", None, "a\0b", "\ud800é")
    number = ItemState("[2]", "written", 1, "fp1:a", None, 17)  # type: ignore[arg-type]
    letter = NewDeadLetter("[3]", "co\0de", "\udfff\0" + "x" * 10_000)
    ledger.settle(attrs.evolve(settlement, states=[state, number], dead_letters=[letter]))
    found = ledger.item_states(settlement.stream_id, ["[1]", "[2]"])
    assert found["[1]"] == state._replace(remote_id="a\ufffdb", remote_version="\ufffdé")
    assert found["[2]"].remote_id == "17"
    (kept,) = ledger.dead_letters()
    assert (kept.code, len(kept.reason)) == ("co\ufffdde", 4000)
    assert kept.reason.startswith("\ufffd\ufffdxxx")
    assert kept.reason.endswith("x…")


def test_counts_and_lists_for_status(ledger: Ledger, begin: Begin) -> None:
    execution_id, customers = begin(ledger)
    _, tracks = begin(ledger, step="tracks")
    _, other = begin(ledger, integration="zeta", step="tracks")

    def settle(step: StepRecord, *states: ItemState) -> None:
        ledger.settle(
            Settlement(
                step_execution_id=step.id, stream_id=step.stream_id, execution_id=execution_id, states=list(states)
            )
        )

    settle(customers, *written(1, 2, 3), ItemState("[4]", "in_doubt"), ItemState("[5]", "deleted"))
    settle(tracks, ItemState('["b",1]', "in_doubt"), ItemState('["a",1]', "in_doubt"))
    settle(other, ItemState("[1]", "in_doubt"))

    names = ("acme", "customers_export")
    assert ledger.counts_by_status(integration="acme") == [
        StatusCount(*names, "customers", "deleted", 1),
        StatusCount(*names, "customers", "in_doubt", 1),
        StatusCount(*names, "customers", "written", 3),
        StatusCount(*names, "tracks", "in_doubt", 2),
    ]
    assert len(ledger.counts_by_status()) == 5
    found = ledger.items_in("in_doubt", integration="acme")
    assert [(item.step, item.key) for item in found] == [
        ("customers", (4,)),
        ("tracks", ("a", 1)),
        ("tracks", ("b", 1)),
    ]
    assert found[0].execution_id == execution_id
    assert [item.key for item in ledger.items_in("deleted")] == [(5,)]
    assert len(ledger.items_in("in_doubt", limit=2)) == 2
    assert ledger.items_in("in_doubt", job="other") == []


def test_items_in_doubt_are_found_through_their_index(sqlite_url: str, begin: Begin) -> None:
    """Asking for them may not read a million written ones."""
    with open_ledger(sqlite_url) as ledger, ledger._database.read() as connection:
        query = f"EXPLAIN QUERY PLAN SELECT key FROM cf_item_state WHERE status = 'in_doubt' AND ({OPEN_ITEMS})"  # noqa: S608
        plan = " ".join(str(row) for row in connection.exec_driver_sql(query))
    assert "ix_cf_item_state_open" in plan


def test_keys_of_all_kinds_find_their_state(ledger: Ledger, settlement: Settlement) -> None:
    keys = [encode_key(key) for key in [(1,), ("1",), (True,), (1.0,), (None,), ("it's %s ? :x",), ("\\", '"')]]
    ledger.settle(
        attrs.evolve(
            settlement, states=[ItemState(key, "written", n) for n, key in enumerate(keys)], checkpoint=("%s", 1)
        )
    )
    found = ledger.item_states(settlement.stream_id, keys)
    assert [found[key].generation for key in keys] == list(range(len(keys)))
    assert {decode_key(key) for key in found} == {decode_key(key) for key in keys}
