"""Reading only what changed: nothing that changed is lost, whatever ties, late commits, kills and refusals do to it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from contraflow_hookspecs import BatchStatus, Deferred, Rejected, Written, hookimpl

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def moment(minutes: float = 0) -> str:
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def changing(shop):
    """Ten customers, all changed at one moment, in a table that is read by its changes."""
    shop.sql(
        """
        DROP TABLE customer;
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, updated DATETIME);
        CREATE INDEX customer_updated ON customer (updated, id);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
        INSERT INTO customer SELECT i, 'c' || i, '2026-03-01 12:00:00.000000' FROM n;
        """
    )
    shop.reader = "entity.changed"
    shop.parameters = {"cursor": "updated", "batch_size": 3, "overlap": 0, "sweep": "never"}
    shop.remote.process = lambda item, _: {"name": item.data["name"]}
    return shop


def sent(shop) -> list[int]:
    keys = [change.key[0] for change in shop.remote.sent]
    shop.remote.calls.clear()
    return keys


def counts(execution) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number and name not in ("created", "updated")}


def update(shop, number: int, minutes: float, name: str = "changed") -> None:
    shop.sql("UPDATE customer SET name = ?, updated = ? WHERE id = ?", (name, moment(minutes), number))


def test_a_second_run_reads_what_changed_and_what_is_tied_with_it(changing) -> None:
    assert counts(changing.sync()) == {"read": 10, "written": 10}
    assert sent(changing) == list(range(1, 11))
    assert counts(changing.sync()) == {"read": 10, "unchanged": 10}, "all of them are tied at the cursor"
    update(changing, 4, 5)
    assert counts(changing.sync()) == {"read": 10, "written": 1, "unchanged": 9}
    assert sent(changing) == [4]
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}
    changing.sql("INSERT INTO customer VALUES (?, 'new', ?)", (2000, moment(5)), (0, moment(5)))
    assert counts(changing.sync()) == {"read": 3, "written": 2, "unchanged": 1}
    assert sorted(sent(changing)) == [0, 2000]


def test_all_is_a_sweep_and_a_late_row_is_found_by_it_or_by_the_overlap(changing) -> None:
    changing.sync()
    update(changing, 4, 60)
    changing.sync()
    sent(changing)
    changing.sql("INSERT INTO customer VALUES (?, 'late', ?)", (11, moment(55)), (12, moment(5)))
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}
    changing.parameters["overlap"] = "10min"
    assert counts(changing.sync()) == {"read": 2, "written": 1, "unchanged": 1}
    assert sent(changing) == [11]
    assert counts(changing.sync(everything=True)) == {"read": 12, "written": 1, "unchanged": 11}
    assert sent(changing) == [12]
    assert counts(changing.sync(ids=[1])) == {"read": 1, "unchanged": 1}
    assert counts(changing.sync()) == {"read": 2, "unchanged": 2}, "a run by id moves no cursor"


@pytest.mark.parametrize(("sweep", "reads"), [("7d", [10, 1, 1, 10, 1]), ("never", [10, 1, 1, 1, 1]), ("0s", [10] * 5)])
def test_a_sweep_is_due_when_the_last_one_is_old_enough(changing, sweep: str, reads: list[int]) -> None:
    update(changing, 4, 60)
    changing.parameters["sweep"] = sweep
    found = []
    for day in (0, 1, 6, 8, 9):
        with changing.project() as project:
            project._now = lambda day=day: START + timedelta(days=day)
            found.append(project.sync("acme").counts["read"])
    assert found == reads


def test_a_run_that_failed_or_was_stopped_moves_nothing(changing) -> None:
    changing.sync()
    update(changing, 4, 60)
    update(changing, 5, 61)
    sent(changing)
    store = changing.remote.answer

    def broken(changes, _):
        raise ConnectionError("gone")

    changing.remote.answer = broken
    assert changing.sync().status is BatchStatus.FAILED
    changing.remote.answer = store
    changing.sync()
    assert set(sent(changing)) == {4, 5}
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}


def test_what_a_run_skipped_is_read_again_although_its_cursor_did_not_move(changing) -> None:
    update(changing, 10, 60)

    def moody(changes, _):
        answers = {
            2: Deferred(key=(2,), reason="locked"),
            3: Rejected(key=(3,), code="bad", reason="no"),
            10: Deferred(key=(10,), reason="locked"),
        }
        return [answers.get(change.key[0], Written(key=change.key)) for change in changes]

    changing.parameters["attempts"] = 1
    store, changing.remote.answer = changing.remote.answer, moody
    assert counts(changing.sync()) == {"read": 10, "written": 7, "deferred": 2, "rejected": 1}
    changing.remote.answer = store
    sent(changing)
    assert counts(changing.sync()) == {"read": 3, "written": 2, "rejected": 1}
    assert sorted(sent(changing)) == [2, 10]
    changing.remote.process = lambda item, _: {"name": item.data["name"].upper()} if item.key == (3,) else {"n": 1}
    assert counts(changing.sync()) == {"read": 2, "written": 2}, "the rejected one and the one at the cursor"
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}


def test_rows_without_cursor_are_read_in_every_run(changing) -> None:
    changing.sql("UPDATE customer SET updated = NULL WHERE id IN (7, 8)")
    changing.sync()
    update(changing, 1, 60)
    changing.sync()
    changing.sql("UPDATE customer SET name = 'new' WHERE id = 8")
    sent(changing)
    assert counts(changing.sync()) == {"read": 3, "written": 1, "unchanged": 2}
    assert sent(changing) == [8]


def test_another_cursor_column_reads_everything_once(changing) -> None:
    changing.sql("ALTER TABLE customer ADD COLUMN version INTEGER; UPDATE customer SET version = id")
    changing.sync()
    changing.parameters["cursor"] = "version"
    assert counts(changing.sync()) == {"read": 10, "unchanged": 10}
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}


def test_check_advises_an_index_and_refuses_an_unknown_column(changing) -> None:
    from contraflow.check import check

    changing.sql("DROP INDEX customer_updated")
    with changing.project() as project:
        findings = [each for each in check(project) if each.problems]
    assert [each.fatal for each in findings] == [False]
    assert "CREATE INDEX ix_customer_updated ON customer (updated, id)" in str(findings[0].problems[0])
    changing.sync()
    changing.parameters["cursor"] = "update"
    with changing.project() as project:
        (finding,) = (each for each in check(project) if each.problems)
    assert finding.fatal
    assert "did you mean 'updated'?" in str(finding.problems[0])


@pytest.fixture
def served(changing, postgresql):
    """The same with PostgreSQL as source and ledger; gives an engine that writes there."""
    changing.config["source"] = changing.config["ledger"] = postgresql.render_as_string(hide_password=False)
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customer (id integer PRIMARY KEY, name text, updated timestamptz)")
        connection.exec_driver_sql("CREATE INDEX ON customer (updated, id)")
        connection.exec_driver_sql("INSERT INTO customer SELECT n, 'c' || n, now() FROM generate_series(1, 10) AS n")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("overlap", ["10min", 0])
def test_a_transaction_that_commits_after_the_run_is_not_lost(changing, served, overlap) -> None:
    """now() is the moment at which a transaction began: this one is older than what the run has read meanwhile."""
    changing.parameters["overlap"] = overlap
    changing.sync()
    with served.connect() as late, late.begin():
        late.exec_driver_sql("UPDATE customer SET name = 'late', updated = now() WHERE id IN (2, 3)")
        late.exec_driver_sql("INSERT INTO customer VALUES (11, 'late', now())")
        with served.begin() as quick:
            quick.exec_driver_sql("UPDATE customer SET name = 'quick', updated = clock_timestamp() WHERE id = 7")
        sent(changing)
        assert counts(changing.sync())["written"] == 1
        assert sent(changing) == [7]
    changing.sync()
    assert sorted(sent(changing)) == ([2, 3, 11] if overlap else [])
    changing.sync(everything=True)
    assert sorted(sent(changing)) == ([] if overlap else [2, 3, 11])
    assert {key[0]: record["name"] for key, record in changing.remote.records.items() if key[0] in (2, 7, 11)} == {
        2: "late",
        7: "quick",
        11: "late",
    }


def test_rows_tied_in_one_transaction_are_all_delivered(changing, served) -> None:
    changing.parameters["overlap"] = 0
    changing.sync()
    with served.begin() as connection:
        connection.exec_driver_sql("UPDATE customer SET name = 'tied', updated = now()")
        connection.exec_driver_sql("INSERT INTO customer SELECT n, 'tied', now() FROM generate_series(11, 50) AS n")
    sent(changing)
    assert counts(changing.sync()) == {"read": 50, "written": 50}
    assert sent(changing) == list(range(1, 51))


def test_what_is_owed_is_found_in_a_postgresql_ledger(changing, served) -> None:
    changing.parameters |= {"attempts": 1, "overlap": "0s"}
    store = changing.remote.answer
    changing.remote.answer = lambda changes, _: [
        Deferred(key=each.key, reason="locked") if each.key[0] < 9 else Written(key=each.key) for each in changes
    ]
    assert counts(changing.sync())["deferred"] == 8
    with served.begin() as connection:
        connection.exec_driver_sql("INSERT INTO customer VALUES (99, 'last', clock_timestamp())")
    changing.sync()
    changing.remote.answer = store
    assert counts(changing.sync()) == {"read": 9, "written": 8, "unchanged": 1}
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}


KILLED = """
import os, signal, sys
from pathlib import Path
from contraflow.project import Project
from contraflow_hookspecs import *

class Remote:
    @hookimpl
    def provide_export_job(self):
        return ExportJob(
            name="shop_export",
            entity="customer",
            capabilities=Capabilities(idempotency=Idempotency.UPSERT, request_lifetime=0.0),
        )

    @hookimpl
    def process_item(self, item, context):
        return {"name": item.data["name"]}

    @hookimpl
    def write_items(self, items, context):
        with open("sent", "a") as file:
            file.writelines(f"{change.key[0]}\\n" for change in items)
        if any(change.key[0] == 5 for change in items):
            os.kill(os.getpid(), signal.SIGKILL)
        return [Written(key=change.key) for change in items]

project = Project.load(".")
project.plugins.register(Remote(), "remote", distribution="tests")
project.sync("acme", everything=len(sys.argv) > 1)
"""


def test_a_killed_run_goes_on_behind_the_last_settled_position(changing) -> None:
    with closing(sqlite3.connect(changing.directory / "shop.db")) as database, database:
        # The order of the cursor is the reverse of the key's, and the last three are tied.
        rows = [(moment(max(10 - n, 3)), n) for n in range(1, 11)]
        database.executemany("UPDATE customer SET updated = ? WHERE id = ?", rows)
    changing.parameters["batch_size"] = 2
    changing.write()
    life = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=changing.directory, check=False, capture_output=True, timeout=60
    )
    assert life.returncode == -signal.SIGKILL, life.stderr.decode()
    before = [int(line) for line in (changing.directory / "sent").read_text().split()]
    assert before == [7, 8, 9, 10, 6, 5]
    resumed: list[object] = []

    class Watch:
        @hookimpl(wrapper=True)
        def read_items(self, context):
            resumed.append(context.checkpoint)
            return (yield)

    changing.plugins["watch"] = Watch()
    with changing.project() as project:
        project.lease_lifetime = 0.2
        execution = project.sync("acme", wait=True)
    assert execution.status is BatchStatus.COMPLETED
    assert resumed[0] == ("customer.updated", moment(3), 10)
    after = sent(changing)
    assert after[:2] == [6, 5], "what was in doubt is sent again first"
    assert sorted(after[2:]) == [1, 2, 3, 4]
    assert counts(changing.sync()) == {"read": 1, "unchanged": 1}, "the cursor has come to the end"
