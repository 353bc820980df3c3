"""``contraflow sync``: what it exports, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import Any

import pytest

TRANSIENT = """
@hookimpl
def write_items(items, context):
    raise TransientError("the CRM is down for maintenance", retry_after=600)
"""
UNEXPECTED = """
@hookimpl
def write_items(items, context):
    raise RuntimeError("the line broke")
"""
REFUSED = """
@hookimpl
def write_items(items, context):
    raise SystemicError("the CRM refuses the token")
"""
REJECTING = """
@hookimpl
def process_item(item, context):
    if item.data.get("id") == 2:
        raise ItemError("no e-mail address", code="no_email")
    return {"id": str(item.key)}
"""
DEFERRING = """
@hookimpl
def write_items(items, context):
    return [Deferred(key=change.key, reason="locked by somebody") for change in items]
"""
UNSURE = """
@hookimpl
def write_items(items, context):
    return [Unknown(key=change.key, reason="no answer") for change in items]
"""


def test_a_first_sync_writes_everything_and_a_second_nothing(project: Any) -> None:
    first = project.run("sync", "acme")
    assert first.exit_code == 0
    assert set(project.remote) == {"1", "2", "3", "A/1", "A/2", "B/1"}
    assert project.remote["2"]["name"] == "František"
    before = project.state()["remote.json"]
    second = project.json("sync", "acme")
    assert second["counts"] == {"read": 6, "unchanged": 6}
    assert project.state()["remote.json"] == before
    assert project.json("sync", "acme", "--force")["counts"] == {"read": 6, "written": 6, "updated": 6}


def test_the_summary_is_on_stdout_and_the_progress_on_stderr(project: Any) -> None:
    result = project.spawn("sync", "acme")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["step", "status", "read", "written"]
    assert lines[2].split() == ["customers", "COMPLETED", "3", "3"]
    assert lines[3].split() == ["lines", "COMPLETED", "3", "3"]
    assert lines[4].startswith("acme, crm_export: COMPLETED in ")
    assert lines[4].endswith("(execution 1)")
    assert lines[5].startswith("Promise: class B, state-safe: ")
    assert "customers: started, 3 items expected" in result.stderr
    assert "lines: COMPLETED, 3 read, 3 written" in result.stderr
    assert "\x1b" not in result.stdout + result.stderr, "no terminal, no colours"


def test_json_alone_is_on_stdout_and_nothing_on_stderr(project: Any) -> None:
    result = project.spawn("sync", "acme", "--json")
    answer = json.loads(result.stdout)
    assert result.stderr == ""
    assert (answer["status"], answer["exit"], answer["id"]) == ("COMPLETED", 0, 1)
    assert answer["counts"] == {"read": 6, "written": 6, "created": 6}
    assert [step["step"] for step in answer["steps"]] == ["customers", "lines"]
    assert answer["started"].endswith("+00:00")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--step", "customers"], {"1", "2", "3"}),
        (["--step", "customers", "--id", "1", "--id", "3"], {"1", "3"}),
        (["--step", "lines", "--id", "order_no=A,line=2"], {"A/2"}),
        (["--step", "lines", "--id", '{"line": 1, "order_no": "B"}', "--id", '["A", 1]'], {"B/1", "A/1"}),
        (["--step", "customers", "--step", "lines", "--all"], {"1", "2", "3", "A/1", "A/2", "B/1"}),
        (["--job", "crm_export", "--step", "customers", "-p", "id=2"], {"2"}),
        (["--step", "customers", "-p", "ids=[2, 3]", "-p", "batch_size=1"], {"2", "3"}),
        (["--step", "customers", "-p", "greeting=Hello"], {"1", "2", "3"}),
    ],
)
def test_a_run_can_be_narrowed(project: Any, arguments: list[str], expected: set[str]) -> None:
    result = project.run("sync", "acme", *arguments)
    assert result.exit_code == 0, result.output
    assert set(project.remote) == expected


def test_by_id_everything_must_be_said(project: Any) -> None:
    jobs = (project.directory / "jobs.yml").read_text()
    project.write("jobs.yml", jobs.replace("entity.all", "entity.by_id"))
    refused = project.run("sync", "acme", "--step", "lines")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: jobs.yml:7 (crm_export.steps.lines): step 'lines' reads by id")
    assert "sync … --id ID, or sync … --all" in refused.stderr
    assert project.json("sync", "acme", "--step", "lines", "--all")["counts"]["written"] == 3


def test_an_integration_with_several_jobs_asks_which(project: Any) -> None:
    project.replace("contraflow.yaml", "connector: crm\n", "connector: crm\n    job: [crm_export, crm_again]\n")
    project.write("jobs.yml", (project.directory / "jobs.yml").read_text().replace("crm_export:", "crm_again:"))
    project.write("more.yml", (project.directory / "jobs.yml").read_text().replace("crm_again:", "crm_export:"))
    project.replace("contraflow.yaml", "[jobs.yml]", "[jobs.yml, more.yml]")
    result = project.run("sync", "acme")
    assert result.exit_code == 2
    assert "integration 'acme' has several jobs" in result.stderr
    assert "expected: one of crm_export, crm_again" in result.stderr
    assert "hint: say which with --job" in result.stderr
    assert project.json("sync", "acme", "--job", "crm_again")["job"] == "crm_again"
    wrong = project.run("sync", "acme", "--job", "crm_agian")
    assert "did you mean 'crm_again'?" in wrong.stderr


@pytest.mark.parametrize(
    ("hook", "code", "said"),
    [
        (REJECTING, 3, "2: no_email: no e-mail address"),
        (UNSURE, 4, "2: in doubt: no answer"),
        (UNSURE, 4, "Exit code 4: the fate of some items is unknown: see `contraflow status`."),
        (UNEXPECTED, 4, "RuntimeError: the line broke"),
        (TRANSIENT, 75, "the CRM is down for maintenance"),
        (DEFERRING, 75, "2: deferred: locked by somebody"),
        (DEFERRING, 75, "Exit code 75: the remote was not available, or deferred items; run again later."),
        (REFUSED, 1, "the CRM refuses the token"),
    ],
    ids=["rejected", "why unknown", "unknown", "unexpected", "transient", "why deferred", "deferred", "systemic"],
)
def test_the_exit_code_says_how_a_run_ended(project: Any, hook: str, code: int, said: str) -> None:
    project.connector(hook)
    result = project.run("sync", "acme", "--step", "customers")
    assert result.exit_code == code
    assert said in result.stdout
    assert f"Exit code {code}: " in result.stdout
    assert "Traceback" not in result.output
    answer = project.json("sync", "acme", "--step", "customers", code=code)
    assert answer["exit"] == code


def test_what_goes_wrong_inside_contraflow_asks_for_a_report(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("contraflow.project.Project.load", fail)
    result = project.run("sync", "acme")
    assert result.exit_code == 70
    assert result.stderr.splitlines() == [
        "Error: Inside contraflow: ZeroDivisionError: of all things",
        "This is an error in contraflow itself. Please report it, with the output of --debug.",
    ]
    assert "Traceback" in project.run("--debug", "sync", "acme").stderr
    assert project.json("sync", "acme", code=70)["error"] == "Inside contraflow: ZeroDivisionError: of all things"


def test_debug_shows_why_a_run_ended(project: Any) -> None:
    project.connector(UNEXPECTED)
    result = project.run("--debug", "sync", "acme")
    assert "Traceback (most recent call last)" in result.stderr
    assert "crm.py" in result.stderr
    assert "Traceback" not in result.stdout


def test_ctrl_c_before_the_run_says_so(project: Any) -> None:
    project.connector("raise KeyboardInterrupt")
    result = project.run("sync", "acme")
    assert (result.exit_code, result.stderr.strip()) == (130, "Interrupted.")
    assert project.json("sync", "acme", code=130) == {"error": "Interrupted.", "problems": [], "exit": 130}


def test_a_ledger_that_is_taken_away_in_the_middle_of_a_run_ends_it(project: Any) -> None:
    project.connector(
        """
        @hookimpl
        def write_items(items, context):
            import sqlite3
            ledger = sqlite3.connect("ledger.db")
            fail = "CREATE TRIGGER t BEFORE INSERT ON cf_item_state BEGIN SELECT RAISE(ABORT, 'no room'); END"
            ledger.executescript(fail)
            ledger.close()
            return [Written(key=change.key) for change in items]
        """
    )
    result = project.run("sync", "acme", "--step", "customers")
    assert result.exit_code == 6
    assert "Exit code 6: the ledger cannot be opened, trusted or written" in result.stdout
    assert "Traceback" not in result.output
    assert "no room" in result.output


def test_a_live_bar_is_shown_on_a_terminal(project: Any) -> None:
    import pty

    project.connector()
    project.replace("jobs.yml", "        customers:\n", '        "[/bold] customers":\n')
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    try:
        with subprocess.Popen(
            project.command("sync", "acme"),
            cwd=project.directory,
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment,
        ) as process:
            os.close(side)
            shown = read_all(main)
            assert process.wait(timeout=60) == 0, shown
    finally:
        os.close(main)
    assert "━" in shown, "the bar"
    assert "\x1b[" in shown, "redrawn in place"
    assert "3/3" in shown
    assert "3 written" in shown
    assert "[/bold] customers" in shown, "names are no markup"
    assert "acme, crm_export: COMPLETED" in shown
    assert "started, 3 items expected" not in shown, "no plain lines beside the bar"


def read_all(descriptor: int) -> str:
    data, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 1)[0]:
            try:
                part = os.read(descriptor, 65536)
            except OSError:  # what Linux says at the end of a terminal
                break
            if not part:
                break
            data += part
    return data.decode()


def test_an_output_that_cannot_hold_a_name_does_not_end_the_program(project: Any) -> None:
    project.connector(
        """
        @hookimpl
        def process_item(item, context):
            raise ItemError(f"{item.data.get('name')} has no e-mail address")
        """
    )
    plain = project.spawn("sync", "acme", "--step", "customers", PYTHONIOENCODING="latin-1")
    assert plain.returncode == 3, plain.stderr
    assert r"Franti\u0161ek has no e-mail address" in plain.stdout
    letters = project.spawn("dead-letters", "--json", PYTHONIOENCODING="latin-1")
    assert any("František" in each["reason"] for each in json.loads(letters.stdout)["dead_letters"])


def test_data_cannot_steer_the_terminal(project: Any) -> None:
    project.connector(
        """
        @hookimpl
        def process_item(item, context):
            raise ItemError("red: \\x1b[31m, bell: \\x07")
        """
    )
    shown = project.run("sync", "acme", "--step", "customers").output + project.run("dead-letters").output
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"\x1b[31m" in shown


def test_the_rest_of_a_chunk_is_written_beside_an_item_that_cannot_be_sent(project: Any) -> None:
    """Payloads with NaN, a lone surrogate, an unknown type, and more than 1 MiB of text."""
    project.sql(
        "DELETE FROM customer; INSERT INTO customer (name) VALUES ('nan'), ('half'), ('type'), ('long'), ('good')"
    )
    project.connector(
        """
        @hookimpl
        def process_item(item, context):
            bad = {"nan": float("nan"), "half": "\\ud800", "type": object(), "long": "x" * 1024 * 1024}
            return {"value": bad.get(item.data["name"], "as it should be")}
        """
    )
    answer = project.json("sync", "acme", "--step", "customers", code=3)
    assert answer["counts"] == {"read": 5, "rejected": 4, "written": 1, "created": 1}
    assert project.remote == {"5": {"value": "as it should be"}}
    letters = {each["key"][0]: each for each in project.json("dead-letters")["dead_letters"]}
    assert {key: each["code"] for key, each in letters.items()} == {
        1: "payload",
        2: "payload",
        3: "payload",
        4: "payload_size",
    }
    assert letters[1]["reason"] == "field 'value' is nan, which no JSON remote can hold"
    assert letters[2]["reason"] == "field 'value' has a lone surrogate, which is no character"
    assert letters[3]["reason"] == "field 'value' has a value of the unknown type builtins.object"
    assert letters[4]["reason"] == "the payload has 1,048,588 bytes; at most 1,048,576 are allowed"
    shown = project.run("dead-letters").stdout
    assert all(each["reason"] in shown for each in letters.values())
    with closing(sqlite3.connect(project.directory / "ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM cf_dead_letter").fetchone() == (4,)


def test_all_jobs_run_parents_first_and_are_told_one_by_one(project: Any) -> None:
    project.write(
        "jobs.yml",
        """
lines:
    steps:
        lines:
            services: {reader: entity.all, processor: crm, writer: crm}
            parameters:
                entity: line
                references: {customer: {job: people, key: [line]}}
people:
    steps:
        people:
            services: {reader: entity.all, processor: crm, writer: crm}
            parameters: {entity: customer}
""",
    )
    project.replace("contraflow.yaml", "    connector: crm\n", "    connector: crm\n    job: [lines, people]\n")
    project.replace("crm.py", "Written(key=change.key)", "Written(key=change.key, remote_id='x')")
    told = project.run("sync", "acme", "--all-jobs")
    assert told.exit_code == 0, told.output
    assert told.output.index("acme, people: COMPLETED") < told.output.index("acme, lines: COMPLETED")
    answer = project.json("sync", "acme", "--all-jobs")
    assert [each["job"] for each in answer["jobs"]] == ["people", "lines"]
    assert answer["exit"] == 0
    refused = project.run("sync", "acme", "--all-jobs", "--id", "1")
    assert refused.exit_code == 2
    assert "--all-jobs goes with none of --job, --step and --id" in refused.output
