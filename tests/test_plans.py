"""Plans: what a run would do is seen beforehand, kept in a file, and done later as it was seen."""

from __future__ import annotations

import copy
import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contraflow.errors import ContraflowError, PlanError
from contraflow.plans.file import read_plan
from contraflow_hookspecs import (
    BatchStatus,
    Capabilities,
    Idempotency,
    ItemError,
    JobExecution,
    Rejected,
    Skip,
    SystemicError,
    Written,
    hookimpl,
)

ITEM = "key, status, generation, fingerprint, pending, remote_id, remote_version, digests, payload"


def rows(shop: Any, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
        return ledger.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()  # noqa: S608


def everything(shop: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All that the ledger holds."""
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: ledger.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608


def planned(shop: Any, *operations: str, **request: Any) -> list[tuple[str, Any, Any]]:
    """What a plan says: operation, key, and what of it."""
    with shop.project() as project, project.plan("acme", **request) as plan:
        return [
            (item.operation, item.key, item.reason or item.changed)
            for step in plan.steps
            for item in step.items(*(operations or ("create", "update", "delete", "rejected", "held", "deferred")))
        ]


def save(shop: Any, name: str = "plan.json", *, values: bool = False, **request: Any) -> Path:
    path = shop.directory / name
    with shop.project() as project, project.plan("acme", values=values, **request) as plan:
        plan.save(path, values=values)
    return path


def apply(shop: Any, path: Path | str, **options: Any) -> JobExecution:
    project = shop.project()
    with project:
        return project.apply(path, **options)


def counts(execution: JobExecution) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


# A plan writes nothing


def test_a_plan_of_a_first_run_makes_no_ledger_and_touches_no_remote(shop) -> None:
    opened = []
    before = sorted(shop.directory.iterdir())
    shop.write()
    files = {*before, shop.directory / "contraflow.yaml", shop.directory / "jobs.yml"}
    seen = []
    process = shop.remote.process
    shop.remote.process = lambda item, context: (
        seen.append((context.dry_run, context.resource, context.execution_id)) or process(item, context)
    )
    assert planned(shop) == [("create", (1,), None), ("create", (2,), None), ("create", (3,), None)]
    assert set(shop.directory.iterdir()) == files
    assert shop.remote.calls == opened == []
    assert seen == [(True, None, 0)] * 3


def test_a_plan_leaves_the_ledger_as_it_is_also_while_the_job_runs(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    held = everything(shop)

    def answer(changes: Any, _: Any) -> Any:
        assert planned(shop) == [("update", (1,), ("name",))], "a running job is no obstacle"
        return shop.remote.store(changes)

    assert planned(shop) == [("update", (1,), ("name",))]
    assert everything(shop) == held
    shop.remote.answer = answer
    assert counts(shop.sync()) == {"read": 3, "written": 1, "unchanged": 2, "updated": 1}


def test_a_plan_says_of_each_item_what_would_become_of_it(shop) -> None:
    def answer(changes: Any, _: Any) -> Any:
        fates = {
            2: lambda key: Rejected(key=key, code="422", reason="no"),
            3: lambda key: (_ for _ in ()).throw(AssertionError),
        }
        return [fates[c.key[0]](c.key) if c.key[0] == 2 else Written(key=c.key) for c in changes]

    shop.remote.answer = answer
    shop.sync()
    shop.sql(
        "UPDATE customer SET name = 'Anna' WHERE id = 1; INSERT INTO customer VALUES (4, 'Di', 'd'), (5, 'bad', '')"
    )

    def process(item: Any, _: Any) -> Any:
        if item.data["name"] == "bad":
            raise ItemError("no mail", code="no_email")
        return Skip(reason="not now") if item.data["name"] == "Cy" else dict(item.data)

    shop.remote.process = process
    assert planned(shop) == [
        ("update", (1,), ("name",)),
        ("rejected", (2,), "the remote has refused this very version"),
        ("create", (4,), None),
        ("rejected", (5,), "no_email: no mail"),
    ]
    with shop.project() as project, project.plan("acme") as plan:
        (step,) = plan.steps
        assert step.counts == {"create": 1, "update": 1, "delete": 0, "filtered": 1, "rejected": 2}
        assert plan.changes == 2


def test_old_and_new_values_are_shown_where_they_are_remembered_or_asked_for(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")

    def values(**request: Any) -> Any:
        with shop.project() as project, project.plan("acme", **request) as plan:
            return [item.values for item in plan.steps[0].items()]

    assert values() == [None]
    assert values(values=True) == [{"name": {"new": "Anna"}}]
    shop.parameters = {"remember": "payload"}
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anne' WHERE id = 1")
    assert values() == [{"name": {"old": "Anna", "new": "Anne"}}]


def test_what_is_deleted_by_id_is_planned_and_removed(shop) -> None:
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 2; UPDATE customer SET name = 'Cyd' WHERE id = 3")
    shop.reader, shop.parameters = "entity.by_id", {"missing": "delete"}
    assert planned(shop, ids=[1, 2, 3]) == [("delete", (2,), None), ("update", (3,), ("name",))]
    execution = apply(shop, save(shop, ids=[1, 2, 3]))
    assert counts(execution) == {"read": 2, "written": 2, "deleted": 1, "updated": 1}
    assert sorted(shop.remote.records) == [(1,), (3,)]


def test_a_tasklet_is_named_and_neither_run_by_a_plan_nor_when_it_is_applied(shop) -> None:
    ran = []

    class Tasklet:
        @hookimpl
        def run_step(self, context: Any) -> None:
            ran.append(context)

    shop.plugins["clean"] = Tasklet()
    services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
    shop.steps = {"customers": {"services": services}, "clean": {"services": {"tasklet": "clean"}}}
    with shop.project() as project, project.plan("acme") as plan:
        assert [step.note for step in plan.steps] == [None, "a tasklet, of which nobody knows what it does"]
    assert [step.step for step in apply(shop, save(shop)).steps] == ["customers"]
    assert ran == []


def test_a_plan_of_a_reader_of_changes_sees_what_changed_and_what_is_owed(shop) -> None:
    shop.sql("ALTER TABLE customer ADD COLUMN changed INTEGER; UPDATE customer SET changed = id")
    shop.reader, shop.parameters = "entity.changed", {"cursor": "changed", "overlap": 0}
    process = shop.remote.process

    def picky(item: Any, context: Any) -> Any:
        if item.key == (2,):
            raise ItemError("no mail", code="no_email")
        return process(item, context)

    shop.remote.process = picky
    shop.sync()
    shop.remote.process = process
    shop.sql(
        """
        UPDATE customer SET name = 'Cyd', changed = 9 WHERE id = 3;
        UPDATE customer SET name = 'unseen' WHERE id = 1;
        """
    )
    assert planned(shop) == [("create", (2,), None), ("update", (3,), ("changed", "name"))]
    held = rows(shop, "cf_stream")
    assert counts(apply(shop, save(shop))) == {"read": 2, "written": 2, "created": 1, "updated": 1}
    assert rows(shop, "cf_stream") == held, "an apply has not read all that changed"
    assert planned(shop) == []


def test_a_child_is_planned_when_its_parent_is_there(shop) -> None:
    services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
    shop.sql(
        """
        CREATE TABLE visit (id INTEGER PRIMARY KEY, customer_id INTEGER);
        INSERT INTO visit VALUES (1, 1), (2, 2);
        """
    )
    shop.config = {"entities": {"customer": {"table": "customer"}, "visit": {"table": "visit"}}}
    references = {"customer": {"step": "customers", "key": ["customer_id"]}}
    shop.steps = {
        "visits": {"services": dict(services), "parameters": {"entity": "visit", "references": references}},
        "customers": {"services": services, "parameters": {"entity": "customer"}},
    }
    shop.remote.process = lambda item, _: {**item.data, **item.parents}
    with shop.project() as project, project.plan("acme") as plan:
        assert {step.step: dict(step.counts) for step in plan.steps} == {
            "customers": {"create": 3, "update": 0, "delete": 0},
            "visits": {"create": 0, "update": 0, "delete": 0, "deferred": 2},
        }
    assert counts(apply(shop, save(shop))) == {"read": 3, "written": 3, "created": 3}
    path = save(shop)
    assert counts(apply(shop, path)) == {"read": 2, "written": 2, "created": 2}
    assert [change.payload["customer"] for change in shop.remote.sent[-2:]] == ["r1", "r2"]
    shop.sql("INSERT INTO customer VALUES (4, 'Di', NULL); UPDATE visit SET customer_id = 3 WHERE id = 1")
    path = save(shop)
    shop.sql("UPDATE visit SET customer_id = 4 WHERE id = 1")
    execution = apply(shop, path)
    assert counts(execution) == {"read": 2, "written": 1, "created": 1, "stale": 1}
    assert [error for step in execution.steps for error in step.errors] == ["1: stale: its content has changed since"]
    shop.sql("INSERT INTO customer VALUES (5, 'Ed', NULL); UPDATE visit SET customer_id = 3 WHERE id = 1")
    path = save(shop, steps=["visits"])
    shop.sql("UPDATE visit SET customer_id = 5 WHERE id = 1")
    execution = apply(shop, path)
    assert counts(execution) == {"read": 1, "stale": 1}
    assert "stale: it would have to wait now: " in execution.errors[0]


# Applied as it was planned


def twin(shop: Any, directory: Path) -> Any:
    """The same shop in another place: source, ledger and remote as they are now."""
    shutil.copytree(shop.directory, directory)
    other = copy.copy(shop)
    other.directory, other.opened = directory, []
    other.remote = copy.copy(shop.remote)
    other.remote.records, other.remote.calls = dict(shop.remote.records), []
    return other


def answering(remote: Any, refused: set[int]) -> None:
    def answer(changes: Any, _: Any) -> Any:
        taken = remote.store([change for change in changes if change.key[0] not in refused])
        return [*taken, *(Rejected(key=c.key, code="no", reason="no") for c in changes if c.key[0] in refused)]

    remote.answer = answer


KEYS = st.integers(1, 8)
EDITS = st.dictionaries(KEYS, st.sampled_from(["gone", "Ana", "Bo", "skip", "bad", ""]))


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    first=EDITS, second=EDITS, refused=st.sets(KEYS, max_size=2), remember=st.sampled_from(["payload", "fingerprint"])
)
def test_a_plan_that_is_applied_at_once_does_what_a_sync_does(shop_of, first, second, refused, remember) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = shop_of(Path(folder) / "one")
        shop.reader = "entity.by_id"
        shop.parameters = {"missing": "delete", "batch_size": 3, "remember": remember, "guards": {"deletes": "100%"}}
        shop.remote.process = process_by_name
        answering(shop.remote, refused)
        edit(shop, first)
        shop.sync(ids=list(range(1, 9)))
        edit(shop, second)
        other = twin(shop, Path(folder) / "two")
        answering(other.remote, refused)
        shop.remote.calls.clear()
        synced = shop.sync(ids=list(range(1, 9)))
        path = save(other, ids=list(range(1, 9)))
        assert read_plan(path).steps == read_plan(save(other, "again.json", ids=list(range(1, 9)))).steps
        assert digest(other) == digest(other)
        applied = apply(other, path)
        assert other.remote.records == shop.remote.records
        assert sorted(sent(other), key=repr) == sorted(sent(shop), key=repr)
        assert written_part(other, path) == written_part(shop, path)
        assert synced.status is applied.status is BatchStatus.COMPLETED
        assert applied.counts.get("stale", 0) == 0
        for project in (*shop.opened, *other.opened):
            project.close()


def process_by_name(item: Any, _: Any) -> Any:
    if item.data["name"] == "bad":
        raise ItemError("bad name")
    return Skip(reason="skipped") if item.data["name"] == "skip" else dict(item.data)


def edit(shop: Any, edits: dict[int, str]) -> None:
    for key, name in edits.items():
        shop.sql("DELETE FROM customer WHERE id = ?", [key])
        if name != "gone":
            shop.sql("INSERT INTO customer VALUES (?, ?, NULL)", [key, name])


def digest(shop: Any) -> str:
    with shop.project() as project, project.plan("acme", ids=list(range(1, 9))) as plan:
        return plan.digest


def sent(shop: Any) -> list[Any]:
    return [(c.key, c.operation, c.payload, c.changed, c.remote_id, c.idempotency_key) for c in shop.remote.sent]


def written_part(shop: Any, path: Path) -> list[Any]:
    """What the ledger knows of what the plan names: of the rest, a sync notes more (dead letters of the processor)."""
    keys = {key for entries in read_plan(path).steps.values() for key in entries}
    items, letters = rows(shop, "cf_item_state", ITEM), rows(shop, "cf_dead_letter", "key, code, reason")
    return [[row for row in table if row[0] in keys] for table in (items, letters)]


@pytest.fixture(scope="module")
def shop_of() -> Any:
    from importlib import util

    spec = util.spec_from_file_location("shops", Path(__file__).parent / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    shops = util.module_from_spec(spec)
    spec.loader.exec_module(shops)

    def make(directory: Path) -> Any:
        directory.mkdir(parents=True)
        made = shops.Shop(directory)
        made.sql("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
        return made

    return make


def test_composite_keys_and_force_come_through_a_file(shop) -> None:
    services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
    shop.steps = {"lines": {"services": services, "parameters": {"entity": "line"}}}
    shop.sync()
    shop.remote.calls.clear()
    assert planned(shop, "update", force=True) == [("update", key, ()) for key in (("A,1", 1), ("A,1", 2), ("B", 1))]
    execution = apply(shop, save(shop, force=True))
    assert [change.key for change in shop.remote.sent] == [("A,1", 1), ("A,1", 2), ("B", 1)]
    assert counts(execution) == {"read": 3, "written": 3, "updated": 3}


# What is stale


def test_what_is_stale_is_left_out_and_named_and_nothing_else_is_touched(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (4, 'Di', NULL), (5, 'Ed', NULL), (6, 'Fi', NULL), (7, 'Gus', NULL)")
    path = save(shop)
    shop.sql(
        """
        UPDATE customer SET name = 'Anna' WHERE id = 1;
        DELETE FROM customer WHERE id = 2;
        UPDATE customer SET name = 'bad' WHERE id = 4;
        UPDATE customer SET name = 'skip' WHERE id = 5;
        INSERT INTO customer VALUES (8, 'new', NULL);
        """
    )
    shop.remote.process = process_by_name
    shop.parameters = {"missing": "warn"}
    execution = apply(shop, path)
    assert execution.status is BatchStatus.COMPLETED
    assert sorted(shop.remote.records) == [(3,), (6,), (7,)]
    assert counts(execution) == {"read": 6, "written": 3, "created": 3, "stale": 3, "missing": 1}
    assert execution.errors == (
        "1: stale: its content has changed since",
        "4: stale: it would be rejected now: invalid: bad name",
        "5: stale: it would be filtered now",
        "2: stale: it is not read any more",
    )
    assert [key for (key,) in rows(shop, "cf_item_state", "key")] == ["[3]", "[6]", "[7]"]
    assert rows(shop, "cf_dead_letter") == []


def test_what_another_run_has_sent_meanwhile_is_stale(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = name || '!'")
    path = save(shop)
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.sync(ids=[1, 2])
    shop.sql("UPDATE customer SET name = 'Ana!' WHERE id = 1")
    execution = apply(shop, path)
    assert counts(execution) == {"read": 3, "written": 1, "updated": 1, "unchanged": 1, "stale": 1}
    assert execution.errors == ("1: stale: another run has sent it since",)
    assert [change.key for change in shop.remote.calls[-1]] == [(3,)]


def test_a_record_that_came_back_is_not_deleted_and_one_that_went_is_not_sent(shop) -> None:
    shop.sync()
    shop.reader, shop.parameters = "entity.by_id", {"missing": "delete"}
    shop.sql("DELETE FROM customer WHERE id = 1; UPDATE customer SET name = 'Bob' WHERE id = 2")
    path = save(shop, ids=[1, 2, 3])
    shop.sql("INSERT INTO customer VALUES (1, 'Ana', NULL); DELETE FROM customer WHERE id = 2")
    calls = len(shop.remote.calls)
    execution = apply(shop, path)
    assert counts(execution) == {"read": 2, "stale": 2}
    assert execution.errors == (
        "1: stale: it is in the source again",
        "2: stale: it is no longer in the source",
    )
    assert len(shop.remote.calls) == calls


# Once


def test_a_plan_is_applied_once(shop) -> None:
    path = save(shop)
    first = apply(shop, path)
    with pytest.raises(PlanError, match=f"was applied before, by execution {first.id}; make a new one"):
        apply(shop, path)
    assert len(shop.remote.calls) == 1
    assert len(rows(shop, "cf_job_execution")) == 1
    assert rows(shop, "cf_plan", "digest, execution_id") == [(read_plan(path).digest, first.id)]
    with shop.project() as project:
        empty = project.apply(save(shop, "empty.json"))
    assert (empty.status, counts(empty)) == (BatchStatus.COMPLETED, {})


def test_an_apply_that_broke_down_is_gone_on_with(shop) -> None:
    shop.parameters = {"batch_size": 1}
    path = save(shop)

    def answer(changes: Any, _: Any) -> Any:
        if changes[0].key == (2,):
            raise SystemicError("the credential has expired")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    assert apply(shop, path).status is BatchStatus.FAILED
    assert sorted(shop.remote.records) == [(1,)]
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = apply(shop, path)
    assert counts(again) == {"read": 3, "written": 2, "created": 2, "unchanged": 1}
    with pytest.raises(PlanError, match="was applied before"):
        apply(shop, path)


def test_what_was_left_in_doubt_is_settled_when_the_plan_is_gone_on_with(shop) -> None:
    path = save(shop)

    def lose(changes: Any, _: Any) -> Any:
        shop.remote.store(changes)
        raise ConnectionError("no answer")

    shop.remote.answer = lose
    apply(shop, path)
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = apply(shop, path)
    assert counts(again) == {"read": 3, "unchanged": 3, "recovered": 3}
    assert {row[0] for row in rows(shop, "cf_item_state", "status")} == {"written"}


# What is refused


def edited(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: edited(text, '"[2]"', '"[4]"'), "it was edited, or cut short"),
        (lambda text: edited(text, '"create"', '"delete"'), "it was edited, or cut short"),
        (lambda text: re.sub(r'"made": "....', '"made": "2999', text), "it was edited, or cut short"),
        (lambda text: edited(text, '"parameters": {}', '"parameters": {"batch_size": 1}'), "it was edited"),
        (lambda text: edited(text, '"generation":1', '"generation":"1"'), "it was edited, or cut short"),
        (lambda text: edited(text, ' "steps"', ' "more": 1,\n "steps"'), "it was edited, or cut short"),
        (lambda text: text[:-40], "it was edited, or cut short"),
        (lambda text: edited(text, "contraflow plan 1", "contraflow plan 2"), "has the format 'contraflow plan 2'"),
        (lambda text: '{"customers": []}', "is no plan: expected what `contraflow plan --out` writes"),
        (lambda text: "[" * 100_000, "is no plan"),
        (lambda text: "", "is no plan"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(shop, change, message) -> None:
    path = save(shop)
    path.write_text(change(path.read_text()))
    with pytest.raises(PlanError, match=re.escape(message)):
        apply(shop, path)
    assert shop.remote.calls == []
    assert not (shop.directory / "ledger.db").exists()


def test_a_file_may_be_laid_out_anew(shop) -> None:
    path = save(shop)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8, sort_keys=True))
    assert counts(apply(shop, path)) == {"read": 3, "written": 3, "created": 3}


def test_a_file_that_cannot_be_read_or_written_is_named(shop) -> None:
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        apply(shop, shop.directory / "none.json")
    (shop.directory / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="is no plan: it is not even text"):
        apply(shop, shop.directory / "bytes.json")
    with pytest.raises(PlanError, match=r"cannot be written to .*none.plan\.json: No such file"):
        save(shop, "none/plan.json")


def test_a_plan_of_something_else_is_refused(shop, tmp_path) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    path = save(shop)
    (shop.directory / "ledger.db").rename(tmp_path / "aside.db")
    with pytest.raises(PlanError, match="of another ledger"):
        apply(shop, path)
    shop.sync(ids=[1])
    with pytest.raises(PlanError, match="of another ledger"):
        apply(shop, path)
    (tmp_path / "aside.db").replace(shop.directory / "ledger.db")
    shop.config = {"integrations": {"acme": {"connector": "remote", "enabled": False}}}
    with pytest.raises(ContraflowError, match="'acme' is disabled"):
        apply(shop, path)
    shop.config = {"entities": {"customer": {"table": "line"}}}
    with pytest.raises(PlanError, match="of another project, or its entities"):
        apply(shop, path)
    shop.config = {"integrations": {"other": {"connector": "remote"}}}
    with pytest.raises(ContraflowError, match="no integration 'acme'"):
        apply(shop, path)


def test_a_plan_made_before_there_was_a_ledger_is_refused_when_there_is_one(shop) -> None:
    path = save(shop)
    shop.sync(ids=[1])
    with pytest.raises(PlanError, match="made when there was no ledger"):
        apply(shop, path)


def test_a_plan_removes_nothing_that_the_job_no_longer_removes(shop) -> None:
    shop.parameters = {"deletions": "delete"}
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 1")
    path = save(shop)
    shop.parameters = {"deletions": "ignore"}
    with pytest.raises(PlanError, match="what the job says of removals and conflicts have changed"):
        apply(shop, path)
    assert (1,) in shop.remote.records
    shop.parameters = {"deletions": "delete", "batch_size": 7}
    assert apply(shop, path).counts["deleted"] == 1


def test_an_old_plan_is_refused(shop) -> None:
    path = save(shop)
    project = shop.project()
    project._now = lambda: datetime.now(UTC) + timedelta(days=9)
    with project, pytest.raises(PlanError, match="the plan is 9 days old, and at most 7 days are allowed"):
        project.apply(path)
    project = shop.project()
    project._now = lambda: datetime.now(UTC) + timedelta(days=9)
    with project:
        assert counts(project.apply(path, max_age=timedelta(days=10))) == {"read": 3, "written": 3, "created": 3}


# Guards


def test_a_plan_tells_of_the_guards_and_a_guard_holds_also_when_it_is_applied(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = name || '!'")
    shop.parameters = {"guards": {"updates": 1}}
    with shop.project() as project, project.plan("acme") as plan:
        (step,) = plan.steps
        assert step.guard == "updates: 3 (1, 2, 3), 2 more than the limit of 1"
        approval = step.approval
    path = save(shop)
    stopped = apply(shop, path)
    assert stopped.exit_code == "GUARD"
    assert approval in stopped.exit_description
    assert counts(apply(shop, path, approve=[approval])) == {"read": 3, "written": 3, "updated": 3}


@pytest.mark.parametrize("way", ["sync", "apply", "guarded"])
def test_what_a_plan_of_deletions_names_releases_the_run_and_the_plan(shop, way: str) -> None:
    shop.remote.capabilities = Capabilities(delete=True, idempotency=Idempotency.UPSERT)
    shop.parameters = {"deletions": "delete"}
    if way == "guarded":  # everything is looked at before the first write then
        shop.parameters["guards"] = {"updates": 100}
    shop.sql("INSERT INTO customer VALUES (?, 'Di', NULL)", *[(number,) for number in range(4, 13)])
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id > 3; UPDATE customer SET name = 'Anna' WHERE id = 1")
    path = save(shop)
    with shop.project() as project, project.plan("acme") as plan:
        approval = plan.steps[0].approval
    execution = apply(shop, path, approve=[approval]) if way == "apply" else shop.sync(approve=[approval])
    assert execution.status is BatchStatus.COMPLETED
    assert (execution.counts["deleted"], execution.counts["updated"]) == (9, 1)


# Secrets


def test_no_secret_gets_into_a_plan_or_a_file(shop, monkeypatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "hunter2!")
    shop.config = {"entities": {"customer": {"table": "customer"}}, "source": "sqlite:///shop.db?token=${SHOP_SECRET}"}
    shop.parameters = {"remember": "payload"}
    project = shop.project()
    with project:
        project.redact.add(["hunter2!", "4711"])
        shop.sql("INSERT INTO customer VALUES (4711, 'Di', 'hunter2!'), (5, 'bad', 'hunter2!')")

        def process(item: Any, _: Any) -> Any:
            if item.data["name"] == "bad":
                raise ItemError("what is hunter2! to do here")
            return dict(item.data)

        shop.remote.process = process
        path = shop.directory / "plan.json"
        shop.config = {}
        with project.plan("acme", values=True) as plan:
            assert plan.save(path, values=True) == 1
            shown = repr(list(plan.steps[0].items("create", "rejected")))
        assert "hunter2!" not in shown
        text = path.read_text()
        assert "hunter2!" not in text
        assert "4711" not in text
        with project.plan("acme", parameters={"greeting": "x"}) as plan:
            object.__setattr__(plan, "parameters", {"greeting": ["hunter2!"]})
            with pytest.raises(PlanError, match="a parameter of the run holds a secret"):
                plan.save(path)
    assert path.read_text() == text
    assert [each.name for each in shop.directory.iterdir() if each.name.startswith("tmp")] == []
