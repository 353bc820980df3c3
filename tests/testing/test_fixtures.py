"""The fixtures for authors, used as an author uses them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import attrs
import httpx
import pytest

from contraflow_hookspecs import BatchStatus, Capabilities, ExportJob, Idempotency, Skip, Written, hookimpl

ANA, BO = {"id": 1, "name": "Ana"}, {"id": 2, "name": "Bo"}


@attrs.frozen
class Settings:
    greeting: str = "hello"


class Greeter:
    """A connector whose remote is a dictionary."""

    def __init__(self) -> None:
        self.records = {}

    @hookimpl
    def provide_export_job(self):
        return ExportJob(
            name="greetings",
            settings=Settings,
            capabilities=Capabilities(idempotency=Idempotency.UPSERT, request_lifetime=0.0),
        )

    @hookimpl
    def process_item(self, item, context):
        if not item.data["name"]:
            return Skip(reason="nobody")
        return {"text": f"{context.settings.greeting} {item.data['name']}"}

    @hookimpl
    def write_items(self, items, context):
        self.records |= {change.key: dict(change.payload) for change in items}
        return [Written(key=change.key) for change in items]


def test_a_connector_is_run_in_four_lines(source, connector, run_job):
    source.fill("customer", ANA, BO)
    greeter = Greeter()
    connector(greeter, settings={"greeting": "good day"})
    execution = run_job()
    assert execution.status is BatchStatus.COMPLETED
    assert execution.counts["written"] == 2
    assert greeter.records == {(1,): {"text": "good day Ana"}, (2,): {"text": "good day Bo"}}


def test_a_job_of_several_entities_shares_what_was_given_once(source, connector, run_job):
    source.fill("customer", ANA)
    source.fill("supplier", BO)
    connector(Greeter(), parameters={"guards": {"deletes": 3}})
    execution = run_job()
    assert {step.step: step.counts["written"] for step in execution.steps} == {"customer": 1, "supplier": 1}


def test_each_run_finds_the_ledger_of_the_one_before(source, connector, run_job):
    source.fill("customer", ANA, BO)
    connector(Greeter())
    run_job()
    source.change("customer", 2, name="Bob")
    assert {name: run_job().counts.get(name) for name in ("written", "unchanged")} == {"written": 1, "unchanged": 2}


def test_a_request_passes_through(source, connector, run_job):
    source.fill("customer", ANA, BO)
    greeter = Greeter()
    connector(greeter)
    assert run_job(ids=[2]).counts["read"] == 1
    assert list(greeter.records) == [(2,)]


def test_what_is_installed_beside_is_not_looked_for(contraflow_project, connector):
    connector(Greeter(), name="mine")
    with contraflow_project.load() as project:
        assert {record.distribution.partition(" ")[0] for record in project.plugins.records} == {"contraflow", "the"}
        assert "http" not in project.plugins.names


def test_a_source_takes_values_of_every_sort(source, connector, run_job, recorder):
    row = {
        "code": "a",
        "line": 1,
        "amount": Decimal("10.25"),
        "ratio": 0.5,
        "open": True,
        "day": dt.date(2024, 2, 29),
        "at": dt.datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001 - as SQLite gives it back
        "raw": b"\x00\xff",
        "note": None,
    }
    source.fill("line", row, {**row, "line": 2}, key=["code", "line"])
    connector(Raw())
    run_job()
    read = [call.arguments["item"] for call in recorder.of("process_item")]
    assert [item.key for item in read] == [("a", 1), ("a", 2)]
    assert dict(read[0].data) == row


class Raw(Greeter):
    @hookimpl
    def process_item(self, item, context):
        return dict(item.data)


def test_rows_are_removed_and_strangers_refused(source):
    source.fill("customer", ANA)
    source.remove("customer", 1)
    with pytest.raises(LookupError, match=r"'customer' has no row with the key \(1,\)"):
        source.change("customer", 1, name="x")
    with pytest.raises(TypeError, match=r"no column is made for a list; make the table by execute\(\)"):
        source.fill("tag", {"id": 1, "names": []})


def test_the_recorder_sees_every_call(source, connector, run_job, recorder):
    source.fill("customer", ANA, {"id": 2, "name": ""})
    connector(Greeter(), name="greeter")
    run_job()
    run = [name for name in recorder.hooks if name not in ("provide_export_job", "describe_parameters", "check_step")]
    assert run[0] == "job_started"
    assert run[-1] == "job_finished"
    (call,) = recorder.of("write_items")
    assert call.plugin == "greeter"
    assert [change.payload for change in call.arguments["items"]] == [{"text": "hello Ana"}]
    assert call.result == [Written(key=(1,))]
    assert recorder.of("item_filtered")[0].arguments["skip"].reason == "nobody"
    assert recorder.results("process_item") == [{"text": "hello Ana"}, Skip(reason="nobody")]


def test_the_recorder_sees_what_is_raised(source, connector, run_job, recorder):
    source.fill("customer", ANA)
    connector(Failing())
    assert run_job(parameters={"retry_attempts": 1}).status is not BatchStatus.COMPLETED
    assert str(recorder.of("write_items")[0].error) == "no"
    assert recorder.of("write_items")[0].result is None


class Failing(Greeter):
    @hookimpl
    def write_items(self, items, context):
        raise RuntimeError("no")


def test_pieces_of_yaml(contraflow_project, source, connector, run_job):
    source.fill("customer", ANA)
    greeter = Greeter()
    connector(greeter, name="greeter")
    contraflow_project.configure("integrations: {greeter: {settings: {greeting: hi}}}")
    contraflow_project.define(
        """
        greetings:
            title: Greetings
            type: export
            steps:
                people:
                    services: {reader: entity.all, processor: greeter, writer: greeter}
                    parameters: {entity: customer}
        """
    )
    assert [step.step for step in run_job().steps] == ["people"]
    assert greeter.records[1,] == {"text": "hi Ana"}


def test_time_passes_when_it_is_told_to(source, connector, run_job, clock):
    source.fill("customer", ANA)
    connector(Greeter())
    first = run_job().started
    clock.advance(days=1, seconds=1)
    assert run_job().started - first == dt.timedelta(days=1, seconds=1)
    with pytest.raises(ValueError, match="time zone"):
        clock.set(dt.datetime(2024, 1, 1))  # noqa: DTZ001 - on purpose


def test_a_project_of_several_asks_which(source, connector, run_job):
    source.fill("customer", ANA)
    connector(Greeter(), name="one")
    connector(Greeter(), name="two")
    with pytest.raises(ValueError, match=r"2 integrations \(one, two\): say which"):
        run_job()
    assert run_job("two").counts["written"] == 1


@pytest.mark.parametrize("round_", [1, 2])
def test_the_fault_remote_is_empty_and_well_at_first(fault_remote, round_):
    with httpx.Client(base_url=fault_remote.url, trust_env=False) as client:
        assert fault_remote.state() == {}
        assert client.put("/b/records/1", json={"id": 1}).status_code == 201
        fault_remote.script({"rules": [{"fault": "status", "status": 503}]})
        assert client.put("/b/records/2", json={"id": 2}).status_code == 503
    assert list(fault_remote.state()) == ["b/1"]


def test_a_run_of_pytest_that_needs_nothing_of_it_imports_nothing_of_it(tmp_path: Path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    ours = sorted(name for name in sys.modules if name.startswith('contraflow'))\n"
        "    assert ours == ['contraflow', 'contraflow.testing', 'contraflow.testing.plugin']\n"
        "    assert not {'sqlalchemy', 'yaml', 'attrs', 'httpx', 'click'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


class Brings(Greeter):
    """A connector that brings the definition of its job."""

    @hookimpl
    def provide_export_job(self):
        services = {"reader": "entity.all", "processor": "brings", "writer": "brings"}
        step = {"services": services, "parameters": {"entity": "customer", "batch_size": 1}}
        return ExportJob(name="brought", settings=Settings, definition={"brought": {"steps": {"customers": step}}})


def test_parameters_are_for_jobs_that_the_connector_brings_too(source, connector, run_job, recorder):
    source.fill("customer", ANA, BO)
    connector(Brings(), name="brings", parameters={"batch_size": 2})
    assert run_job().counts["written"] == 2
    assert len(recorder.of("write_items")) == 1
