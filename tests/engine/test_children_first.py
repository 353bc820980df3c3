"""Children before their parents: what is gone is removed in the opposite order, at remotes that refuse it otherwise."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

import contraflow_http
import contraflow_sql
from contraflow.all_jobs import sync_all
from contraflow.engine.leadership import JobRunningError, take
from contraflow.engine.stopping import StopRequest
from contraflow.plugins import Plugins
from contraflow.project import Project
from contraflow.testing.remote.process import FaultRemote, fault_remote
from contraflow.workspace import utc_now
from contraflow_hookspecs import BatchStatus, JobExecution, Operation, SystemicError, hookimpl

TABLES = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (region TEXT, no INTEGER, customer_id INTEGER, PRIMARY KEY (region, no));
CREATE TABLE line (region TEXT, order_no INTEGER, line INTEGER, item TEXT, PRIMARY KEY (region, order_no, line));
CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER);
"""
ROWS = """
INSERT INTO customer VALUES (1, 'Ana'), (2, 'Bo'), (3, 'Cy');
INSERT INTO orders VALUES ('eu', 1, 1), ('eu', 2, 2), ('us', 1, 2);
INSERT INTO line VALUES ('eu', 1, 1, 'pot'), ('eu', 2, 1, 'cup'), ('us', 1, 1, 'tea'), ('us', 1, 2, 'jug');
"""
TARGET = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (region TEXT, no INTEGER, customer_id INTEGER NOT NULL REFERENCES customer, PRIMARY KEY (region, no));
CREATE TABLE line (region TEXT, order_no INTEGER, line INTEGER, item TEXT, PRIMARY KEY (region, order_no, line),
                   FOREIGN KEY (region, order_no) REFERENCES orders);
CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES node ON DELETE RESTRICT);
"""
BO_IS_GONE = """
DELETE FROM line WHERE (region, order_no) IN (SELECT region, no FROM orders WHERE customer_id = 2);
DELETE FROM orders WHERE customer_id = 2;
DELETE FROM customer WHERE id = 2;
"""
NAMES = {"customers": "customer", "orders": "orders", "lines": "line"}
PARENTS = {
    "orders": {"customer": {"step": "customers", "key": ["customer_id"]}},
    "lines": {"order": {"step": "orders", "key": ["region", "order_no"]}},
}


class Refs:
    """A processor that adds the remote ids of the parents."""

    @hookimpl
    def process_item(self, item, context):
        return {"id": "-".join(map(str, item.key)), **item.parents}


class Watch:
    """Sees what is removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []
        self.broken: str | None = None
        """The step at which the remote breaks down."""
        self.after: Callable[[str], None] = lambda step: None

    @hookimpl(wrapper=True)
    def write_items(self, items, context):
        if context.step == self.broken:
            raise SystemicError("no more")
        self.removed += [
            f"{context.step} {'/'.join(map(str, each.key))}" for each in items if each.operation is Operation.DELETE
        ]
        results = yield
        self.after(context.step)
        return results


@attrs.define
class Trade:
    directory: Path
    config: dict[str, Any]
    several_jobs: bool = False
    parameters: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    processor: str = "sql"
    writer: str = "sql"
    trees: bool = False
    watch: Watch = attrs.field(factory=Watch)

    def sql(self, script: str, database: str = "shop.db") -> None:
        with closing(sqlite3.connect(self.directory / database)) as connection, connection:
            connection.executescript(script)

    def write(self) -> None:
        steps: dict[str, Any] = {}
        for step in reversed(NAMES):  # declared in the wrong order
            references = {name: dict(each) for name, each in PARENTS.get(step, {}).items()}
            for each in references.values() if self.several_jobs else ():
                each["job"] = f"{each['step']}_export"
            steps[step] = self.step(NAMES[step], references, **self.parameters.get(step, {}))
        if self.trees:
            steps = {"nodes": self.step("node", {"up": {"key": ["parent"]}}, **self.parameters.get("nodes", {}))}
        jobs = {"export": {"steps": steps}}
        if self.several_jobs:
            jobs = {f"{name}_export": {"steps": {name: step}} for name, step in steps.items()}
        self.config["integrations"]["acme"]["job"] = list(jobs)
        (self.directory / "jobs.yml").write_text(json.dumps(jobs))
        (self.directory / "contraflow.yaml").write_text(json.dumps(self.config))

    def step(self, entity: str, references: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
        given = {"entity": entity, "deletions": "delete", "guards": {"deletes": "100%"}, "references": references}
        services = {"reader": "entity.all", "processor": self.processor, "writer": self.writer}
        return {"services": services, "parameters": {**given, **parameters}}

    def project(self) -> Project:
        self.write()
        plugins = Plugins(only={"contraflow"})
        plugins.register(contraflow_sql, "sql", distribution="tests")
        plugins.register(contraflow_http, "http", distribution="tests")
        plugins.register(Refs(), "refs", distribution="tests")
        plugins.register(self.watch, "watch", distribution="tests")
        return Project.load(self.directory, plugins=plugins)

    def sync(self, **options: Any) -> list[JobExecution]:
        with self.project() as project:
            return list(project.sync_all("acme", **options)) if self.several_jobs else [project.sync("acme", **options)]

    def held(self, table: str) -> list[Any]:
        with closing(sqlite3.connect(self.directory / "target.db")) as connection:
            return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - ours


@pytest.fixture
def trade(tmp_path: Path) -> Trade:
    """Customers, orders and lines, copied into a database with foreign keys."""
    tables = {name: {"table": name} for name in ("customer", "orders", "line", "node")}
    trade = Trade(
        tmp_path,
        {
            "source": "sqlite:///shop.db",
            "ledger": "sqlite:///ledger.db",
            "entities": tables,
            "integrations": {
                "acme": {"connector": "sql", "settings": {"url": f"sqlite:///{tmp_path}/target.db", "tables": tables}}
            },
            "jobs": ["jobs.yml"],
        },
    )
    trade.sql(TABLES + ROWS)
    trade.sql(TARGET, "target.db")
    return trade


def totals(executions: list[JobExecution]) -> dict[str, int]:
    names = ("read", "written", "unchanged", "rejected", "deferred", "in_doubt", "deleted")
    return {name: number for name in names if (number := sum(each.counts.get(name, 0) for each in executions))}


IN_ORDER = ["lines eu/2/1", "lines us/1/1", "lines us/1/2", "orders eu/2", "orders us/1", "customers 2"]


@pytest.mark.parametrize("several_jobs", [False, True])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_is_gone_is_removed_from_the_leaves(trade: Trade, several_jobs: bool, concurrency: int) -> None:
    trade.several_jobs = several_jobs
    trade.parameters = {name: {"concurrency": concurrency, "batch_size": 2} for name in NAMES}
    assert totals(trade.sync()) == {"read": 10, "written": 10}
    trade.sql(BO_IS_GONE)
    trade.sql("INSERT INTO customer VALUES (4, 'Di'); INSERT INTO orders VALUES ('eu', 9, 4);")
    executions = trade.sync()
    assert [each.status for each in executions] == [BatchStatus.COMPLETED] * len(executions)
    assert totals(executions) == {"read": 12, "written": 8, "unchanged": 4, "deleted": 6}
    assert sorted(trade.watch.removed) == sorted(IN_ORDER)
    assert [each.split()[0] for each in trade.watch.removed] == [each.split()[0] for each in IN_ORDER]
    assert trade.held("customer") == [(1, "Ana"), (3, "Cy"), (4, "Di")]
    assert trade.held("orders") == [("eu", 1, 1), ("eu", 9, 4)]
    assert totals(trade.sync()) == {"read": 6, "unchanged": 6}
    with trade.project() as project:
        recorded = {step.step: dict(step.counts) for each in project.ledger().executions()[-4:] for step in each.steps}
    assert recorded["customers"]["read"] in (3, 4)


def test_the_jobs_are_told_in_the_order_in_which_they_began(trade: Trade) -> None:
    trade.several_jobs = True
    trade.sync()
    trade.sql(BO_IS_GONE)
    executions = trade.sync()
    assert [each.job for each in executions] == ["customers_export", "orders_export", "lines_export"]
    ended = [each.ended for each in executions]
    assert ended == sorted(ended, reverse=True)


@pytest.mark.parametrize("several_jobs", [False, True])
def test_a_parent_of_what_could_not_be_removed_is_put_off_and_named(trade: Trade, several_jobs: bool) -> None:
    trade.several_jobs = several_jobs
    trade.sync()
    trade.sql(BO_IS_GONE)
    trade.sql(
        "CREATE TRIGGER keep BEFORE DELETE ON line WHEN old.item = 'jug' BEGIN SELECT RAISE(ABORT, 'kept'); END",
        "target.db",
    )
    executions = trade.sync()
    assert totals(executions) == {"read": 10, "written": 3, "unchanged": 4, "rejected": 1, "deferred": 2, "deleted": 3}
    told = [error for each in executions for error in each.errors if "deferred" in error]
    assert sorted(told) == [
        "2: deferred: us/1 of step 'orders', its child, is still at the remote",
        "us/1: deferred: us/1/2 of step 'lines', its child, is still at the remote",
    ]
    assert trade.held("orders") == [("eu", 1, 1), ("us", 1, 2)]
    assert "orders us/1" not in trade.watch.removed
    trade.sql("DROP TRIGGER keep", "target.db")
    with trade.project() as project:
        list(project.retry_dead_letters(project.ledger().dead_letters()))
    assert totals(trade.sync())["deleted"] == 3
    assert trade.held("customer") == [(1, "Ana"), (3, "Cy")]


def test_a_job_that_runs_alone_leaves_what_has_children_and_says_so(trade: Trade) -> None:
    trade.several_jobs = True
    trade.sync()
    trade.sql(BO_IS_GONE)
    with trade.project() as project:
        with project.plan("acme", job="customers_export") as plan:
            (step,) = plan.steps
            assert (step.counts["delete"], step.counts["deferred"]) == (0, 1)
        execution = project.sync("acme", job="customers_export")
        (place,) = project.explain("customer", 2).places
        assert (place.status, place.due) == ("deferred", True)
        assert (
            place.why == "it is to be removed; eu/2 of step 'orders' and 1 more of its children are still at the remote"
        )
        assert place.next == "the next run removes it, unless that is still there then"
    assert totals([execution]) == {"read": 3, "unchanged": 2, "deferred": 1}
    assert trade.watch.removed == []
    assert totals(trade.sync())["deleted"] == 6


def test_children_that_nobody_removes_do_not_keep_their_parents(trade: Trade) -> None:
    trade.config["integrations"]["acme"]["settings"]["url"] = f"sqlite:///{trade.directory}/lenient.db"
    trade.sql(TARGET.replace("REFERENCES customer", ""), "lenient.db")
    trade.parameters = {"orders": {"deletions": "ignore"}, "lines": {"deletions": "ignore"}}
    trade.sync()
    trade.sql(BO_IS_GONE)
    assert totals(trade.sync()) == {"read": 5, "written": 1, "unchanged": 4, "deleted": 1}


def test_ids_that_are_gone_go_from_the_leaves_too(trade: Trade) -> None:
    trade.parameters = {name: {"missing": "delete"} for name in NAMES}
    trade.sql("INSERT INTO orders VALUES ('2', 0, 2)")
    trade.sync()
    with trade.project() as project:
        assert totals([project.sync("acme", steps=["customers"], ids=[2])]) == {"read": 1, "unchanged": 1}
    trade.sql("DELETE FROM customer WHERE id = 2")
    with trade.project() as project:
        assert totals([project.sync("acme", steps=["customers"], ids=[2, 9])]) == {
            "read": 2,
            "unchanged": 1,
            "deferred": 1,
        }
    trade.sql("DELETE FROM orders WHERE customer_id = 2; DELETE FROM line WHERE region = 'us' OR order_no = 2")
    with trade.project() as project:
        lines, orders = [["eu", 2, 1], ["us", 1, 1], ["us", 1, 2]], [["eu", 2], ["us", 1], ["2", 0]]
        assert totals([project.sync("acme", steps=["lines"], ids=lines)])["deleted"] == 3
        assert totals([project.sync("acme", steps=["orders"], ids=orders)])["deleted"] == 3
        assert totals([project.sync("acme", steps=["customers"], ids=[2])])["deleted"] == 1


def test_a_plan_is_applied_from_the_leaves(trade: Trade) -> None:
    trade.sync()
    trade.sql(BO_IS_GONE)
    with trade.project() as project, project.plan("acme") as plan:
        assert [step.counts["delete"] for step in plan.steps] == [1, 2, 3]
        plan.save(trade.directory / "plan")
    with trade.project() as project:
        execution = project.apply(trade.directory / "plan")
    assert execution.status is BatchStatus.COMPLETED
    assert totals([execution]) == {"read": 6, "written": 6, "deleted": 6}
    assert trade.watch.removed == IN_ORDER


def test_a_plan_of_which_a_child_is_stale_leaves_its_parents(trade: Trade) -> None:
    trade.sync()
    trade.sql(BO_IS_GONE)
    with trade.project() as project, project.plan("acme") as plan:
        plan.save(trade.directory / "plan")
    trade.sql("INSERT INTO line VALUES ('us', 1, 2, 'jug')")
    with trade.project() as project:
        execution = project.apply(trade.directory / "plan")
    assert execution.counts["stale"] == 1
    assert totals([execution]) == {"read": 6, "written": 3, "deferred": 2, "deleted": 3}


@pytest.mark.parametrize("several_jobs", [False, True])
def test_a_guard_of_the_children_stops_them_and_their_parents(trade: Trade, several_jobs: bool) -> None:
    trade.several_jobs = several_jobs
    trade.parameters = {"lines": {"guards": {"deletes": 1}}}
    trade.sync()
    trade.sql(BO_IS_GONE)
    executions = trade.sync()
    failed = [each for each in executions if each.status is not BatchStatus.COMPLETED]
    assert [each.exit_code for each in failed] == ["GUARD"]
    assert trade.watch.removed == []
    assert totals(executions)["deferred"] == 3
    digest = failed[0].exit_description.rpartition(" ")[2]
    assert totals(trade.sync(approve=[digest]))["deleted"] == 6


def test_an_approval_is_used_up_with_the_first_removal(trade: Trade) -> None:
    trade.parameters = {"customers": {"guards": {"deletes": 0}}, "lines": {"guards": {"deletes": 0}}}
    trade.sync()
    trade.sql(BO_IS_GONE)
    digests = [trade.sync()[0].exit_description.rpartition(" ")[2]]
    digests.append(trade.sync(approve=digests)[0].exit_description.rpartition(" ")[2])
    assert trade.watch.removed == []
    assert totals(trade.sync(approve=digests))["deleted"] == 6


def test_a_step_that_fails_does_not_keep_others_from_removing(trade: Trade) -> None:
    trade.sync()
    trade.sql(BO_IS_GONE)
    trade.sql("DELETE FROM customer WHERE id = 3; UPDATE line SET item = 'pan' WHERE item = 'pot'")
    trade.watch.broken = "lines"
    (execution,) = trade.sync()
    assert [(each.step, each.status.value) for each in execution.steps] == [
        ("customers", "COMPLETED"),
        ("orders", "COMPLETED"),
        ("lines", "FAILED"),
    ]
    assert (execution.status, execution.exit_description) == (BatchStatus.FAILED, "no more")
    assert trade.watch.removed == ["customers 3"]
    assert totals([execution])["deferred"] == 3 + 1


@pytest.mark.parametrize("several_jobs", [False, True])
def test_a_run_that_is_stopped_between_the_phases_owes_the_removals_to_the_next(
    trade: Trade, several_jobs: bool
) -> None:
    trade.several_jobs = several_jobs
    trade.sync()
    trade.sql(BO_IS_GONE)
    trade.sql("UPDATE line SET item = 'pan' WHERE item = 'pot'")
    stop = StopRequest()
    trade.watch.after = lambda step: stop.set("terminated") if step == "lines" else None
    executions = trade.sync(stop=stop)
    assert {each.status for each in executions} == {BatchStatus.STOPPED}
    assert {step.status for each in executions for step in each.steps} == {BatchStatus.STOPPED}
    assert trade.watch.removed == []
    with trade.project() as project:
        for step in NAMES:
            job = f"{step}_export" if several_jobs else "export"
            stream = project.ledger().stream(integration="acme", job=job, step=step)
            assert stream is not None
            assert stream.swept in (1, 2, 3), "of the first runs: what is gone was found, and is still there"
    assert totals(trade.sync())["deleted"] == 6


def test_what_was_put_off_is_gone_with_the_next_run(trade: Trade) -> None:
    """Also where the reason was a child that is in the source again."""
    trade.sync()
    trade.sql("DELETE FROM orders WHERE customer_id = 2; DELETE FROM customer WHERE id = 2")
    (execution,) = trade.sync()
    assert totals([execution])["deferred"] == 3
    trade.sql("DELETE FROM line WHERE region = 'us' OR order_no = 2")
    assert totals(trade.sync())["deleted"] == 6
    with trade.project() as project:
        assert "deleted" in str(project.explain("customer", 2))


def test_somebody_elses_run_of_a_later_job_does_not_leave_the_first_open(trade: Trade) -> None:
    trade.several_jobs = True
    trade.sync()
    trade.sql(BO_IS_GONE)
    with trade.project() as project, trade.project() as other:
        executions: list[JobExecution] = []
        with (
            take(other.ledger(), "acme", "orders_export", now=utc_now, stop=StopRequest()),
            pytest.raises(JobRunningError, match="orders_export"),
        ):
            executions.extend(sync_all(project, "acme"))
        assert [(each.job, each.status) for each in executions] == [("customers_export", BatchStatus.COMPLETED)]
        assert totals(executions) == {"read": 3, "unchanged": 2, "deferred": 1}
    assert totals(trade.sync())["deleted"] == 6


TREE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO node SELECT i, CASE WHEN i > 58 THEN NULL ELSE i + 1 + i % 2 END FROM n;
"""


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_tree_in_one_table_goes_from_its_leaves(trade: Trade, concurrency: int) -> None:
    trade.trees = True
    trade.parameters = {"nodes": {"concurrency": concurrency, "batch_size": 7}}
    trade.sql(TREE)
    assert totals(trade.sync()) == {"read": 60, "written": 60}
    trade.sql("DELETE FROM node WHERE id <= 50")
    assert totals(trade.sync()) == {"read": 60, "written": 50, "unchanged": 10, "deleted": 50}
    assert [row[0] for row in trade.held("node")] == list(range(51, 61))


@pytest.mark.parametrize("kind", ["several_jobs", "trees"])
def test_a_ledger_in_postgresql_knows_the_children_too(trade: Trade, postgresql_url: str, kind: str) -> None:
    trade.config["ledger"] = postgresql_url
    setattr(trade, kind, True)
    trade.sql(TREE)
    trade.sync()
    trade.sql(BO_IS_GONE)
    trade.sql("DELETE FROM node WHERE id <= 50")
    if kind == "several_jobs":
        with trade.project() as project:
            assert totals([project.sync("acme", job="customers_export")])["deferred"] == 1
    assert totals(trade.sync())["deleted"] == (50 if kind == "trees" else 6)
    totals_again = totals(trade.sync())
    assert totals_again["unchanged"] == totals_again["read"]


def test_a_branch_moves_before_its_old_parent_goes(trade: Trade) -> None:
    trade.trees = True
    trade.sql("INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2), (4, NULL)")
    trade.sync()
    trade.sql("UPDATE node SET parent = 4 WHERE id = 3; DELETE FROM node WHERE id <= 2")
    assert totals(trade.sync()) == {"read": 4, "written": 3, "unchanged": 1, "deleted": 2}
    assert trade.held("node") == [(3, 4), (4, None)]


def test_a_circle_in_the_data_is_put_off_and_told(trade: Trade) -> None:
    trade.config["integrations"]["acme"]["settings"]["url"] = f"sqlite:///{trade.directory}/lenient.db"
    trade.sql(TARGET.replace("REFERENCES node ON DELETE RESTRICT", ""), "lenient.db")
    trade.trees = True
    trade.sql("INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2)")
    trade.sync()
    trade.sql("UPDATE node SET parent = 3 WHERE id = 1")
    trade.sync()
    trade.sql("DELETE FROM node")
    (execution,) = trade.sync()
    assert totals([execution]) == {"read": 3, "deferred": 3}


# A real HTTP server, and processes that die ------------------------------------------------------------------------------


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[FaultRemote]:
    with fault_remote(tmp_path, {"rules": [{"fault": "referred", "method": "DELETE"}]}) as running:
        yield running


@pytest.fixture
def http(trade: Trade, remote: FaultRemote) -> Trade:
    """The same at a remote that gives ids of its own."""
    routes = {
        "create": {"path": "/a/records"},
        "update": {"path": "/a/records/{remote_id}"},
        "delete": {"path": "/a/records/{remote_id}"},
        "id": "remote_id",
    }
    settings = {
        "url": remote.url,
        "idempotency_header": "Idempotency-Key",
        "endpoints": dict.fromkeys(NAMES.values(), routes),
        "request_lifetime": 5,
        "timeout": 5,
    }
    trade.config["integrations"]["acme"] = {"connector": "http", "settings": settings}
    trade.processor, trade.writer = "refs", "http"
    return trade


@pytest.mark.parametrize("several_jobs", [False, True])
def test_a_remote_that_refuses_to_delete_what_has_children_refuses_nothing(
    http: Trade, remote: FaultRemote, several_jobs: bool
) -> None:
    http.several_jobs = several_jobs
    assert totals(http.sync()) == {"read": 10, "written": 10}
    http.sql(BO_IS_GONE)
    assert totals(http.sync()) == {"read": 10, "written": 6, "unchanged": 4, "deleted": 6}
    left = sorted(record["record"] for record in remote.state().values())
    assert left == ["1", "3", "eu-1", "eu-1-1"]


KILLED = """
import os, signal, sys
from contraflow.project import Project
from contraflow_hookspecs import *
import contraflow_http, contraflow_sql

kill_at, several = sys.argv[1], sys.argv[2] == "several"

class Refs:
    @hookimpl
    def process_item(self, item, context):
        return {"id": "-".join(map(str, item.key)), **item.parents}

class Death:
    @hookimpl(wrapper=True)
    def write_items(self, items, context):
        removes = any(each.operation is Operation.DELETE for each in items)
        if removes and f"before {context.step}" == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        results = yield
        if removes and f"after {context.step}" == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return results

project = Project.load(".")
for plugin, name in ((contraflow_http, "http"), (contraflow_sql, "sql"), (Refs(), "refs"), (Death(), "death")):
    if name not in project.plugins.names:
        project.plugins.register(plugin, name, distribution="tests")
if several:
    project.sync_all("acme")
else:
    project.sync("acme")
"""


@pytest.mark.parametrize("kind", ["sql", "http"])
@pytest.mark.parametrize("several_jobs", [False, True])
@pytest.mark.parametrize("moment", ["before lines", "after lines", "before orders", "after customers"])
def test_a_death_between_two_phases_loses_no_removal(
    trade: Trade,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    several_jobs: bool,
    moment: str,
) -> None:
    # Nothing of a dead process is under way any more to a file, or to a server on loopback.
    monkeypatch.setattr("contraflow.engine.step.lifetime_of", lambda _: 0.1)
    if kind == "http":
        request.getfixturevalue("http")
    trade.several_jobs = several_jobs
    trade.sync()
    trade.sql(BO_IS_GONE)
    trade.write()
    command = [sys.executable, "-c", KILLED, moment, "several" if several_jobs else "one"]
    life = subprocess.run(command, cwd=trade.directory, check=False, capture_output=True, timeout=120)
    assert life.returncode == -signal.SIGKILL, life.stderr.decode()
    executions = trade.sync(wait=True)
    assert [each.status for each in executions] == [BatchStatus.COMPLETED] * len(executions)
    assert not [error for each in executions for error in each.errors]
    with trade.project() as project:
        statuses = {(each.step, each.status): each.items for each in project.ledger().counts_by_status()}
    assert statuses == {
        ("customers", "written"): 2,
        ("customers", "deleted"): 1,
        ("orders", "written"): 1,
        ("orders", "deleted"): 2,
        ("lines", "written"): 1,
        ("lines", "deleted"): 3,
    }
    if kind == "sql":
        assert (trade.held("customer"), trade.held("orders")) == ([(1, "Ana"), (3, "Cy")], [("eu", 1, 1)])
    else:
        left = sorted(record["record"] for record in request.getfixturevalue("remote").state().values())
        assert left == ["1", "3", "eu-1", "eu-1-1"]
    assert totals(trade.sync()) == {"read": 4, "unchanged": 4}
