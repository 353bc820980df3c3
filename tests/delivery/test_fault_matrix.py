"""The fault matrix: what goes wrong, when, at a remote of which class, and what becomes of the items.

The numbers are the rows of the fault matrix in the page on the delivery proof, which says what other tests cover and what
is left out. Each case meets its fault with a real project, ledger and remote; then the fault is over, and the project is
synchronised until nothing is left to be done. In the end nothing may be lost, doubled, stale or silent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from direct import findings, outcomes
from selection import EVERYTHING

from contraflow.engine.run import RequestRecordedError
from contraflow.testing.remote.effect_log import read_log
from contraflow_hookspecs import (
    Deferred,
    Gone,
    Idempotency,
    Operation,
    PermanentError,
    Rejected,
    TransientError,
    Written,
    hookimpl,
)

DELETE = Operation.DELETE
ALL = {"written": 5}
HELD = {"written": 4, "in_doubt": 1}
REFUSED = {"written": 4, "rejected": 1}
LATER = {"deferred": 5}


@attrs.frozen(kw_only=True)
class Row:
    """One fault."""

    row: int
    name: str
    rules: Sequence[Mapping[str, Any]] = ()
    expected: Mapping[str, Mapping[str, int]]
    """By classes: the outcomes of the run that met the fault."""
    end: str = "COMPLETED"
    """The exit code of that run."""
    form: str = "single"
    records: int = 5
    batch_size: int = 5
    timeout: float = 0.5
    lifetime: float = 0.5
    refused: Sequence[str] = ()
    url: Callable[[str], str] = lambda url: url
    """Where the remote is taken to be."""
    requests: int | None = None
    """How many came to the remote in that run."""
    changed: bool = False
    """Whether the source changes after it."""


def status(number: int, **more: Any) -> dict[str, Any]:
    return {"fault": "status", "status": number, **more}


def second(fault: str, **more: Any) -> list[dict[str, Any]]:
    return [{"fault": fault, "requests": [2], **more}]


def lost(fault: str, **more: Any) -> list[dict[str, Any]]:
    """An answer is lost, and the remote cannot be asked."""
    return [*second("reset_after"), {"fault": fault, "reads": True, **more}]


DOUBTFUL = {"ABC": ALL, "D": HELD}
ROWS = [
    # 42: the request never leaves
    Row(
        row=42,
        name="connection refused",
        expected={"AD": LATER},
        end="UNAVAILABLE",
        url=lambda _: "http://127.0.0.1:9/",
    ),
    Row(
        row=42, name="no such host", expected={"AD": LATER}, end="UNAVAILABLE", url=lambda _: "http://nowhere.invalid/"
    ),
    Row(
        row=42,
        name="no TLS where TLS is expected",
        expected={"AD": LATER},
        end="UNAVAILABLE",
        url=lambda url: url.replace("http:", "https:"),
    ),
    # 43: no answer in time
    Row(
        row=43,
        name="answered too late",
        rules=second("delay_after", seconds=0.5),
        expected=DOUBTFUL,
        timeout=0.3,
        lifetime=0.4,
    ),
    Row(
        row=43,
        name="applied too late",
        rules=second("delay_before", seconds=0.4),
        expected=DOUBTFUL,
        timeout=0.3,
        lifetime=0.5,
    ),
    # 44: an answer that is none
    Row(row=44, name="reset before applying", rules=second("reset_before"), expected=DOUBTFUL),
    Row(row=44, name="reset after applying", rules=second("reset_after"), expected=DOUBTFUL),
    Row(row=44, name="half of the answer", rules=second("truncated"), expected=DOUBTFUL),
    Row(row=44, name="a page of HTML", rules=second("not_json"), expected=DOUBTFUL),
    Row(
        row=44,
        name="half of a batch applied",
        rules=[{"fault": "reset_after", "items": 2, "requests": [1]}],
        form="batch",
        expected={"ABC": ALL, "D": {"in_doubt": 5}},
    ),
    # 45: results that do not fit
    Row(
        row=45,
        name="a result is missing",
        rules=[{"fault": "missing", "requests": [1]}],
        form="bulk",
        expected={"BC": ALL, "D": HELD},
    ),
    Row(
        row=45,
        name="a result comes twice",
        rules=[{"fault": "doubled", "requests": [1]}],
        form="bulk",
        expected={"BC": ALL, "D": {"written": 3, "in_doubt": 2}},
    ),
    Row(
        row=45,
        name="a result of somebody else",
        rules=[{"fault": "foreign", "requests": [1]}],
        form="bulk",
        expected={"BC": ALL, "D": HELD},
    ),
    Row(row=45, name="results in another order", rules=[{"fault": "reordered"}], form="bulk", expected={"BCD": ALL}),
    # 46: some of a batch
    Row(
        row=46,
        name="some of a batch refused",
        rules=[{"fault": "mixed", "reject": ["2"]}],
        form="batch",
        expected={"A": REFUSED},
        refused=["2"],
        requests=1,
    ),
    Row(
        row=46,
        name="some of a bulk refused",
        rules=[{"fault": "mixed", "reject": ["2"]}],
        form="bulk",
        expected={"BCD": REFUSED},
        refused=["2"],
        requests=1,
    ),
    # 47: later, please
    Row(row=47, name="429 and 0 seconds", rules=second("status", status=429, retry_after=0), expected={"D": ALL}),
    Row(row=47, name="429 and a date", rules=second("status", status=429, retry_after="date:+1"), expected={"D": ALL}),
    Row(
        row=47,
        name="429 and a past date",
        rules=second("status", status=429, retry_after="date:-5"),
        expected={"D": ALL},
    ),
    Row(row=47, name="429 and a word", rules=second("status", status=429, retry_after="soon"), expected={"D": ALL}),
    Row(
        row=47,
        name="503 and a date of a wrong clock",
        rules=second("status", status=503, retry_after="date:+1", clock=-86400),
        expected={"A": ALL},
    ),
    Row(
        row=47,
        name="429 and an hour",
        rules=second("status", status=429, retry_after=3600),
        expected={"D": {"written": 1, "deferred": 4}},
        requests=2,
    ),
    Row(
        row=47,
        name="429 and a date tomorrow",
        rules=second("status", status=429, retry_after="date:+86400"),
        expected={"D": {"written": 1, "deferred": 4}},
        requests=2,
    ),
    # 48: an error of the remote's own
    Row(row=48, name="500, not applied", rules=second("status", status=500), expected=DOUBTFUL),
    Row(row=48, name="502, applied", rules=second("status", status=502, apply=True), expected=DOUBTFUL),
    Row(row=48, name="500 for ever for one item", rules=[status(500, record="2")], expected={"AD": HELD}),
    # 52: the remote cannot be asked
    Row(row=52, name="looking up: 503", rules=lost("status", status=503), expected={"C": HELD}, requests=5),
    Row(row=52, name="looking up: 500", rules=lost("status", status=500), expected={"C": HELD}, requests=5),
    Row(row=52, name="looking up: reset", rules=lost("reset_before"), expected={"C": HELD}, requests=5),
    Row(row=52, name="looking up: a page of HTML", rules=lost("not_json"), expected={"C": HELD}, requests=5),
    # 53: credentials
    Row(row=53, name="401", rules=[status(401)], expected={"AD": LATER}, end="FAILED", requests=1),
    Row(row=53, name="403", rules=[status(403)], expected={"AD": LATER}, end="FAILED", requests=1),
    Row(
        row=53,
        name="401 in the middle",
        rules=[status(401, **{"from": 3})],
        expected={"AD": {"written": 2, "deferred": 3}},
        end="FAILED",
    ),
    # 54: down for long
    Row(
        row=54,
        name="503 for an hour",
        rules=[status(503, retry_after=3600)],
        records=40,
        expected={"ABCD": {"deferred": 15}},
        end="UNAVAILABLE",
        requests=3,
    ),
    Row(
        row=54,
        name="no answer to anything",
        rules=[{"fault": "reset_before"}],
        records=10,
        batch_size=2,
        expected={"AD": {"in_doubt": 6}},
        end="UNAVAILABLE",
        requests=6,
    ),
    # 55: items that are refused for good
    Row(
        row=55,
        name="one bad item",
        rules=[status(422, record="3")],
        expected={"ABCD": REFUSED},
        refused=["3"],
        requests=5,
    ),
    Row(
        row=55,
        name="one bad item spoils its batch",
        rules=[status(422, record="3")],
        form="batch",
        expected={"ABD": REFUSED},
        refused=["3"],
        requests=5,
    ),
    Row(
        row=55,
        name="two bad items spoil their batch",
        rules=[status(422, record=["3", "5"])],
        form="batch",
        expected={"A": {"written": 3, "rejected": 2}},
        refused=["3", "5"],
    ),
    Row(
        row=55,
        name="all bad",
        rules=[status(422)],
        records=40,
        expected={"AD": {"rejected": 20}},
        end="FAILED",
        refused=[str(number) for number in range(1, 41)],
        requests=20,
    ),
    Row(
        row=55, name="a batch too large", rules=[{"fault": "too_large", "above": 2}], form="batch", expected={"A": ALL}
    ),
    Row(row=55, name="a bulk too large", rules=[{"fault": "too_large", "above": 2}], form="bulk", expected={"BC": ALL}),
    # 59: the source moves on
    Row(
        row=59,
        name="the source changes while items are in doubt",
        rules=[*second("reset_after"), status(503, retry_after=3600, **{"from": 3}), status(503, reads=True)],
        expected={
            "AB": {"written": 1, "deferred": 4},
            "C": {"written": 1, "deferred": 3, "in_doubt": 1},
            "D": {"written": 1, "deferred": 3, "in_doubt": 1},
        },
        changed=True,
    ),
]
EVERY = [
    pytest.param(row, letter, counts, id=f"{row.row}-{row.name}-{letter}")
    for row in ROWS
    for letters, counts in row.expected.items()
    for letter in letters
]

"""Each row with each of its classes; every day, each row with the class that has the least to go by."""
_HARDEST = "DCAB"
CASES = [
    case
    for case in EVERY
    if EVERYTHING or case.values[1] == min("".join(case.values[0].expected), key=_HARDEST.index)  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("row", "delivery_class", "expected"), CASES)
def test_fault(direct, remote, row, delivery_class, expected):
    options = {name: getattr(row, name) for name in ("form", "records", "batch_size", "timeout", "lifetime")}
    project = direct(delivery_class, *row.rules, **options)
    execution = project.run(url=row.url(remote.url))
    assert (outcomes(execution), execution.exit_code) == (expected, row.end)
    assert row.requests is None or len(project.requests) == row.requests
    remote.script({})
    if row.changed:
        project.workload.touch(row.records)
    project.finish()
    assert findings(project, refused=row.refused) == []


@pytest.mark.parametrize("delivery_class", "ABCD" if EVERYTHING else "D")
def test_72_a_second_run_without_changes_sends_and_records_nothing(direct, delivery_class):
    project = direct(delivery_class)
    assert outcomes(project.run()) == ALL
    sent = len(project.requests)
    assert outcomes(project.run()) == {"unchanged": 5}
    assert len(project.requests) == sent
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "ABC" if EVERYTHING else "B")
def test_58_a_value_that_comes_back_arrives(direct, delivery_class):
    project = direct(delivery_class, style="flipping")
    for _ in range(3):
        assert outcomes(project.run()) == ALL
        project.workload.touch(5)
    project.finish()
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "ABC" if EVERYTHING else "C")
def test_27_a_clock_that_is_years_wrong_changes_nothing(direct, remote, delivery_class):
    project = direct(delivery_class, *second("reset_after"), status(503, **{"from": 3}), status(503, reads=True))
    for year in (2031, 2021):
        with project.project() as loaded:
            loaded._now = lambda year=year: datetime(year, 1, 1, tzinfo=UTC)
            loaded.sync("it", everything=True)
        remote.script({})
        project.workload.touch(2)
    project.finish()
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "AC" if EVERYTHING else "A")
def test_41_a_ledger_that_somebody_else_writes_is_waited_for(direct, delivery_class):
    project = direct(delivery_class)
    project.run()
    project.workload.touch(5)
    with closing(sqlite3.connect(project.directory / "ledger.db", check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.rollback)
        release.start()
        assert outcomes(project.run()) == ALL
        release.join()
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "ABCD" if EVERYTHING else "AD")
@pytest.mark.parametrize("where", [34, 35])
def test_34_35_a_full_disk(direct, delivery_class, where):
    """At the intent nothing is sent; at the settlement the intent stays. A trigger says what SQLite says of a full disk."""
    project = direct(delivery_class)
    table = {34: "cf_intent", 35: "cf_item_state"}[where]
    with project.project() as loaded:
        loaded.ledger()  # makes it
        with closing(sqlite3.connect(project.directory / "ledger.db")) as database, database:
            full = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            database.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} {full}")
        execution = loaded.sync("it", everything=True)
    assert execution.exit_code == "LEDGER"
    assert len(project.requests) == (0 if where == 34 else 5)
    with closing(sqlite3.connect(project.directory / "ledger.db")) as database, database:
        database.execute("DROP TRIGGER full")
    project.finish()
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "AD" if EVERYTHING else "D")
def test_47_a_remote_that_throttles_is_waited_for_as_it_says(direct, delivery_class):
    """429 with Retry-After for a while, then 503s, then all is well."""
    project = direct(
        delivery_class,
        *second("status", status=429, retry_after=1),
        *({**status(429, retry_after="date:+1"), "requests": [number]} for number in (3, 4)),
        status(503, requests=[5, 6]),
        parameters={"attempts": 10},
        records=10,
    )
    assert outcomes(project.run()) == {"written": 10}
    told = {event["request"]: event for event in read_log(project.remote.log) if event["event"] == "fate"}
    asked = [(told[request["request"]], after["time"]) for request, after in pairwise(project.requests)]
    waited = [(fate["status"], after - fate["time"]) for fate, after in asked if fate["status"] in (429, 503)]
    assert [status for status, _ in waited] == [429, 429, 429, 503, 503]
    # A date has no fractions: of its second only what is left is waited for.
    assert waited[0][1] >= 1.0
    assert findings(project) == []


def test_56_items_that_fail_only_together_pass_alone(shop):
    def answer(changes, context):
        if len(changes) > 1:
            raise PermanentError("not these two at once", code="together")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    assert outcomes(shop.sync()) == {"written": 3}
    assert len(shop.remote.records) == 3


def test_63_a_dead_letter_of_an_older_version_overwrites_nothing(shop):
    shop.remote.answer = lambda changes, _: [Rejected(key=each.key, code="no", reason="not now") for each in changes]
    shop.sync()
    with shop.project() as project:
        letters = project.ledger().dead_letters()
    assert len(letters) == 3
    shop.sql("UPDATE customer SET name = 'newer'")
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert outcomes(shop.sync()) == {"written": 3}
    calls = len(shop.remote.calls)
    with shop.project() as project:
        again = list(project.retry_dead_letters(letters))
    assert [outcomes(execution) for execution in again] == [{"unchanged": 3}]
    assert len(shop.remote.calls) == calls
    assert {record["name"] for record in shop.remote.records.values()} == {"newer"}


class Asked:
    """A remote that can be asked what arrived."""

    records: dict[Any, Any]

    @hookimpl
    def confirm_items(self, items, context):
        return [
            Written(key=each.key)
            if self.records.get(each.key) == (None if each.operation is DELETE else each.payload)
            else Deferred(key=each.key, reason="it did not arrive")
            for each in items
        ]


def remote_of(shop, delivery_class: str) -> Any:
    """Give the shop a remote of a class."""
    declared = {
        "A": {"idempotency": Idempotency.KEY},
        "B": {"idempotency": Idempotency.UPSERT},
        "C": {"idempotency": Idempotency.NONE, "confirm": True},
        "D": {"idempotency": Idempotency.NONE},
    }[delivery_class]
    kind = type(shop.remote)
    shop.remote = (type("AskedRemote", (Asked, kind), {}) if delivery_class == "C" else kind)(**declared)
    return shop.remote


def lose(remote: Any, lost: Callable[[Any], bool], *, apply: bool) -> None:
    """Let the answer to a change be lost, and nothing be heard of the remote after that."""

    def answer(changes, context):
        if not any(lost(each) for each in changes):
            return remote.store(changes)
        if apply:
            remote.store(changes)
        remote.answer = busy
        raise ConnectionResetError("reset")

    def busy(changes, context):
        raise TransientError("busy", retry_after=3600)

    remote.answer = answer


@pytest.mark.parametrize("apply", [False, True], ids=["did not arrive", "arrived"])
@pytest.mark.parametrize("delivery_class", "ABCD")
def test_62_a_deletion_in_doubt_is_resolved_before_what_follows_it(shop, delivery_class, apply):
    """The entity comes back, and another one goes, while nobody knows whether the first deletion arrived."""
    remote = remote_of(shop, delivery_class)
    shop.parameters = {"deletions": "delete", "batch_size": 1, "attempts": 1}
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 2")
    lose(remote, lambda each: each.operation is DELETE, apply=apply)
    shop.sync()
    shop.sql("INSERT INTO customer VALUES (2, 'Bo again', NULL); DELETE FROM customer WHERE id = 3")
    remote.answer = lambda changes, _: remote.store(changes)
    remote.calls.clear()
    shop.sync(resume=False)
    told = [(each.key[0], each.operation.value) for each in remote.sent]
    if delivery_class == "D":  # nothing more of that record, before somebody says what became of it
        assert told == [(3, "delete")]
        with shop.project() as project:
            assert [each.key for each in project.held()] == [(2,)]
            verdict = "deleted" if apply else "resend"
            project.settle_held("acme", job="shop_export", step="customers", ids=[2], verdict=verdict)
        shop.sync()
    else:
        first = [] if delivery_class == "C" and apply else [(2, "delete")]
        assert told == [*first, (2, "upsert"), (3, "delete")]
    assert {key[0]: record["name"] for key, record in remote.records.items()} == {1: "Ana", 2: "Bo again"}
    assert outcomes(shop.sync()) == {"unchanged": 2}


@pytest.mark.parametrize("delivery_class", "ABC")
def test_62_a_late_upsert_brings_nothing_back_that_was_deleted(shop, delivery_class):
    """It is resolved before the deletion, which the remote may answer with 404."""
    remote = remote_of(shop, delivery_class)
    shop.parameters = {"deletions": "delete", "batch_size": 1, "attempts": 1}
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Bob' WHERE id = 2")
    lose(remote, lambda each: each.key == (2,), apply=False)
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 2")

    def answer(changes, context):
        return [Gone(key=each.key) if each.operation is DELETE else remote.store([each])[0] for each in changes]

    remote.answer = answer
    remote.calls.clear()
    shop.sync(resume=False)
    assert [(each.key[0], each.operation.value) for each in remote.sent] == [(2, "upsert"), (2, "delete")]
    with shop.project() as project:
        assert {each.status: each.items for each in project.items()} == {"written": 2, "deleted": 1}


@attrs.frozen
class Effects:
    """What a remote did, in a file: for more than one process."""

    path: Path
    knows_keys: bool

    def store(self, changes: Sequence[Any], context: object = None) -> list[Written]:
        known = {key for _, key in self.seen}
        with self.path.open("a") as log:
            for each in changes:
                if not (self.knows_keys and each.idempotency_key in known):
                    log.write(f"{each.key[0]} {each.idempotency_key}\n")
        return [Written(key=each.key) for each in changes]

    @property
    def seen(self) -> list[tuple[str, str]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(number, key) for number, _, key in (line.partition(" ") for line in lines)]


def refused(shop, tmp_path: Path, delivery_class: str) -> tuple[Any, Effects]:
    """Dead letters of all three customers, at a remote that would take them now."""
    remote = remote_of(shop, delivery_class)
    remote.answer = lambda changes, _: [Rejected(key=each.key, code="no", reason="not now") for each in changes]
    shop.parameters = {"max_rejected": 1.0}
    shop.sync()
    with shop.project() as project:
        letters = project.dead_letters()
    assert len(letters) == 3
    return letters, Effects(tmp_path / "effects", delivery_class == "A")


@pytest.mark.parametrize("delivery_class", "AD")
def test_64_two_replays_at_once_are_one(shop, tmp_path, delivery_class):
    letters, effects = refused(shop, tmp_path, delivery_class)
    barrier = threading.Barrier(2)

    def answer(changes, context):
        time.sleep(0.3)  # the other one comes meanwhile
        return effects.store(changes)

    shop.remote.answer = answer

    def replay(project: Any) -> None:
        barrier.wait()
        with suppress(RequestRecordedError):
            list(project.retry_dead_letters(letters))

    projects = [shop.project(), shop.project()]
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(replay, project) for project in projects]:
            future.result()
    assert sorted(number for number, _ in effects.seen) == ["1", "2", "3"]
    with shop.project() as project:
        assert project.dead_letters() == []
    assert outcomes(shop.sync()) == {"unchanged": 3}
    assert len(effects.seen) == 3


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("delivery_class", "AD")
def test_64_a_crash_during_a_replay_leaves_a_doubt(shop, tmp_path, delivery_class):
    letters, effects = refused(shop, tmp_path, delivery_class)

    def die(changes, context):
        effects.store(changes)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            shop.remote.answer = die
            with shop.project() as project:
                list(project.retry_dead_letters(letters))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    shop.remote.answer = effects.store
    with shop.project() as project:
        list(project.retry_dead_letters(letters))
    assert outcomes(shop.sync()) == ({"unchanged": 3} if delivery_class == "A" else {"in_doubt": 3})
    assert sorted(number for number, _ in effects.seen) == ["1", "2", "3"]
    with shop.project() as project:
        assert len(project.held()) == (0 if delivery_class == "A" else 3)


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), MemoryError(), RecursionError()], ids=repr)
def test_67_a_writer_that_leaves_in_an_odd_way_leaves_a_doubt_and_no_success(shop, error):
    def answer(changes, context):
        shop.remote.store(changes)
        raise error

    shop.remote.answer = answer
    execution = shop.sync()
    assert outcomes(execution) == {"in_doubt": 3}
    assert execution.exit_code != "COMPLETED"
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert shop.sync(resume=False).counts["recovered"] == 3


def test_71_a_sync_within_a_thread_and_within_an_event_loop(shop):
    async def within() -> dict[str, int]:
        return outcomes(shop.sync())

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: outcomes(shop.sync())).result() == {"written": 3}
    assert asyncio.run(within()) == {"unchanged": 3}


ELSEWHERE = {
    **dict.fromkeys([*range(1, 13), 16], "tests/delivery/test_crash_points.py::test_one_crash"),
    13: "tests/delivery/test_crash_points.py::test_a_crash_between_two_parts_of_a_batch",
    14: "tests/delivery/test_crash_points.py::test_a_crash_in_the_backoff",
    15: "tests/delivery/test_crash_points.py::test_a_crash_in_the_recovery_from_a_crash",
    17: "tests/delivery/test_kills.py::test_nothing_is_lost_doubled_or_silent",
    19: "tests/engine/test_delivery.py::test_an_item_that_kills_the_process_is_isolated_and_held_and_the_others_arrive",
    21: "tests/cli/test_stopping.py::test_a_signal_ends_the_run_after_the_chunk_in_hand",
    22: "tests/cli/test_stopping.py::test_a_second_signal_ends_at_once_as_a_crash_would",
    23: "tests/cli/test_stopping.py::test_a_second_signal_ends_at_once_as_a_crash_would",
    24: "tests/delivery/test_two_workers.py::test_who_was_frozen_past_its_lease_sends_and_settles_nothing_more",
    25: "tests/delivery/test_two_workers.py::test_of_two_that_begin_at_one_moment_one_runs",
    30: "tests/delivery/test_commit_cut.py::test_30_a_connection_cut_at_commit",
    38: "tests/ledger/test_opening.py::test_a_damaged_ledger_is_refused_and_left_as_it_is",
    39: "tests/ledger/test_opening.py::test_a_ledger_of_a_newer_version_is_refused",
    40: "tests/ledger/test_migrations.py::test_40_killed_in_a_migration_the_old_ledger_or_the_new_is_left",
    50: "tests/delivery/test_checker.py::test_one_key_applied_twice_is_doubled",
    57: "tests/engine/test_outcomes.py::test_of_two_items_of_one_key_in_a_chunk_the_newest_is_sent_and_the_other_coalesced",
    65: "tests/test_fingerprint.py::test_fingerprints_are_equal_exactly_when_the_contents_are",
    66: "tests/engine/test_faults.py::test_a_key_that_cannot_be_kept_is_rejected",
    68: "tests/test_plugins.py::test_one_name_from_two_distributions_is_refused_naming_both",
    69: "tests/readers/test_key_order.py::test_memory_is_bounded_by_the_page",
}
"""Rows that other tests prove."""


def test_the_tests_that_prove_other_rows_exist():
    root = Path(__file__).parents[2]
    missing = [
        place
        for place in set(ELSEWHERE.values())
        if f"\ndef {place.partition('::')[2]}(" not in (root / place.partition("::")[0]).read_text()
    ]
    assert missing == []
