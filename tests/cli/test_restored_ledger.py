"""A ledger that was put back as an older copy is refused, and can be accepted: then no item is lost or doubled by it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import Ledger
from contraflow.project import Project

COUNTING = """
def tell(context, word, changes):
    with open("calls.txt", "a") as file:
        for change in changes:
            print(word, "/".join(map(str, change.key)), file=file)

@hookimpl
def write_items(items, context):
    tell(context, "write", items)
    return store(items, context)
"""
CONFIRMING = """
@hookimpl
def confirm_items(items, context):
    tell(context, "ask", items)
    path = Path(context.settings.path)
    records = json.loads(path.read_text()) if path.exists() else {}
    return [
        Written(key=each.key) if records.get("/".join(map(str, each.key))) == dict(each.payload)
        else Deferred(key=each.key, reason="not there") for each in items
    ]
"""
CLASSES = {
    "B": "idempotency=Idempotency.UPSERT, request_lifetime=0.0",
    "C": "confirm=True, request_lifetime=0.0",
    "A, by key, with a look-up": "idempotency=Idempotency.KEY, confirm=True, request_lifetime=0.0",
    "A, by key": "idempotency=Idempotency.KEY, request_lifetime=0.0",
    "D": "request_lifetime=0.0",
}


@pytest.fixture
def put_back(project: Any, request: pytest.FixtureRequest) -> Any:
    """A project whose ledger is a copy that does not know the last run, in which 1 changed and 4 was created."""
    capabilities = CLASSES[request.param]
    project.connector(COUNTING, *([CONFIRMING] if "confirm" in capabilities else []))
    project.replace(
        "crm.py", "Capabilities(idempotency=Idempotency.UPSERT, request_lifetime=0.0)", f"Capabilities({capabilities})"
    )
    project.json("sync", "acme")
    shutil.copy(project.directory / "ledger.db", project.directory / "backup.db")
    project.sql(
        "UPDATE customer SET name = 'Anna' WHERE id = 1; INSERT INTO customer VALUES (4, 'Di', 'di@example.org')"
    )
    project.json("sync", "acme")
    shutil.copy(project.directory / "backup.db", project.directory / "ledger.db")
    (project.directory / "calls.txt").unlink()
    return project


def calls(project: Any) -> list[str]:
    path = project.directory / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


B = pytest.mark.parametrize("put_back", ["B"], indirect=True)


@B
def test_it_is_refused_and_left_as_it_is(put_back: Any) -> None:
    before = put_back.state()
    for command in (["sync", "acme"], ["status"], ["held"], ["check"]):
        result = put_back.run(*command)
        assert result.exit_code == (2 if command == ["check"] else 6), result.output
        assert (
            "older than this project has seen it: its last execution is 1, and this project has seen" in result.output
        )
        assert "contraflow accept-ledger" in result.output
    assert put_back.state() == before
    assert calls(put_back) == []


def test_the_newer_one_put_back_is_taken(project: Any) -> None:
    project.json("sync", "acme")
    backup = (project.directory / "ledger.db").read_bytes()
    project.json("sync", "acme")
    newest = (project.directory / "ledger.db").read_bytes()
    project.write("ledger.db", backup)
    assert project.run("sync", "acme").exit_code == 6
    project.write("ledger.db", newest)
    assert project.json("sync", "acme")["counts"]["unchanged"] == 6


@B
def test_a_copy_on_which_somebody_else_has_gone_on_is_refused(put_back: Any) -> None:
    witnesses = put_back.directory / ".contraflow"
    witnesses.rename(put_back.directory / "mine")
    put_back.json("sync", "acme")  # as another host does, which has no witness
    shutil.rmtree(witnesses)
    (put_back.directory / "mine").rename(witnesses)
    said = put_back.run("sync", "acme")
    assert said.exit_code == 6
    assert "its execution 2 is another one than this project has seen" in said.output


@pytest.mark.parametrize("put_back", ["B"], indirect=True)
def test_accepted_where_sending_again_is_harmless_everything_is_sent(put_back: Any) -> None:
    said = put_back.run("accept-ledger").output
    assert "acme, crm_export, customers: the next sync sends every item again." in said
    put_back.sql("UPDATE customer SET name = 'Ana' WHERE id = 1")  # as the copy has it: yet it must be sent
    summary = put_back.json("sync", "acme")
    assert summary["counts"]["written"] == 7
    assert put_back.remote["1"]["name"] == "Ana"
    assert put_back.json("sync", "acme")["counts"]["unchanged"] == 7


@pytest.mark.parametrize("put_back", ["C", "A, by key, with a look-up"], indirect=True)
def test_accepted_where_the_remote_can_be_asked_it_is(put_back: Any) -> None:
    assert "customers: the next sync asks the remote for every item" in put_back.run("accept-ledger").output
    put_back.sql(
        "UPDATE customer SET name = 'Bo' WHERE id = 2; INSERT INTO customer VALUES (5, 'Ed', 'ed@example.org')"
    )
    summary = put_back.json("sync", "acme")
    assert summary["counts"]["written"] == 8
    told = calls(put_back)
    assert sorted(each for each in told if each.startswith("ask")) == [
        "ask 1", "ask 2", "ask 3", "ask 4", "ask 5", "ask A/1", "ask A/2", "ask B/1",
    ]  # fmt: skip
    assert [each for each in told if each.startswith("write")] == ["write 2", "write 5"]
    assert put_back.json("sync", "acme")["counts"]["unchanged"] == 8
    assert len(calls(put_back)) == len(told)


@pytest.mark.parametrize("put_back", ["D", "A, by key"], indirect=True)
def test_accepted_where_nobody_can_know_what_differs_is_held(put_back: Any) -> None:
    assert "customers: the next sync holds every item that differs" in put_back.run("accept-ledger").output
    summary = put_back.json("sync", "acme", code=4)
    assert (summary["counts"]["in_doubt"], summary["counts"]["unchanged"]) == (2, 5)
    assert calls(put_back) == []
    held = put_back.json("held")["held"]
    assert [each["key"] for each in held] == [[1], [4]]
    put_back.json("held", "settle", "acme", "--step", "customers", "--id", "1", "--as", "written")
    put_back.json("held", "resend", "acme", "--step", "customers", "--id", "4")
    assert put_back.json("sync", "acme")["counts"]["written"] == 1
    assert calls(put_back) == ["write 4"]


@B
def test_only_a_run_through_everything_ends_the_doubt(put_back: Any) -> None:
    put_back.json("accept-ledger")
    put_back.json("sync", "acme", "--step", "customers", "--id", "3")
    with closing(sqlite3.connect(put_back.directory / "ledger.db")) as ledger:
        query = "SELECT step, restored FROM cf_stream ORDER BY step"
        assert ledger.execute(query).fetchall() == [("customers", 1), ("lines", 1)]
        put_back.json("sync", "acme", "--step", "customers")
        assert ledger.execute(query).fetchall() == [("customers", 0), ("lines", 1)]


@B
def test_what_is_not_older_is_accepted_only_by_force(put_back: Any) -> None:
    put_back.json("accept-ledger")
    refused = put_back.run("accept-ledger")
    assert refused.exit_code == 2
    assert "has come as far as this project has seen it" in refused.output
    assert put_back.run("accept-ledger", "--force").exit_code == 0


def test_a_copy_from_the_middle_of_the_last_run_is_noticed(gated: Any) -> None:
    with gated.running("sync", "acme") as process:
        shutil.copy(gated.directory / "ledger.db", gated.directory / "backup.db")
        gated.write("go", "")
        assert process.wait(30) == 0
    shutil.copy(gated.directory / "backup.db", gated.directory / "ledger.db")
    said = gated.run("sync", "acme")
    assert said.exit_code == 6
    assert "its execution 1 has not ended, and this project has seen its end" in said.output


def test_a_run_that_died_is_gone_on_with(gated: Any) -> None:
    with gated.running("sync", "acme") as process:
        process.kill()
        process.wait()
    gated.connector()
    assert gated.run("sync", "acme").exit_code == 0
    assert len(gated.remote) == 6


def test_another_ledger_of_the_same_project_has_a_witness_of_its_own(project: Any) -> None:
    project.json("sync", "acme")
    project.json("sync", "acme")
    (project.directory / "ledger.db").unlink()
    assert project.json("sync", "acme")["counts"]["written"] == 6
    assert len(list((project.directory / ".contraflow").glob("*.json"))) == 2


def test_a_witness_is_private_and_kept_out_of_version_control(project: Any) -> None:
    project.json("sync", "acme")
    directory = project.directory / ".contraflow"
    assert (directory / ".gitignore").read_text() == "*\n"
    assert directory.stat().st_mode & 0o777 == 0o700
    (file,) = directory.glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"execution": "x"}', "\x00"])
def test_a_witness_that_cannot_be_read_stops_nobody(project: Any, content: str) -> None:
    project.json("sync", "acme")
    (file,) = (project.directory / ".contraflow").glob("*.json")
    file.write_text(content)
    result = project.run("sync", "acme")
    assert result.exit_code == 0
    assert "is not what contraflow wrote, and is passed over" in result.output


def test_a_project_that_cannot_be_written_keeps_no_witness(project: Any) -> None:
    project.write(".contraflow", "in the way")
    assert "no witness of the ledger can be kept" in project.run("sync", "acme").output


def test_a_ledger_that_cannot_be_compared_with_its_witness_is_closed_again(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.json("sync", "acme")
    project.sql("UPDATE cf_job_execution SET started = 'not a moment'", "ledger.db")
    closed: list[Ledger] = []
    close = Ledger.close
    monkeypatch.setattr(Ledger, "close", lambda ledger: (closed.append(ledger), close(ledger)))
    with Project.load(project.directory) as loaded:
        with pytest.raises(LedgerError, match="is no moment"):
            loaded.ledger()
        assert len(closed) == 1
