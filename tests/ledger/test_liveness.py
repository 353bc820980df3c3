from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import Lease, Ledger, Liveness
from contraflow.ledger.liveness import JobLock, lock_file, session_key

JOB = ("acme", "customers_export")
Take = Callable[..., Lease]

HOLDER = """
import os, sys, time
from datetime import datetime, UTC
from contraflow.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
lock = ledger.liveness("acme", "customers_export")
assert lock.acquire()
ledger.take_lease("acme", "customers_export", owner="dead", host="", pid=os.getpid(), since=datetime.now(UTC))
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def holder(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds lock and lease."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def acquire_soon(lock: Liveness) -> bool:
    """A server may take a moment to see that a client is gone; a file lock may not."""
    deadline = time.monotonic() + (0 if lock.proof else 30)
    while not lock.acquire():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_lock_of_a_killed_holder_is_free_and_its_lease_can_be_taken_at_once(
    url: str, ledger: Ledger, take: Take
) -> None:
    lock = ledger.liveness(*JOB)
    with holder(url) as process:
        seen = ledger.lease_state(*JOB)
        assert not lock.acquire()
        process.kill()
        process.wait(30)
        assert acquire_soon(lock)
        assert seen is not None
        assert (seen.owner, seen.pid) == ("dead", process.pid)
        assert take(ledger, seen=seen).epoch == 2
    lock.release()


def test_a_holder_that_is_only_frozen_keeps_its_lock(url: str, ledger: Ledger) -> None:
    with holder(url) as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert not ledger.liveness(*JOB).acquire()


def test_a_lock_belongs_to_one_at_a_time(ledger: Ledger) -> None:
    one, two, other = ledger.liveness(*JOB), ledger.liveness(*JOB), ledger.liveness("acme", "orders")
    assert one.acquire()
    assert one.acquire()
    assert not two.acquire()
    assert other.acquire()
    two.release()
    releaser = threading.Thread(target=one.release)
    releaser.start()
    releaser.join(30)
    assert acquire_soon(two)
    assert not one.acquire()
    two.release()
    two.release()
    assert acquire_soon(one)
    one.release()
    other.release()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_session_that_broke_is_no_proof_and_harms_nobody(ledger: Ledger) -> None:
    lock = ledger.liveness(*JOB)
    assert lock.acquire()
    assert not lock.proof
    with ledger._database.write() as connection:
        holders = (
            "SELECT sum(pg_terminate_backend(pid, 10000)::int) FROM pg_locks WHERE locktype = 'advisory' AND objid = "
        )
        low = session_key(ledger.id, *JOB) & 0xFFFFFFFF
        assert connection.exec_driver_sql(f"{holders}{low}").scalar_one() == 1
    other = ledger.liveness(*JOB)
    assert other.acquire()
    lock.release()
    other.release()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_lock_file_stays_beside_the_ledger_for_its_owner_alone(ledger: Ledger, tmp_path: Path) -> None:
    lock = ledger.liveness(*JOB)
    assert lock.proof
    assert lock.acquire()
    lock.release()
    path = tmp_path / "ledger.db.acme.customers_export.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_job_has_a_lock_file_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    names = [
        ("a.b", "c"),
        ("a", "b.c"),
        ("a", "B"),
        ("a", "b"),
        ("../x", "y"),
        ("é", "y"),
        ("x" * 300, "y"),
        ("", "a.b"),
    ]
    paths = [lock_file(tmp_path / "ledger.db", *each) for each in names]
    assert len({str(path).lower() for path in paths}) == len(names)
    assert {path.parent for path in paths} == {tmp_path}
    assert max(len(os.fsencode(path.name)) for path in paths) < 200
    assert len({session_key("id", *each) for each in names} | {session_key("other", *names[0])}) == len(names) + 1


def test_one_ledger_under_two_paths_has_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
    assert lock_file(tmp_path / "link.db", *JOB) == lock_file(tmp_path / "ledger.db", *JOB)


def test_a_file_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.mkdir()
    with pytest.raises(LedgerError, match=r"x\.lock cannot be locked: "):
        JobLock(path).acquire()
