"""A record is forgotten in every remote that has it and in the ledger, and stays away."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from contraflow.errors import ConfigError
from contraflow.forgetting import summary
from contraflow.ledger.schema import metadata
from contraflow.project import Project
from contraflow_hookspecs import (
    Capabilities,
    Change,
    Deferred,
    ExportJob,
    Idempotency,
    Item,
    Operation,
    Rejected,
    StepContext,
    WriteResult,
    Written,
    hookimpl,
)

MARK = "Zaphod-Marker"


class Remote:
    """A connector whose remote is a mapping; ``away`` makes it unavailable."""

    def __init__(self, name: str, *, delete: bool) -> None:
        self.name, self.delete = name, delete
        self.held: dict[str, Mapping[str, Any]] = {}
        self.away = False

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        services = {"reader": "entity.all", "processor": self.name, "writer": self.name}
        parameters = {"entity": "customer", "remember": "payload", "attempts": 1}
        return ExportJob(
            name=f"{self.name}_job",
            capabilities=Capabilities(idempotency=Idempotency.UPSERT, delete=self.delete),
            definition={f"{self.name}_job": {"steps": {"customers": {"services": services, "parameters": parameters}}}},
        )

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Mapping[str, Any]:
        return {"name": item.data["name"]}

    @hookimpl
    def write_items(self, items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
        return [self._write(change) for change in items]

    def _write(self, change: Change) -> WriteResult:
        if self.away:
            return Deferred(key=change.key, reason="away")
        if "refused" in str(change.payload):
            return Rejected(key=change.key, code="no", reason="refused")
        if change.operation is Operation.DELETE:
            self.held.pop(str(change.remote_id), None)
        else:
            self.held[f"{self.name}-{change.key[0]}"] = dict(change.payload)
        return Written(key=change.key, remote_id=f"{self.name}-{change.key[0]}")


class Anonymising(Remote):
    """One that cannot delete, and can forget."""

    @hookimpl
    def forget_items(self, items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
        if self.away:
            return [Deferred(key=change.key, reason="away") for change in items]
        for change in items:
            self.held[str(change.remote_id)] = {"name": "forgotten"}
        return [Written(key=change.key) for change in items]


class Unconfigured(Anonymising):
    """One whose settings do not say how it forgets."""

    @hookimpl
    def check_step(self, context: StepContext) -> Sequence[str]:
        return ["the endpoint has no 'forget'"] if context.parameters.get("forget") else []


@pytest.fixture
def remotes() -> dict[str, Remote]:
    return {"first": Remote("first", delete=True), "second": Anonymising("second", delete=False)}


@pytest.fixture
def project(contraflow_project: Any, source: Any, remotes: dict[str, Remote]) -> Any:
    source.fill("customer", {"id": 1, "name": MARK}, {"id": 2, "name": "Bo"})
    for name, remote in remotes.items():
        contraflow_project.connect(remote, name=name)
    return contraflow_project


@pytest.fixture
def opened(project: Any) -> Iterator[Callable[[], Project]]:
    """The project as a new process opens it."""
    found: list[Project] = []

    def open_again() -> Project:
        found.append(project.load())
        return found[-1]

    yield open_again
    for each in found:
        each.close()


def sync(opened: Project, *names: str, **options: Any) -> None:
    for name in names or ("first", "second"):
        opened.sync(name, **options)


def ledger_bytes(project: Any) -> bytes:
    return b"".join(path.read_bytes() for path in Path(project.directory).glob("*.db*") if "source" not in path.name)


def test_every_remote_and_the_ledger_forget(project: Any, opened: Any, remotes: dict[str, Remote]) -> None:
    here = opened()
    sync(here)
    here.sync("first", ids=[1])
    assert MARK.encode() in ledger_bytes(project)  # the payload is remembered
    found = here.forget("customer", 1)
    assert found.done
    assert found.in_source is True
    assert [(place.integration, place.what) for place in found.places] == [("first", "delete"), ("second", "forget")]
    assert remotes["first"].held == {"first-2": {"name": "Bo"}}
    assert remotes["second"].held["second-1"] == {"name": "forgotten"}
    here.close()
    assert MARK.encode() not in ledger_bytes(project)
    again = opened()
    assert again.begun_forgettings() == []


def test_no_later_run_sends_it_again_unless_it_is_allowed(opened: Any, remotes: dict[str, Remote]) -> None:
    here = opened()
    sync(here)
    here.forget("customer", 1)
    for options in ({}, {"ids": [1]}, {"force": True, "everything": True}):
        execution = here.sync("first", **options)
        assert execution.counts["filtered"] == 1
    assert "first-1" not in remotes["first"].held
    with here.plan("first") as plan:
        assert plan.steps[0].counts["filtered"] == 1
    (place,) = (each for each in here.explain("customer", 1).places if each.integration == "first")
    assert "forgotten" in place.why
    assert here.allow_again("customer", 1) == 2
    sync(here)
    assert remotes["first"].held["first-1"] == {"name": MARK}


def test_who_was_interrupted_calls_it_again(opened: Any, remotes: dict[str, Remote]) -> None:
    here = opened()
    sync(here)
    remotes["second"].away = True
    found = here.forget("customer", 1)
    assert not found.done
    assert [(place.done, place.trouble) for place in found.places] == [(True, ""), (False, "away")]
    assert [each.key for each in here.begun_forgettings()] == [(1,)]
    remotes["second"].away = False
    found = opened().forget("customer", 1)
    assert found.done
    assert [place.integration for place in found.places] == ["second"]
    assert here.begun_forgettings() == []


def test_a_process_that_died_before_the_last_line_is_finished_by_the_next(opened: Any) -> None:
    here = opened()
    sync(here)
    here.forget("customer", 1)
    here.ledger().begin_forgetting("customer", "[1]")
    assert here.forget("customer", 1).places == ()
    assert here.begun_forgettings() == []


def test_what_cannot_be_removed_is_refused_before_anything_is_done(
    project: Any, opened: Any, remotes: dict[str, Remote]
) -> None:
    project.connect(Remote("third", delete=False), name="third")
    here = opened()
    sync(here, "first", "second", "third")
    with pytest.raises(
        ConfigError, match="third, third_job, customers: 1: its connector can neither forget nor delete"
    ):
        here.forget("customer", 1)
    assert "first-1" in remotes["first"].held
    assert here.begun_forgettings() == []


class Orders(Remote):
    """One that has orders, too, which refer to their customers."""

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        services = {"reader": "entity.all", "processor": self.name, "writer": self.name}
        references = {"customer": {"step": "customers", "key": ["customer_id"], "required": False}}
        steps = {
            "customers": {"services": services, "parameters": {"entity": "customer"}},
            "orders": {"services": services, "parameters": {"entity": "purchase", "references": references}},
        }
        return ExportJob(
            name="trade",
            capabilities=Capabilities(idempotency=Idempotency.UPSERT, delete=True),
            definition={"trade": {"steps": steps}},
        )

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Mapping[str, Any]:
        return {**item.data, **item.parents}


def test_records_that_refer_to_it_are_counted_and_the_ledger_forgets_whom_they_mean(
    project: Any, opened: Any, source: Any
) -> None:
    source.fill("customer", {"id": 4711, "name": MARK})
    source.fill("purchase", *({"id": number, "customer_id": 4711 if number < 3 else 1} for number in range(5)))
    project.connect(Orders("third", delete=True), name="third")
    here = opened()
    sync(here, "third")
    planned = here.forget("customer", 4711, dry_run=True)
    assert [place.children for place in planned.places] == [{"trade/orders": 3}]
    assert summary(planned) == [
        "third, trade, customers (record third-4711): to be deleted",
        "  3 records refer to it, trade/orders: not touched",
    ]
    assert [place.children for place in here.forget("customer", 4711).places] == [{"trade/orders": 3}]
    here.close()
    assert b"4711" not in ledger_bytes(project)
    again = opened()
    sync(again, "third", steps=["orders"])
    sync(again, "third", steps=["orders"], force=True, everything=True)
    again.close()
    assert b"4711" not in ledger_bytes(project)
    again = opened()
    assert [place.children for place in again.forget("customer", 1, dry_run=True).places] == [{"trade/orders": 2}]


KILLED = """
import os, signal, sys
from contraflow.project import Project
from contraflow_hookspecs import *

class Remote:
    def __init__(self, name, dies):
        self.name, self.dies = name, dies

    @hookimpl
    def provide_export_job(self):
        step = {
            "services": {"reader": "entity.all", "processor": self.name, "writer": self.name},
            "parameters": {"entity": "customer", "remember": "payload"},
        }
        job = f"{self.name}_job"
        return ExportJob(
            name=job,
            capabilities=Capabilities(idempotency=Idempotency.UPSERT, delete=True, request_lifetime=0.0),
            definition={job: {"steps": {"customers": step}}},
        )

    @hookimpl
    def process_item(self, item, context):
        return {"name": item.data["name"]}

    @hookimpl
    def write_items(self, items, context):
        with open(f"{self.name}.log", "a") as log:
            log.writelines(f"{each.operation.value} {each.key[0]}\\n" for each in items)
        if self.dies and any(each.operation is Operation.DELETE for each in items):
            os.kill(os.getpid(), signal.SIGKILL)
        return [Written(key=each.key, remote_id=f"r{each.key[0]}") for each in items]

what, dies = sys.argv[1], len(sys.argv) > 2
project = Project.load(".")
for name in ("first", "second"):
    project.plugins.register(Remote(name, dies and name == "second"), name, distribution="tests")
with project:
    if what == "sync":
        project.sync("first"), project.sync("second")
    else:
        found = project.forget("customer", 1, wait=True)
        print(found.done, [place.integration for place in found.places])
"""


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_process_that_dies_half_way_is_finished_by_the_next(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_url") if backend == "postgresql" else "sqlite:///ledger.db"
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT)")
        database.executemany("INSERT INTO customer VALUES (?, ?)", [(1, MARK), (2, "Bo")])
        database.commit()
    integrations = {name: {"connector": name} for name in ("first", "second")}
    entities = {"customer": {"table": "customer"}}
    config = {"source": "sqlite:///shop.db", "ledger": url, "entities": entities, "integrations": integrations}
    (tmp_path / "contraflow.yaml").write_text(json.dumps(config))

    def live(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, *arguments]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120)

    assert live("sync").returncode == 0
    died = live("forget", "dies")
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert MARK in dump(url, tmp_path), "the second remote still has it, and the ledger knows"
    finished = live("forget")
    assert finished.stdout == "True ['second']\n", finished.stderr
    logs = {name: (tmp_path / f"{name}.log").read_text().split("\n") for name in ("first", "second")}
    assert [logs[name].count("delete 1") for name in ("first", "second")] == [1, 2]
    assert MARK not in dump(url, tmp_path)
    assert live("sync").returncode == 0
    assert [(tmp_path / f"{name}.log").read_text().count("upsert 1") for name in ("first", "second")] == [1, 1]
    assert MARK not in dump(url, tmp_path)


def dump(url: str, directory: Path) -> str:
    """All that stands in the tables of a ledger."""
    engine = sa.create_engine(url.replace("sqlite:///", f"sqlite:///{directory}/"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return str([connection.execute(sa.select(table)).all() for table in metadata.sorted_tables])


def test_a_dry_run_does_nothing(opened: Any, remotes: dict[str, Remote]) -> None:
    here = opened()
    sync(here)
    found = here.forget("customer", 1, dry_run=True)
    assert [place.what for place in found.places] == ["delete", "forget"]
    assert not found.done
    assert "first-1" in remotes["first"].held


def test_dead_letters_and_reasons_go_too(opened: Any, source: Any) -> None:
    source.fill("customer", {"id": 3, "name": "refused"})
    here = opened()
    here.sync("first")
    assert [letter.key for letter in here.dead_letters()] == [(3,)]
    assert here.forget("customer", 3).done
    assert here.dead_letters() == []
    assert not any(error.startswith("3: ") for execution in here.executions() for error in execution.errors)


def test_a_record_is_linked_to_another_one(opened: Any, remotes: dict[str, Remote]) -> None:
    here = opened()
    sync(here)
    linked = here.relink("first", 1, "first-2")
    assert (linked.before, linked.others) == ("first-1", ((2,),))
    (place,) = (each for each in here.explain("customer", 1).places if each.integration == "first")
    assert (place.remote_id, place.due) == ("first-2", True)
    assert here.sync("first").counts["written"] == 1


class OwnKeys(Remote):
    """One that names its records by our own keys."""

    @hookimpl
    def check_step(self, context: StepContext) -> Sequence[str]:
        return ["it names records by our own keys"] if context.parameters.get("relink") else []


def test_a_remote_that_would_not_follow_the_link_is_refused(project: Any, opened: Any) -> None:
    project.connect(OwnKeys("third", delete=True), name="third")
    here = opened()
    sync(here, "third")
    with pytest.raises(ConfigError, match="step 'customers': it names records by our own keys"):
        here.relink("third", 1, "77")
    (place,) = (each for each in here.explain("customer", 1).places if each.integration == "third")
    assert (place.remote_id, place.due) == ("third-1", False)


def test_what_cannot_be_linked_is_refused(opened: Any) -> None:
    here = opened()
    with pytest.raises(ConfigError, match="has never run into 'first'"):
        here.relink("first", 1, "first-2")
    sync(here)
    with pytest.raises(ConfigError, match="did you mean 'customers'"):
        here.relink("first", 1, "first-2", step="customer")
    with pytest.raises(ConfigError, match="the remote id is empty"):
        here.relink("first", 1, " ")


def test_a_remote_whose_settings_do_not_say_how_is_refused_by_name(
    project: Any, opened: Any, remotes: dict[str, Remote]
) -> None:
    remotes["third"] = Unconfigured("third", delete=False)
    project.connect(remotes["third"], name="third")
    sync(opened(), "first", "second", "third")
    before = {name: dict(remote.held) for name, remote in remotes.items()}
    with pytest.raises(ConfigError, match="third, third_job, customers: 1: the endpoint has no 'forget'"):
        opened().forget("customer", 1)
    assert {name: remote.held for name, remote in remotes.items()} == before
