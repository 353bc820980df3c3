"""Several chunks in flight, and one execution of a job at a time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest

from contraflow.engine.leadership import JobRunningError, take
from contraflow.engine.run import RequestRecordedError
from contraflow.engine.stopping import StopRequest
from contraflow.errors import FencedError
from contraflow.ledger import open_ledger
from contraflow.workspace import utc_now
from contraflow_hookspecs import BatchStatus, Item, Written, hookimpl


def many(shop, number: int) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(1, number + 1)])


class Gauge:
    """Counts how many calls are under way at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.keys: Counter[Any] = Counter()
        self.doubled = False
        self.lock = threading.Lock()

    def answer(self, changes, context):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.keys.update(change.key for change in changes)
            self.doubled |= any(number > 1 for number in self.keys.values())
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
            self.keys.subtract(change.key for change in changes)
        return [Written(key=change.key, remote_id=f"r{change.key[0]}") for change in changes]


def test_as_many_chunks_are_in_flight_as_the_step_says(shop) -> None:
    many(shop, 60)
    shop.parameters = {"batch_size": 5, "concurrency": 4}
    gauge = Gauge()
    shop.remote.answer = gauge.answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert execution.counts["written"] == 60
    assert 2 <= gauge.most <= 4
    assert shop.sync().counts["unchanged"] == 60


def test_a_chunk_that_waits_for_its_turn_is_not_sent_any_more_when_the_run_is_to_stop(shop) -> None:
    many(shop, 10)
    shop.parameters = {"batch_size": 1, "concurrency": 2}
    stop, both, go = StopRequest(), threading.Barrier(3), threading.Event()

    def answer(changes, context):
        if not stop.is_set:
            both.wait(timeout=30)
        go.wait(timeout=30)
        return shop.remote.store(changes)

    def interrupt() -> None:
        both.wait(timeout=30)
        time.sleep(0.3)  # until the third is cut and waits; were that later, it would not even be cut
        stop.set("enough")
        go.set()

    shop.remote.answer = answer
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    execution = shop.sync(stop=stop)
    interrupter.join()
    assert execution.status is BatchStatus.STOPPED
    assert set(shop.remote.records) == {(1,), (2,)}
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert shop.sync().status is BatchStatus.COMPLETED
    assert len(shop.remote.sent) == 10, "each once"


def test_two_changes_of_one_item_are_never_in_flight_together(shop) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(n % 3,), entity={"v": n}) for n in range(60)]

    shop.plugins["repeating"] = Reader()
    shop.reader = "repeating"
    shop.parameters = {"batch_size": 2, "concurrency": 4}
    gauge = Gauge()
    shop.remote.answer = gauge.answer
    execution = shop.sync()
    assert not gauge.doubled
    assert execution.counts["read"] == 60
    latest = {change.key: change.payload["v"] for change in shop.remote.sent}
    assert latest == {(0,): 57, (1,): 58, (2,): 59}
    assert all(change.remote_id for change in shop.remote.sent[3:])


def test_the_checkpoint_never_passes_what_is_not_settled(shop) -> None:
    many(shop, 40)
    shop.parameters = {"batch_size": 2, "concurrency": 4, "attempts": 1}

    def answer(changes, context):
        if changes[0].key == (9,):
            time.sleep(0.1)
            raise ConnectionResetError("reset")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.counts["in_doubt"] == 2
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    began = []
    shop.remote.process = lambda item, _: began.append(item.key[0]) or dict(item.data)
    shop.sync()
    assert began[0] <= 9  # behind the fourth chunk, or before it, never beyond
    assert len(shop.remote.records) == 40


def test_a_stop_lets_the_chunk_in_hand_finish_and_the_next_run_goes_on(shop) -> None:
    many(shop, 20)
    shop.parameters = {"batch_size": 5}
    stop = StopRequest()

    def answer(changes, context):
        stop.set("enough")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync(stop=stop)
    assert execution.status is BatchStatus.STOPPED
    assert execution.exit_description == "enough"
    assert execution.counts["written"] == 5
    again = shop.sync()
    assert (again.counts["written"], again.counts["unchanged"]) == (15, 5)
    assert len(shop.remote.records) == 20


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/own.db") as ledger:
        yield ledger


def lead(ledger, **options: Any):
    return take(ledger, "acme", "export", now=utc_now, stop=StopRequest(), **options)


def test_a_second_execution_is_told_who_runs_the_job(ledger) -> None:
    with lead(ledger), pytest.raises(JobRunningError) as caught:
        lead(ledger)
    assert f"in process {os.getpid()}" in str(caught.value)
    assert "already running since" in str(caught.value)
    with lead(ledger) as later:
        assert later.lease.epoch == 2


def test_who_waits_gets_its_turn(ledger) -> None:
    first = lead(ledger)
    first.__enter__()
    threading.Timer(0.3, first.__exit__, [None, None, None]).start()
    with lead(ledger, wait=True) as second:
        assert second.lease.epoch == 2


def test_waiting_can_be_ended(ledger) -> None:
    stop = StopRequest()
    threading.Timer(0.1, stop.set, ["enough"]).start()
    with lead(ledger), pytest.raises(Exception, match="enough"):
        take(ledger, "acme", "export", now=utc_now, stop=stop, wait=True)


def test_a_stop_is_asked_for_through_the_ledger(ledger) -> None:
    stop = StopRequest()
    with take(ledger, "acme", "export", now=utc_now, stop=stop, lifetime=0.3):
        assert ledger.request_stop("acme", "export") is not None
        assert stop.wait(5)
    assert stop.reason == "stopped by request"


def test_of_many_contenders_one_leads_at_a_time(ledger) -> None:
    leading = Counter[str]()
    most = []
    lock = threading.Lock()

    def contend() -> None:
        with lead(ledger, wait=True):
            with lock:
                leading["now"] += 1
                most.append(leading["now"])
            time.sleep(0.01)
            with lock:
                leading["now"] -= 1

    threads = [threading.Thread(target=contend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 6


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_frozen_process_that_wakes_up_can_settle_nothing(shop) -> None:
    """SIGSTOP in the middle of a call, past the lease; another run takes over; SIGCONT."""
    began, go_on = os.pipe(), os.pipe()

    def answer(changes, context):
        os.write(began[1], b"x")
        os.read(go_on[0], 1)
        return shop.remote.store(changes)

    shop.write()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            shop.remote.answer = answer
            with shop.project() as project:
                project.lease_lifetime = 1.0
                project.sync("acme")
            code = 0
        except FencedError:
            code = 5
        finally:
            os._exit(code)
    os.read(began[0], 1)
    os.kill(child, signal.SIGSTOP)
    with shop.project() as project:
        project.lease_lifetime = 1.0
        execution = project.sync("acme", wait=True)
    assert execution.status is BatchStatus.COMPLETED
    assert execution.counts["recovered"] == 3
    os.write(go_on[1], b"x")
    os.kill(child, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    with shop.project() as project:
        assert [each.status for each in project.executions()] == [BatchStatus.COMPLETED, BatchStatus.FAILED]
        assert [(each.status, each.items) for each in project.items()] == [("written", 3)]


def test_what_is_asked_for_by_id_while_the_job_runs_is_carried_out_after_it(shop) -> None:
    started, go_on = threading.Event(), threading.Event()

    def answer(changes, context):
        if not started.is_set():
            started.set()
            go_on.wait(10)
        return shop.remote.store(changes)

    shop.remote.answer = answer
    results = []
    first, second = shop.project(), shop.project()
    thread = threading.Thread(target=lambda: results.append(first.sync("acme", ids=[1])))
    thread.start()
    assert started.wait(10)
    for _ in range(2):  # the same twice is done once
        with pytest.raises(RequestRecordedError, match="The request is recorded"):
            second.sync("acme", ids=[2, 3])
    with pytest.raises(JobRunningError):
        second.sync("acme")
    go_on.set()
    thread.join(20)
    assert [each.counts["written"] for each in results] == [1]
    assert sorted(shop.remote.records) == [(1,), (2,), (3,)]
    assert [each.counts["read"] for each in second.executions()] == [2, 1]


def test_a_request_with_a_secret_is_not_recorded(shop) -> None:
    started, go_on = threading.Event(), threading.Event()

    def answer(changes, context):
        started.set()
        go_on.wait(10)
        return shop.remote.store(changes)

    shop.remote.answer = answer
    first, second = shop.project(), shop.project()
    thread = threading.Thread(target=lambda: first.sync("acme", ids=[1]))
    thread.start()
    assert started.wait(10)
    second.redact.add(["hunter2-token"])
    with pytest.raises(JobRunningError):
        second.sync("acme", ids=[2], parameters={"season": "hunter2-token"})
    go_on.set()
    thread.join(20)
    assert b"hunter2-token" not in (shop.directory / "ledger.db").read_bytes()
