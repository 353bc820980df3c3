"""Row 27 of the fault matrix: the wall clock is set a day back or ahead, between runs and in the middle of one.

Real processes under libfaketime, which tells them another time than the machine's; what counts since the machine's start
goes on, as it does when somebody sets the clock. A test is skipped where libfaketime is not installed (with ``CI=true`` it
fails).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from direct import Direct, findings, outcomes
from selection import selected

BACK, AHEAD = "-1d", "+1d"


@attrs.define
class Machine:
    """A machine whose clock can be set."""

    project: Direct
    library: Path
    clock: Path

    def set(self, offset: str) -> None:
        """Set the clock so far from the right time; also while a process is running. At once, never half."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.replace(self.clock)

    @property
    def environ(self) -> dict[str, str]:
        """Of its processes."""
        return {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A ``contraflow`` on it."""
        self.project.project().close()  # writes the files
        with subprocess.Popen(
            [sys.executable, "-m", "contraflow", *arguments],
            cwd=self.project.directory,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        with self.running(*arguments) as process:
            output = process.communicate(timeout=120)[0]
        assert process.returncode == code, output
        assert "Traceback" not in output
        return output

    def sync(self, **options: Any) -> str:
        return self.run("sync", "it", "--all", **options)

    def wait_for_requests(self, number: int) -> None:
        """Until so many writes have come to the remote."""
        end = time.monotonic() + 60
        while len(self.project.requests) < number:
            assert time.monotonic() < end, "nothing comes"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def library() -> Path:
    places = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not places:
        if os.environ.get("CI") == "true":
            pytest.fail("libfaketime is not installed: apt-get install libfaketime")
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    return places[0]


@pytest.fixture
def machine(direct, library: Path, tmp_path: Path) -> Callable[..., Machine]:
    def make(delivery_class: str, *rules: Any, **options: Any) -> Machine:
        made = Machine(direct(delivery_class, *rules, **options), library, tmp_path / "clock")
        made.set("+0")
        return made

    return make


def test_the_library_does_what_these_tests_need(machine):
    """The wall clock is set, also of a process that is running; the others go on."""
    made = machine("A")
    code = (
        "import sys, time\n"
        "def tell(): print(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)\n"
        "tell(); sys.stdin.readline(); tell()"
    )
    made.set(AHEAD)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=made.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = [float(each) for each in process.stdout.readline().split()]
        made.set(BACK)
        process.stdin.write("\n")
        process.stdin.flush()
        after = [float(each) for each in process.stdout.readline().split()]
    assert [round((b - a) / 86400) for a, b in zip(before, after, strict=True)] == [-2, 0, 0]
    assert abs(before[1] - time.monotonic()) < 600
    assert round((before[0] - time.time()) / 86400) == 1


@pytest.mark.parametrize("delivery_class", selected("ABCD", "C"))
def test_27_a_clock_that_is_set_during_a_run(machine, delivery_class):
    """While requests, waits for a throttling remote and a settlement are under way."""
    made = machine(
        delivery_class,
        {"fault": "delay_before", "seconds": 0.2},
        {"fault": "status", "status": 429, "retry_after": 1, "requests": [3]},
        {"fault": "status", "status": 503, "retry_after": "date:+2", "requests": [6]},
        batch_size=1,
        records=8,
        timeout=2.0,
        lifetime=2.0,
    )
    with made.running("sync", "it", "--all") as process:
        for number, offset in enumerate((AHEAD, BACK, "+0", AHEAD, BACK), start=1):
            made.wait_for_requests(number + 1)
            made.set(offset)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert len(made.project.remote.state()) == 8
    for offset in (AHEAD, BACK, "+0"):
        made.set(offset)
        assert "8 unchanged" in made.sync()
    assert findings(made.project) == []


@pytest.mark.parametrize(
    ("then", "delivery_class"), selected([(o, c) for o in (BACK, AHEAD) for c in "ABCD"], [(BACK, "C"), (AHEAD, "B")])
)
def test_27_a_clock_that_is_set_between_a_death_and_the_next_run(machine, then, delivery_class):
    """The process dies over a request that is slow to arrive; whatever the clock says then, that is waited for."""
    made = machine(
        delivery_class, {"fault": "delay_before", "seconds": 0.4, "requests": [3]}, batch_size=1, lifetime=0.8
    )
    with made.running("sync", "it", "--all") as process:
        made.wait_for_requests(3)
        process.kill()
    made.set(then)
    for command in (("status",), ("held",), ("explain", "item", "3")):
        made.run(*command)
    made.project.workload.touch(5)
    made.sync(code=4 if delivery_class == "D" else 0)
    made.set("+0")
    made.project.finish()
    assert findings(made.project) == []


@pytest.mark.parametrize(("first", "second"), [(AHEAD, BACK), (BACK, AHEAD)])
def test_27_two_machines_whose_clocks_are_two_days_apart(machine, first, second):
    """Who runs the job is told by heartbeats, not by what anybody's clock says."""
    made = machine("A", {"fault": "delay_before", "seconds": 0.5, "requests": [1]}, timeout=9.0, lifetime=9.0)
    made.set(first)
    with made.running("sync", "it", "--all") as process:
        made.wait_for_requests(1)
        process.send_signal(signal.SIGSTOP)  # it shall not have ended before anybody looks
        other = attrs.evolve(made, clock=made.clock.with_name("other"))
        other.set(second)
        assert "already running since" in other.sync(code=5)
        assert "running since" in other.run("status")
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=120)[0]
        assert process.returncode == 0
    assert "5 unchanged" in other.sync()
    assert findings(made.project) == []


@pytest.mark.parametrize("wrong", [BACK, AHEAD])
def test_27_a_pause_that_was_recorded_by_a_wrong_clock_ends(machine, wrong):
    """An hour, by a clock that is a day wrong: it ends within a day, and at once for whoever asks."""
    made = machine("D", {"fault": "status", "status": 429, "retry_after": 3600}, records=2)
    made.set(wrong)
    made.sync(code=75)
    made.project.remote.script({})
    made.set("+0")
    if wrong == AHEAD:
        assert "not due before" in made.sync(code=75)
        made.run("sync", "it", "--id", "1")
        assert outcomes(made.project.run(later=timedelta(days=1, hours=2))) == {"written": 1, "unchanged": 1}
    else:
        made.sync()
    assert outcomes(made.project.run()) == {"unchanged": 2}
    assert findings(made.project) == []
