"""Guards stop a run before it does more than it may, and an approval releases that and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.engine.limits import approval_named
from contraflow.engine.spool import Planned, Spool
from contraflow.errors import ConfigError, Location
from contraflow.guards import Guards, Limit, read_guards
from contraflow_hookspecs import BatchStatus, Item, JobExecution, Operation, SystemicError, hookimpl


def approval(execution: JobExecution) -> str:
    found = approval_named(execution.exit_description)
    assert found, execution.exit_description
    return found


def rows(shop: Any, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
        return ledger.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


def is_guarded(execution: JobExecution) -> bool:
    return execution.status is BatchStatus.FAILED and execution.exit_code == "GUARD"


def test_too_many_creates_stop_the_run_before_the_first_write(shop) -> None:
    shop.parameters = {"guards": {"creates": 2}}
    execution = shop.sync()
    assert is_guarded(execution)
    assert "creates: 3 (1, 2, 3), 1 more than the limit of 2" in execution.exit_description
    assert "before the first write of step 'customers'" in execution.exit_description
    assert shop.remote.calls == []
    assert rows(shop, "cf_item_state") == rows(shop, "cf_intent") == rows(shop, "cf_approval") == []


def test_as_many_as_the_limit_are_let_through(shop) -> None:
    shop.parameters = {"guards": {"creates": 3}}
    assert shop.sync().status is BatchStatus.COMPLETED
    assert len(shop.remote.sent) == 3


def test_too_many_updates_leave_remote_and_ledger_as_they_were(shop) -> None:
    shop.sync()
    before, held = rows(shop, "cf_item_state"), dict(shop.remote.records)
    shop.sql("UPDATE customer SET name = name || '!'; INSERT INTO customer VALUES (4, 'Di', NULL)")
    shop.parameters = {"guards": {"updates": "50%"}}
    execution = shop.sync()
    assert is_guarded(execution)
    assert "updates: 3 (1, 2, 3), 2 more than the limit of 1, 50 % of 3 known records" in execution.exit_description
    assert rows(shop, "cf_item_state") == before
    assert shop.remote.records == held
    with shop.project() as project:
        (latest, *_) = project.executions()
    assert (latest.status, latest.exit_code, latest.steps[0].exit_code) == (BatchStatus.FAILED, "GUARD", "GUARD")


def test_a_share_of_creates_means_nothing_as_long_as_nothing_is_known(shop) -> None:
    shop.parameters = {"guards": {"creates": "10%"}}
    assert shop.sync().status is BatchStatus.COMPLETED
    shop.sql("INSERT INTO customer VALUES (4, 'Di', NULL)")
    assert is_guarded(shop.sync())


def test_an_approval_releases_just_what_was_stopped(shop) -> None:
    shop.parameters = {"guards": {"creates": 2}}
    digest = approval(shop.sync())
    assert digest == approval(shop.sync()), "asking twice is answered alike"
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    changed = shop.sync(approve=[digest])
    assert is_guarded(changed)
    assert "what was approved is not what would be done now" in changed.exit_description
    assert shop.remote.calls == []
    execution = shop.sync(approve=[digest, approval(changed)])
    assert execution.status is BatchStatus.COMPLETED
    assert len(shop.remote.records) == 3
    ((_, _, recorded, number, moment),) = rows(shop, "cf_approval")
    assert (recorded, number) == (approval(changed), execution.id)
    assert moment


def test_an_approval_is_good_once(shop) -> None:
    """The same again, after everything was deleted by hand and forgotten, needs another approval."""
    shop.parameters = {"guards": {"creates": 2}}
    digest = approval(shop.sync())
    assert shop.sync(approve=[digest]).status is BatchStatus.COMPLETED
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM cf_item_state")
    again = shop.sync(approve=[digest])
    assert is_guarded(again)
    assert approval(again) != digest
    assert shop.sync(approve=[approval(again)]).status is BatchStatus.COMPLETED


def test_an_approved_run_that_could_not_begin_can_be_approved_again(shop) -> None:
    def refuse(changes: Any, _: Any) -> Any:
        raise SystemicError("the credential has expired")

    shop.parameters = {"guards": {"creates": 2}}
    shop.remote.answer = refuse
    digest = approval(shop.sync())
    assert shop.sync(approve=[digest]).exit_code != "GUARD"
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    again = shop.sync(approve=[digest])
    assert is_guarded(again)
    assert shop.sync(approve=[approval(again)]).status is BatchStatus.COMPLETED
    assert len(shop.remote.records) == 3


def test_an_approval_is_for_one_integration_and_one_ledger(shop) -> None:
    shop.config = {"integrations": {"acme": {"connector": "remote"}, "other": {"connector": "remote"}}}
    shop.parameters = {"guards": {"creates": 2}}
    digest = approval(shop.sync())
    assert is_guarded(shop.sync("other", approve=[digest]))
    (shop.directory / "ledger.db").unlink()
    assert is_guarded(shop.sync(approve=[digest]))
    assert shop.remote.calls == []


def test_what_is_in_doubt_is_not_sent_before_the_guards_were_asked(shop) -> None:
    def lose(changes: Any, _: Any) -> Any:
        shop.remote.store(changes)
        raise ConnectionError("no answer")

    shop.remote.answer = lose
    shop.sync()
    calls = len(shop.remote.calls)
    shop.sql("INSERT INTO customer VALUES (4, 'Di', NULL), (5, 'Ed', NULL)")
    shop.parameters = {"guards": {"creates": 1}}
    assert is_guarded(shop.sync())
    assert len(shop.remote.calls) == calls


@pytest.mark.parametrize("remember", ["fingerprint", "payload"])
@pytest.mark.parametrize(
    ("emptied", "passed"),
    [
        (2, None),
        (1, "field 'email' emptied: 2 (1, 3), 1 more than the limit of 1."),
        ("40%", "field 'email' emptied: 2 (1, 3), 1 more than the limit of 1, 40 % of 3 known records."),
        ({"email": 1}, "field 'email' emptied: 2 (1, 3), 1 more than the limit of 1."),
        ({"name": 0}, None),
    ],
)
def test_a_field_that_becomes_empty_in_many_records_stops_the_run(shop, emptied, passed, remember) -> None:
    shop.parameters = {"remember": remember}
    shop.sync()
    shop.sql("UPDATE customer SET email = '', name = name || '!'")
    shop.parameters = {"guards": {"emptied": emptied}, "remember": remember}
    execution = shop.sync()
    assert is_guarded(execution) is (passed is not None)
    assert passed is None or passed in execution.exit_description


@pytest.mark.parametrize("value", [None, "", [], {}, set(), "missing"])
def test_empty_is_what_holds_nothing_whatever_its_type(shop, value) -> None:
    shop.sync()
    process = shop.remote.process
    shop.remote.process = lambda item, context: {**process(item, context), "email": value}
    if value == "missing":
        shop.remote.process = lambda item, context: {"id": item.key[0], "name": item.data["name"]}
    shop.parameters = {"guards": {"emptied": 0}}
    assert "field 'email' emptied: 2 (1, 3), 2 more" in shop.sync().exit_description


_MISSPELT = (
    "guards.emptied limits the field 'emial', which no payload of this run has "
    "(did you mean 'email'?): it guards nothing"
)


def test_a_guarded_field_that_no_payload_has_is_named_with_what_may_be_meant(shop) -> None:
    shop.parameters = {"guards": {"emptied": {"emial": 0, "name": 0}}}
    with shop.project() as project, project.plan("acme") as plan:
        assert plan.steps[0].note == _MISSPELT
    assert shop.sync().notes == (_MISSPELT,)
    with shop.project() as project:
        (latest,) = project.executions()
    assert latest.notes == (_MISSPELT,)


def test_a_guarded_field_that_no_payload_has_is_named_also_if_another_limit_stops_the_run(shop) -> None:
    shop.parameters = {"guards": {"creates": 1, "emptied": {"emial": 0, "name": 0}}}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.notes == (_MISSPELT,)


def test_a_guarded_field_that_is_nowhere_near_is_named_too(shop) -> None:
    shop.parameters = {"guards": {"emptied": {"vat": 0}}}
    (note,) = shop.sync().notes
    assert note == "guards.emptied limits the field 'vat', which no payload of this run has: it guards nothing"


def test_a_guarded_field_that_vanishes_from_all_payloads_is_counted_and_not_called_misspelt(shop) -> None:
    shop.sync()
    shop.remote.process = lambda item, _: {"id": item.key[0], "name": item.data["name"]}
    shop.parameters = {"guards": {"emptied": {"email": "100%"}}}
    execution = shop.sync()
    assert (execution.status, execution.notes) == (BatchStatus.COMPLETED, ())


@pytest.mark.parametrize("whole", [True, False])
def test_of_guarded_fields_nothing_is_said_by_a_run_that_saw_no_payload_or_not_all(shop, whole) -> None:
    shop.parameters = {"guards": {"emptied": {"emial": 0}}}
    if whole:
        shop.sql("DELETE FROM customer")
    else:
        shop.reader = "entity.by_id"
    assert shop.sync(**({} if whole else {"ids": [1]})).notes == ()


def many(shop: Any, number: int) -> None:
    shop.sql("DELETE FROM customer")
    shop.sql("INSERT INTO customer VALUES (?, ?, NULL)", *[(each, f"c{each}") for each in range(1, number + 1)])


@pytest.mark.parametrize(
    ("guards", "gone", "stopped"),
    [
        ({}, 3, False),
        ({}, 4, True),
        ({"deletes": "100%"}, 10, False),
        ({"deletes": 0}, 1, True),
        ({"deletes": 4}, 4, False),
        ({"deletes": "12.5%"}, 2, True),
        ({"creates": 0}, 4, True),
    ],
)
def test_deletions_by_id_have_a_limit_unless_it_is_lifted(shop, guards, gone, stopped) -> None:
    many(shop, 10)
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id <= ?", [gone])
    shop.reader, shop.parameters = "entity.by_id", {"missing": "delete", "guards": guards}
    execution = shop.sync(ids=range(1, 11))
    assert is_guarded(execution) is stopped
    assert len(shop.remote.records) == (10 if stopped else 10 - gone)
    if stopped:
        assert f"deletes: {gone} (" in execution.exit_description
        assert shop.sync(ids=range(1, 11), approve=[approval(execution)]).status is BatchStatus.COMPLETED
        assert len(shop.remote.records) == 10 - gone


def test_deletions_of_a_reader_of_somebody_else_are_counted_before_the_first_write(shop) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context: Any) -> Any:
            yield from (Item(key=(number,), operation=Operation.DELETE) for number in (1, 2))
            yield Item(key=(3,), entity={"id": 3})

    shop.remote.process = lambda item, _: {"id": item.key[0]}
    shop.sync()
    shop.plugins["gone"], shop.reader = Reader(), "gone"
    shop.parameters = {"guards": {"deletes": 1}}
    calls = len(shop.remote.calls)
    assert "deletes: 2 (1, 2), 1 more than the limit of 1" in shop.sync().exit_description
    assert len(shop.remote.calls) == calls
    shop.parameters = {"guards": {"deletes": 2}}
    assert shop.sync().counts["deleted"] == 2


def test_of_few_records_any_may_be_deleted_where_no_limit_is_set(shop) -> None:
    shop.sync()
    shop.sql("DELETE FROM customer")
    shop.reader, shop.parameters = "entity.by_id", {"missing": "delete"}
    assert shop.sync(ids=[1, 2, 3]).status is BatchStatus.COMPLETED
    assert shop.remote.records == {}


def test_a_rehearsal_tells_no_observer_and_says_that_it_is_one(shop) -> None:
    seen = []
    process = shop.remote.process
    shop.remote.process = lambda item, context: seen.append(context.dry_run) or process(item, context)
    shop.parameters = {"guards": {"creates": 3}}
    shop.sync()
    assert seen == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("written", "found", "expected", "hint"),
    [
        ({"deletes": "101%"}, "'101%'", "a percentage from 0% to 100%", None),
        ({"deletes": "-1%"}, "'-1%'", "a whole number from 0 on, or a share of the known records such as 10%", None),
        ({"creates": -1}, "-1", "a whole number from 0 on, or a share of the known records such as 10%", None),
        ({"creates": 1.5}, "1.5", "a whole number from 0 on, or a share of the known records such as 10%", None),
        ({"creates": True}, "True", "a whole number from 0 on, or a share of the known records such as 10%", None),
        ({"updates": "many"}, "'many'", "a whole number from 0 on, or a share of the known records such as 10%", None),
        ({"delete": 3}, "'delete'", "one of creates, updates, deletes, emptied", "did you mean 'deletes'?"),
        (10, "10", "a mapping of limits: creates, updates, deletes, emptied", None),
        ({"emptied": {"email": "200%"}}, "'200%'", "a percentage from 0% to 100%", None),
    ],
)
def test_what_cannot_be_a_guard_is_refused_where_it_stands(shop, written, found, expected, hint) -> None:
    shop.parameters = {"guards": written}
    with shop.project() as project, pytest.raises(ConfigError) as caught:
        project.assemble(project.integration("acme"), "shop_export")
    (problem,) = caught.value.problems
    assert (problem.found, problem.expected, problem.hint) == (found, expected, hint)
    assert str(problem.location.file).endswith("jobs.yml")
    assert problem.location.line
    assert "guards" in problem.location.path


def test_an_approval_that_is_none_is_refused_before_anything_is_recorded(shop) -> None:
    with pytest.raises(ConfigError, match="an approval that is none"):
        shop.sync(approve=["yes"])
    assert not (shop.directory / "ledger.db").exists()


@given(percent=st.integers(0, 100), known=st.integers(0, 10**9))
def test_a_share_is_rounded_down_and_never_by_a_float(percent: int, known: int) -> None:
    problems: list[Any] = []
    guards = read_guards({"deletes": f"{percent}%"}, Location(), problems.append)
    assert not problems
    assert guards.deletes is not None
    assert guards.deletes.most(known) == percent * known // 100


def test_no_guards_are_no_limits() -> None:
    assert read_guards(None, Location(), pytest.fail) == Guards()
    assert read_guards({"creates": None, "updates": "7"}, Location(), pytest.fail) == Guards(updates=Limit(number=7))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)))
def test_a_spool_gives_back_each_key_once_and_in_order(keys: list[str]) -> None:
    with Spool() as spool:
        spool.add(Planned(key, "create", "f") for key in keys)
        assert [each.key for each in spool.entries("create")] == sorted(set(keys), key=str.encode)
        assert spool.count("create") == len(set(keys))
