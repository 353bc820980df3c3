"""Runs that are stopped, killed, asked to stop, or not alone: real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from contraflow.cli.signals import stopping_in_order
from contraflow.engine.stopping import StopRequest


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal, and read until the program has said that it knows."""
    process.send_signal(number)
    assert process.stderr is not None
    while line := process.stderr.readline():
        if "once more ends at once" in line:
            return line
    raise AssertionError("it ended")


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGINT, 130, "interrupted by Ctrl-C"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
    ],
)
def test_a_signal_ends_the_run_after_the_chunk_in_hand(
    gated: Any, number: signal.Signals, code: int, reason: str
) -> None:
    with gated.running("sync", "acme", "--step", "customers", "-p", "batch_size=1") as process:
        assert stop(process, number).startswith(f"{reason}: the chunk in hand is finished first")
        gated.write("go", "")
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert reason in stdout
    assert f"Exit code {code}: " in stdout
    assert "the next run goes on where this one stopped" in stdout
    assert "Traceback" not in stdout + stderr
    status = gated.json("status")
    assert [each["status"] for each in status["executions"]] == ["STOPPED"]
    assert status["running"] == [], "the lease is given back"
    assert [(each["status"], each["items"]) for each in status["items"]] == [("written", 1)]
    again = gated.run("sync", "acme", "--step", "customers", "-p", "batch_size=1")
    assert "customers: resumed behind 1, where an interrupted run had come to" in again.stdout
    assert set(gated.remote) == {"1", "2", "3"}


BREAKING = """
@hookimpl
def write_items(items, context):
    if items[0].key == (2,):
        raise KeyboardInterrupt
    return store(items, context)
"""


@pytest.mark.parametrize(("options", "resumed"), [([], {"customers": [1]}), (["--no-resume"], {})])
def test_an_interrupted_run_is_gone_on_with_unless_asked_otherwise(
    project: Any, options: list[str], resumed: dict[str, Any]
) -> None:
    run = ("sync", "acme", "--step", "customers", "-p", "batch_size=1")
    project.connector(BREAKING)
    project.json(*run, code=130)
    project.connector()
    again = project.json(*run, *options)
    assert again["resumed"] == resumed
    assert {name: again["counts"][name] for name in ("recovered", "written", "unchanged")} == {
        "recovered": 1,  # what was being sent
        "written": 1,
        "unchanged": 2,
    }
    assert again["promises"][0]["class"] == "B"


COROUTINE = """
import asyncio

@hookimpl
async def write_items(items, context):
    print("writing", flush=True)
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return store(items, context)
"""


@pytest.mark.parametrize("concurrency", [1, 2])
def test_signals_do_the_same_to_a_writer_that_is_a_coroutine(project: Any, concurrency: int) -> None:
    project.connector(COROUTINE)
    run = ("sync", "acme", "--step", "customers", "-p", "batch_size=1", "-p", f"concurrency={concurrency}")
    with project.running(*run) as process:
        stop(process, signal.SIGINT)
        project.write("go", "")
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stdout + stderr
    assert 1 <= len(project.remote) <= concurrency
    (project.directory / "go").unlink()
    with project.running(*run) as process:
        stop(process, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    project.write("go", "")
    again = project.run(*run)
    assert again.exit_code == 0, again.output
    assert set(project.remote) == {"1", "2", "3"}


def test_a_second_signal_ends_at_once_as_a_crash_would(gated: Any) -> None:
    with gated.running("sync", "acme", "--step", "customers") as process:
        stop(process, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert gated.remote == {}, "the writer was still at it"
    shown = gated.run("status").stdout
    assert "died" in shown.splitlines()[2]
    assert "and died; the next sync takes over" in shown
    assert "acme, customers: in flight: 1, 2, 3\n  On record to be sent, and no outcome is" in shown
    assert "sends them again, which is harmless" in shown
    status = gated.json("status")
    assert status["died"] == [1]
    assert status["running"][0]["died"] is True
    assert gated.run("stop", "acme").exit_code == 1, "there is nobody who could stop"
    gated.connector()
    again = gated.run("sync", "acme", "--step", "customers")
    assert again.exit_code == 0, again.output
    assert "3 of an earlier run, of which the answer was lost, are settled now" in again.stdout
    assert set(gated.remote) == {"1", "2", "3"}
    assert gated.json("status")["died"] == [1], "it stays on record"


def test_while_a_process_runs_the_job_nobody_else_does(gated: Any) -> None:
    with gated.running("sync", "acme", "--step", "customers") as process:
        refused = gated.run("sync", "acme")
        assert refused.exit_code == 5
        assert "acme, crm_export: already running since " in refused.stderr
        assert f"in process {process.pid} on " in refused.stderr
        assert gated.json("sync", "acme", code=5)["exit"] == 5

        recorded = gated.run("sync", "acme", "--step", "lines", "--id", "order_no=A,line=2")
        assert recorded.exit_code == 0
        assert "The request is recorded, and is carried out when that run has ended." in recorded.stdout
        assert recorded.stderr == ""
        told = gated.json("sync", "acme", "--step", "lines", "--id", "order_no=A,line=2")
        assert "is recorded" in told["recorded"]

        shown = gated.run("status").stdout
        assert "acme, crm_export: running since " in shown
        assert f"in process {process.pid} on " in shown
        assert "waits: ids order_no=A,line=2" in shown
        status = gated.json("status")
        assert [each["process"] for each in status["running"]] == [process.pid]
        assert len(status["requests"]) == 1, "the same request is one"

        with subprocess.Popen(
            gated.command("sync", "acme", "--wait", "--json"), stdout=subprocess.PIPE, text=True
        ) as waiting:
            gated.write("go", "")
            process.communicate(timeout=60)
            said = waiting.communicate(timeout=60)[0]
        answer = json.loads(said[said.index("{") :])
    assert process.returncode == 0
    assert waiting.returncode == 0
    assert answer["counts"]["unchanged"] >= 4, "it began when the other had ended"
    assert gated.json("status")["requests"] == []
    assert set(gated.remote) == {"1", "2", "3", "A/1", "A/2", "B/1"}


def test_waiting_can_be_interrupted(gated: Any) -> None:
    def interrupt() -> None:
        while signal.getsignal(signal.SIGTERM) is before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with gated.running("sync", "acme"):
        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        waiting = gated.run("sync", "acme", "--wait")
        thread.join(60)
    assert waiting.exit_code == 143
    assert waiting.stderr == "Stopped before the run began.\n"


RUN = """
from contraflow.config import load_configuration
from contraflow.project import Project

with Project(load_configuration("."), lease_lifetime=0.6) as project:
    execution = project.sync("acme", parameters={"batch_size": 1}, steps=["customers"])
print(execution.status.value, execution.errors[0])
"""


def test_a_run_is_stopped_from_another_process(project: Any) -> None:
    project.sql(
        "WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "INSERT INTO customer SELECT i, 'x', NULL FROM n"
    )
    project.connector(
        """
        import time

        @hookimpl
        def write_items(items, context):
            print("writing", flush=True)
            time.sleep(0.02)
            return [Written(key=change.key) for change in items]
        """
    )
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        asked = project.run("stop", "acme", "--job", "crm_export")
        assert asked.exit_code == 0
        assert f"acme, crm_export: asked process {process.pid} on " in asked.stdout
        said = process.communicate(timeout=60)[0].splitlines()[-1]
    assert said == "STOPPED stopped by request"
    (execution,) = project.json("status")["executions"]
    assert 0 < execution["steps"][0]["counts"]["written"] < 3000
    nothing = project.run("stop", "acme")
    assert (nothing.exit_code, nothing.stdout) == (1, "acme: nothing runs.\n")
    assert project.json("stop", "acme", code=1) == {"asked": [], "exit": 1}


def test_handlers_are_restored_and_other_threads_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    request = StopRequest()
    with stopping_in_order(request):
        os.kill(os.getpid(), signal.SIGHUP)
        assert request.wait(10)
    assert request.reason == "stopped by SIGHUP"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    during: list[Any] = []

    def elsewhere() -> None:
        with stopping_in_order(StopRequest()):
            during.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert during == [before[1]]
