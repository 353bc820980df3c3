"""Records that somebody edited at the remote: kept, taken, or asked about, and never overwritten unseen."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from contraflow.errors import ConfigError
from contraflow_hookspecs import (
    Change,
    Conflict,
    ExportJob,
    Gone,
    Idempotency,
    Item,
    RemoteItem,
    StepContext,
    TransientError,
    Unknown,
    hookimpl,
)


@pytest.fixture
def shop(editable_shop: Any) -> Any:
    editable_shop.sync()
    editable_shop.remote.calls.clear()
    editable_shop.sql("DELETE FROM customer WHERE id > 1")
    return editable_shop


def edit(shop: Any, **fields: Any) -> None:
    """Somebody changes the record at the remote."""
    shop.remote.records[(1,)].update(fields)


def change(shop: Any, **fields: Any) -> None:
    """Somebody changes the entity."""
    names = ", ".join(f"{name} = ?" for name in fields)
    shop.sql(f"UPDATE customer SET {names} WHERE id = 1", tuple(fields.values()))  # noqa: S608 - column names


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number and name != "read"}


def record(shop: Any) -> dict[str, Any]:
    return {name: value for name, value in shop.remote.records[(1,)].items() if name != "id"}


def ledger(shop: Any, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as connection:
        return connection.execute(query).fetchall()


REMEMBER = pytest.mark.parametrize("remember", ["fingerprint", "payload"])


def test_without_a_policy_nobody_is_asked(shop):
    edit(shop, email="theirs")
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"written": 1, "updated": 1}
    assert record(shop) == {"name": "Anna", "email": "ana@example.org"}
    assert shop.remote.asked == []


@REMEMBER
@pytest.mark.parametrize(
    ("policy", "result", "changed"),
    [
        ("local", {"name": "Anna", "email": "ours"}, {"name", "email"}),
        ("remote", {"name": "Anna", "email": "theirs"}, {"name"}),
        ({"default": "merge", "fallback": "remote"}, {"name": "Anna", "email": "theirs"}, {"name"}),
        ({"default": "merge", "fallback": "local"}, {"name": "Anna", "email": "ours"}, {"name", "email"}),
        ({"default": "local", "fields": {"email": "remote"}}, {"name": "Anna", "email": "theirs"}, {"name"}),
        ({"default": "remote", "fields": {"email": "local"}}, {"name": "Anna", "email": "ours"}, {"name", "email"}),
    ],
)
def test_what_a_policy_makes_of_a_conflict(shop, remember, policy, result, changed):
    shop.parameters |= {"remember": remember, "conflicts": policy}
    shop.sync()
    edit(shop, email="theirs")
    change(shop, name="Anna", email="ours")
    assert shop.sync().counts["written"] == 1
    assert record(shop) == result
    (sent,) = shop.remote.sent
    assert sent.changed == changed
    shop.remote.calls.clear()
    assert counts(shop.sync()) == {"unchanged": 1}
    assert shop.remote.calls == []


@REMEMBER
def test_what_was_left_to_the_remote_stays_there_and_is_told_once(shop, remember):
    shop.parameters |= {"remember": remember, "conflicts": "remote"}
    shop.sync()
    edit(shop, email="theirs")
    change(shop, email="ours")
    assert counts(shop.sync()) == {"unchanged": 1, "foreign": 1}
    assert shop.remote.calls == []
    assert counts(shop.sync()) == {"unchanged": 1}
    # Another field of ours changes: theirs is still theirs, and no edit any more.
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"written": 1, "updated": 1}
    assert record(shop) == {"name": "Anna", "email": "theirs"}
    assert shop.remote.sent[-1].payload == {"id": 1, "name": "Anna", "email": "theirs"}
    if remember == "payload":
        assert shop.remote.sent[-1].previous == {"id": 1, "name": "Ana", "email": "theirs"}
    # Now we change that very field, and they have not meanwhile.
    change(shop, email="ours again")
    assert counts(shop.sync()) == {"written": 1, "updated": 1}
    assert record(shop) == {"name": "Anna", "email": "ours again"}
    assert ledger(shop, "SELECT kept FROM cf_item_state WHERE key = '[1]'") == [(None,)]


def test_what_was_left_to_the_remote_and_is_edited_there_again_is_an_edit(shop):
    shop.parameters["conflicts"] = "remote"
    edit(shop, email="theirs")
    change(shop, email="ours")
    shop.sync()
    edit(shop, email="theirs again")
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"written": 1, "updated": 1, "foreign": 1}
    assert record(shop) == {"name": "Anna", "email": "theirs again"}


def test_what_was_left_to_the_remote_survives_a_crash(shop):
    """The intent remembers whose values the payload holds."""
    shop.parameters["conflicts"] = "remote"
    edit(shop, email="theirs")
    change(shop, name="Anna")

    def lost(changes: Sequence[Change], _: object) -> Any:
        shop.remote.store(changes)
        raise KeyboardInterrupt

    shop.remote.answer = lost
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sync()
    change(shop, name="Anne")
    assert counts(shop.sync()) == {"written": 1, "updated": 1}
    assert record(shop) == {"name": "Anne", "email": "theirs"}


def test_an_unedited_record_is_no_conflict(shop):
    shop.parameters["conflicts"] = "ask"
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"written": 1, "updated": 1}
    assert shop.remote.asked == [(1,)]
    assert shop.remote.sent[-1].changed == {"name"}


def test_both_made_the_same_change(shop):
    shop.parameters["conflicts"] = "ask"
    edit(shop, name="Anna")
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"unchanged": 1, "foreign": 1}
    assert shop.remote.calls == []
    assert counts(shop.sync()) == {"unchanged": 1}


def test_a_new_record_is_not_asked_for(shop):
    shop.parameters["conflicts"] = "ask"
    shop.sql("INSERT INTO customer VALUES (9, 'Di', NULL)")
    shop.sync()
    assert shop.remote.asked == []


def test_a_field_that_the_remote_does_not_tell_is_not_compared(shop):
    shop.parameters["conflicts"] = "remote"
    shop.remote.hidden = {"email"}
    edit(shop, email="theirs", name="Eve")
    change(shop, email="ours")
    assert counts(shop.sync()) == {"written": 1, "updated": 1, "foreign": 1}
    assert record(shop) == {"name": "Eve", "email": "ours"}
    assert shop.remote.sent[-1].changed == {"email"}


def test_a_field_that_was_never_sent_is_theirs_if_there_is_something_in_it(shop):
    shop.parameters["conflicts"] = "remote"
    shop.remote.process = lambda item, _: {**item.data, "phone": "1", "fax": "2"}
    edit(shop, phone="555", fax=None)
    assert counts(shop.sync()) == {"written": 1, "updated": 1, "foreign": 1}
    assert record(shop) == {"name": "Ana", "email": "ana@example.org", "phone": "555", "fax": "2"}


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance", "result"),
    [
        ("2024-01-01 12:00:09", 5, 0, "ours"),
        ("2024-01-01 12:00:01", 5, 0, "theirs"),
        ("2024-01-01 12:00:05", 5, 0, None),
        ("2024-01-01 12:00:09", 5, 4, None),
        ("2024-01-01T14:00:09+02:00", 5, 3, "ours"),
        ("never", 5, 0, None),
        ("2024-01-01 12:00:09", None, 0, None),
    ],
)
def test_newest(shop, ours, theirs, tolerance, result):
    shop.sql("ALTER TABLE customer ADD COLUMN changed TEXT")
    shop.remote.process = lambda item, _: {name: item.data[name] for name in ("id", "name", "email")}
    shop.parameters |= {
        "conflicts": {"default": "newest", "tolerance": tolerance},
        "modified_column": "changed",
    }
    if theirs is not None:
        shop.remote.modified[(1,)] = datetime(2024, 1, 1, 12, 0, theirs, tzinfo=UTC)
    edit(shop, email="theirs")
    change(shop, email="ours", changed=ours)
    execution = shop.sync()
    assert record(shop)["email"] == (result or "theirs")
    assert execution.counts.get("conflict", 0) == (result is None)


def test_a_moment_without_zone_is_one_in_utc(shop):
    """The contract wants an aware one; a connector that forgets that stops no run."""
    shop.sql("ALTER TABLE customer ADD COLUMN changed TEXT")
    shop.remote.process = lambda item, _: {name: item.data[name] for name in ("id", "name", "email")}
    shop.parameters |= {"conflicts": "newest", "modified_column": "changed"}
    shop.remote.modified[(1,)] = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - on purpose
    edit(shop, email="theirs")
    change(shop, email="ours", changed="2024-01-01T13:00:00+00:00")
    shop.sync()
    assert record(shop)["email"] == "ours"


def test_newest_without_such_a_column_says_so(shop):
    shop.parameters |= {"conflicts": "newest", "modified_column": "nam"}
    execution = shop.sync()
    assert execution.exit_code == "FAILED"
    assert "has no attribute 'nam'" in execution.exit_description
    assert "did you mean 'name'?" in execution.exit_description


@REMEMBER
def test_what_a_person_has_to_decide_waits_in_the_review_list(shop, remember):
    shop.parameters |= {"remember": remember, "conflicts": "ask"}
    shop.sync()
    edit(shop, email="theirs")
    change(shop, name="Anna", email="ours")
    execution = shop.sync()
    assert counts(execution) == {"conflict": 1, "foreign": 1}
    assert execution.errors == ("1: conflict: changed at the remote by somebody else: email",)
    assert record(shop) == {"name": "Ana", "email": "theirs"}
    with shop.project() as project:
        (conflict,) = project.ledger().conflicts()
    assert (conflict.key, conflict.fields, conflict.execution_id) == ((1,), ["email"], execution.id)
    assert json.loads(conflict.local or "")["email"] == "ours"
    assert json.loads(conflict.remote)["email"] == "theirs"
    assert (conflict.base is None) == (remember == "fingerprint")
    again = shop.sync()
    assert counts(again) == {"conflict": 1, "foreign": 1}
    with shop.project() as project:
        assert project.ledger().conflicts() == [conflict]


@pytest.mark.parametrize(
    ("sides", "result"),
    [
        ({"": "local"}, {"name": "Anna", "email": "ours"}),
        ({"": "remote"}, {"name": "Anna", "email": "theirs"}),
        ({"email": "local"}, {"name": "Anna", "email": "ours"}),
    ],
)
def test_a_decision_is_carried_out_and_nothing_is_left_of_it(shop, sides, result):
    shop.parameters["conflicts"] = "ask"
    edit(shop, email="theirs")
    change(shop, name="Anna", email="ours")
    shop.sync()
    with shop.project() as project:
        (conflict,) = project.ledger().conflicts()
        assert project.ledger().decide_conflict(conflict, sides)
    assert shop.sync().counts["written"] == 1
    assert record(shop) == result
    assert ledger(shop, "SELECT * FROM cf_conflict") == []
    shop.remote.calls.clear()
    assert counts(shop.sync()) == {"unchanged": 1}
    assert shop.remote.calls == []


def test_a_decision_about_what_has_changed_since_is_asked_for_again(shop):
    shop.parameters["conflicts"] = "ask"
    edit(shop, email="theirs")
    change(shop, email="ours")
    shop.sync()
    with shop.project() as project:
        (conflict,) = project.ledger().conflicts()
        project.ledger().decide_conflict(conflict, {"": "local"})
    edit(shop, email="theirs again")
    assert counts(shop.sync()) == {"conflict": 1, "foreign": 1}
    with shop.project() as project:
        (again,) = project.ledger().conflicts()
        assert (again.id, again.decision) == (conflict.id, None)
        assert not project.ledger().decide_conflict(conflict, {"": "local"})
    assert record(shop)["email"] == "theirs again"


@pytest.mark.parametrize("way", ["remote turns back", "we turn back", "they agree", "policy"])
def test_a_conflict_may_settle_itself(shop, way):
    shop.parameters["conflicts"] = "ask"
    edit(shop, email="theirs")
    change(shop, email="ours")
    shop.sync()
    if way == "remote turns back":
        edit(shop, email="ana@example.org")
    elif way == "we turn back":
        change(shop, email="ana@example.org")
    elif way == "they agree":
        edit(shop, email="ours")
    else:
        shop.parameters["conflicts"] = "local"
    assert "conflict" not in counts(shop.sync())
    assert ledger(shop, "SELECT * FROM cf_conflict") == []
    assert ledger(shop, "SELECT status FROM cf_item_state WHERE key = '[1]'") == [("written",)]
    assert record(shop)["email"] == ("theirs" if way == "we turn back" else "ours")


def test_an_unread_record_is_not_overwritten(shop):
    shop.parameters |= {"conflicts": "remote", "attempts": 1}
    shop.remote.fetch = lambda items: []
    edit(shop, email="theirs")
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"deferred": 1}
    assert record(shop) == {"name": "Ana", "email": "theirs"}
    shop.remote.fetch = shop.remote.found
    assert shop.sync().counts["written"] == 1
    assert record(shop) == {"name": "Anna", "email": "theirs"}


def test_a_record_that_is_gone_is_not_made_again(shop):
    shop.parameters["conflicts"] = "remote"
    del shop.remote.records[(1,)]
    change(shop, name="Anna")
    shop.sync()
    assert shop.remote.calls == []
    assert (1,) not in shop.remote.records


def test_a_remote_that_is_away_is_asked_again(shop):
    shop.parameters |= {"conflicts": "remote", "attempts": 3}
    answers = iter([TransientError("away"), TransientError("away")])

    def fetch(items: Sequence[Change]) -> Any:
        error = next(answers, None)
        if error is not None:
            raise error
        return shop.remote.found(items)

    shop.remote.fetch = fetch
    change(shop, name="Anna")
    assert shop.sync().counts["written"] == 1
    answers = iter([TransientError("away")] * 3)
    change(shop, name="Anne")
    execution = shop.sync()
    assert execution.exit_code == "UNAVAILABLE"
    assert record(shop)["name"] == "Anna"
    assert shop.sync().counts["written"] == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "None (a forgotten `return`?)"),
        ([1], "an object of type int"),
        ([Gone(key=(7,))], "which was not asked for"),
        ([Gone(key=(1,)), Gone(key=(1,))], "two records for"),
        ([RemoteItem(key=(1,), payload={"name": object()})], "field 'name' has a value of the unknown type"),
    ],
)
def test_an_answer_that_is_none(shop, answer, said):
    shop.parameters["conflicts"] = "remote"
    shop.remote.fetch = lambda items: answer
    change(shop, name="Anna")
    execution = shop.sync()
    assert execution.exit_code == "FAILED"
    assert said in execution.exit_description
    assert shop.remote.calls == []


@pytest.mark.parametrize(("pause", "said"), [("10", "type str"), (float("nan"), "nan")])
def test_a_pause_that_is_none_is_named_as_the_broken_contract_it_is(shop, pause, said):
    def fetch(items: Sequence[Change]) -> Any:
        raise TransientError("busy", retry_after=pause)

    shop.parameters["conflicts"] = "remote"
    shop.remote.fetch = fetch
    change(shop, name="Anna")
    execution = shop.sync()
    assert execution.exit_code == "FAILED"
    told = f"fetch_items: found TransientError with a retry_after of {said}; expected seconds, or None"
    assert told in execution.exit_description
    assert shop.remote.calls == []


def test_force_sends_all_the_same_and_overwrites_no_more(shop):
    shop.parameters["conflicts"] = "remote"
    edit(shop, email="theirs")
    assert shop.sync(force=True).counts["written"] == 1
    assert record(shop) == {"name": "Ana", "email": "theirs"}
    assert shop.remote.sent[-1].changed == set()


@pytest.mark.parametrize("policy", ["local", {"default": "local", "fallback": "remote", "fields": {"email": "local"}}])
def test_where_ours_holds_in_any_case_nobody_looks(shop, policy):
    shop.parameters["conflicts"] = policy
    change(shop, name="Anna")
    shop.sync()
    assert shop.remote.asked == []


# The remote refuses our version


@pytest.mark.parametrize(
    ("policy", "result"),
    [
        ("local", {"name": "Anna", "email": "ours"}),
        ("remote", {"name": "Anna", "email": "theirs"}),
        ("ask", {"name": "Ana", "email": "theirs"}),
    ],
)
def test_a_refused_version_goes_through_the_policy_within_the_run(shop, policy, result):
    """Somebody edits the record between our look and our write."""
    shop.parameters["conflicts"] = policy
    looked = shop.remote.found
    edits = iter([{"email": "theirs"}])

    def edited_meanwhile(items: Sequence[Change]) -> Any:
        found = looked(items)
        edit(shop, **next(edits, {}))
        return found

    if policy == "local":  # which does not look
        edit(shop, **next(edits))
    shop.remote.answer = shop.remote.guarded
    shop.remote.fetch = edited_meanwhile
    change(shop, name="Anna", email="ours")
    execution = shop.sync()
    assert record(shop) == result
    assert counts(execution) == (
        {"conflict": 1, "foreign": 1} if policy == "ask" else {"written": 1, "updated": 1, "foreign": 1}
    )
    keys = [each.idempotency_key for each in shop.remote.sent]
    assert len(set(keys)) == len(keys)


def test_without_a_policy_a_refused_version_is_rejected(shop):
    shop.remote.answer = shop.remote.guarded
    change(shop, name="Anna")
    execution = shop.sync()
    assert counts(execution) == {"rejected": 1}
    with shop.project() as project:
        (letter,) = project.dead_letters()
    assert letter.code == "conflict"
    assert letter.reason.endswith("parameter `conflicts` says what holds then: local, remote, newest, merge or ask")


@pytest.mark.parametrize(("policy", "name"), [("local", "Anna"), ("remote", "Hana"), ("ask", "Hana")])
def test_a_policy_that_is_set_later_settles_what_was_refused_before(shop, policy, name):
    shop.remote.answer = shop.remote.guarded
    edit(shop, name="Hana")
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"rejected": 1}
    (refused,) = shop.remote.sent
    assert counts(shop.sync()) == {"rejected": 1}  # as long as nobody says what holds
    shop.parameters["conflicts"] = policy
    with shop.project() as project, project.plan("acme") as plan:
        assert plan.changes == 1
        assert project.explain("customer", 1).places[0].due
    assert "rejected" not in counts(shop.sync())
    assert record(shop)["name"] == name
    assert all(each.idempotency_key != refused.idempotency_key for each in shop.remote.sent[1:])
    with shop.project() as project:
        assert project.dead_letters() == []
        assert len(project.conflicts()) == (policy == "ask")


def test_what_is_refused_again_is_rejected(shop):
    shop.parameters["conflicts"] = "local"
    shop.remote.answer = lambda changes, _: [Conflict(key=each.key) for each in changes]
    change(shop, name="Anna")
    assert counts(shop.sync()) == {"rejected": 1}
    assert len(shop.remote.calls) == 2


def test_a_lost_answer_that_turns_out_to_have_arrived_is_no_conflict(shop):
    """A remote with versions refuses the repetition of what it has carried out."""
    shop.remote = type(shop.remote)(idempotency=Idempotency.VERSIONED)
    shop.remote.records[(1,)] = {"id": 1, "name": "Ana", "email": "ana@example.org"}
    shop.parameters["conflicts"] = "ask"

    def lost(changes: Sequence[Change], context: object) -> Any:
        shop.remote.guarded(changes, context)
        shop.remote.answer = shop.remote.guarded
        raise ConnectionResetError

    shop.remote.answer = lost
    change(shop, name="Anna")
    shop.sync()
    execution = shop.sync()
    assert execution.counts.get("conflict", 0) == 0
    assert record(shop)["name"] == "Anna"
    assert ledger(shop, "SELECT status FROM cf_item_state WHERE key = '[1]'") == [("written",)]


def test_a_doubt_that_ends_in_a_conflict_is_looked_at_again_in_the_same_run(shop):
    """The doubt is recovered when the step has sent everything else."""
    shop.remote = type(shop.remote)(idempotency=Idempotency.VERSIONED)
    shop.remote.records[(1,)] = {"id": 1, "name": "Ana", "email": "ana@example.org"}
    shop.parameters["conflicts"] = "local"

    def doubtful(changes: Sequence[Change], _: object) -> Any:
        edit(shop, email="theirs")
        shop.remote.answer = shop.remote.guarded
        return [Unknown(key=each.key, reason="no answer") for each in changes]

    shop.remote.answer = doubtful
    change(shop, name="Anna")
    execution = shop.sync()
    assert execution.errors == ()
    assert len(shop.remote.calls) == 3
    assert record(shop)["name"] == "Anna"
    assert ledger(shop, "SELECT status FROM cf_item_state WHERE key = '[1]'") == [("written",)]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_many_items_keep_their_count(shop, concurrency):
    shop.parameters |= {
        "conflicts": {"default": "merge", "fallback": "ask"},
        "batch_size": 7,
        "concurrency": concurrency,
    }
    shop.sql(
        "DELETE FROM customer",
    )
    shop.sql("INSERT INTO customer VALUES (?, ?, ?)", *[(n, f"n{n}", "old") for n in range(1, 101)])
    shop.sync()
    for number in range(1, 101):
        if number % 2:
            shop.remote.records[(number,)]["email"] = "theirs"
    shop.sql("UPDATE customer SET name = 'new' WHERE id % 3 = 0")
    shop.sql("UPDATE customer SET email = 'ours' WHERE id % 5 = 0")
    execution = shop.sync()
    touched = [n for n in range(1, 101) if n % 3 == 0 or n % 5 == 0]
    asked = [n for n in touched if n % 2 and n % 5 == 0]
    assert execution.counts["conflict"] == len(asked)
    assert execution.counts["written"] == len(touched) - len(asked)
    assert execution.counts["read"] == 100
    for number in range(1, 101):
        kept = shop.remote.records[(number,)]
        assert kept["name"] == ("new" if number % 3 == 0 and number not in asked else f"n{number}")
        assert kept["email"] == ("theirs" if number % 2 else "ours" if number % 5 == 0 else "old")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("policy", ["local", "remote", "merge/local", "merge/remote"])
def test_after_any_history_the_remote_is_what_the_policy_says(shop, policy, seed):
    """Held against a model that knows nothing of digests, payloads and merges of mappings."""
    default, _, fallback = policy.partition("/")
    shop.parameters["conflicts"] = {"default": default, **({"fallback": fallback} if fallback else {})}
    chance = random.Random(seed)  # noqa: S311 - a test's
    ours = {"name": "Ana", "email": "ana@example.org"}
    theirs, ours_before, theirs_before = dict(ours), dict(ours), dict(ours)
    for _ in range(8):
        for field in ours:
            if chance.random() < 0.4:
                ours[field] = chance.choice("abc")
                change(shop, **{field: ours[field]})
            if chance.random() < 0.4:
                theirs[field] = chance.choice("abc")
                edit(shop, **{field: theirs[field]})
        shop.sync()
        if ours != ours_before:
            for field in ours:
                here, there = ours[field] != ours_before[field], theirs[field] != theirs_before[field]
                winner = (
                    fallback if there and here and fallback else "remote" if there else "local" if here else "remote"
                )
                if default == "local" or (winner == "local" and not (default == "remote" and there)):
                    theirs[field] = ours[field]
            ours_before, theirs_before = dict(ours), dict(theirs)
        assert record(shop) == theirs


# Removals


@pytest.mark.parametrize(
    ("policy", "removed", "count"),
    [
        ("local", True, {"written": 1, "deleted": 1}),
        ("remote", False, {"unchanged": 1, "foreign": 1}),
        ("ask", False, {"conflict": 1, "foreign": 1}),
        ("merge", False, {"conflict": 1, "foreign": 1}),
    ],
)
def test_a_removal_of_an_edited_record(shop, policy, removed, count):
    shop.reader = "entity.by_id"
    shop.parameters |= {"conflicts": policy, "missing": "delete"}
    edit(shop, email="theirs")
    shop.sql("DELETE FROM customer")
    execution = shop.sync(ids=[1])
    assert ((1,) not in shop.remote.records) == removed
    assert counts(execution) == count


def test_a_removal_of_an_unedited_record(shop):
    shop.reader = "entity.by_id"
    shop.parameters |= {"conflicts": "ask", "missing": "delete"}
    shop.sql("DELETE FROM customer")
    assert counts(shop.sync(ids=[1])) == {"written": 1, "deleted": 1}


@pytest.mark.parametrize(("side", "there"), [("local", False), ("remote", True)])
def test_a_decision_about_a_removal(shop, side, there):
    shop.reader = "entity.by_id"
    shop.parameters |= {"conflicts": "ask", "missing": "delete"}
    edit(shop, email="theirs")
    shop.sql("DELETE FROM customer")
    shop.sync(ids=[1])
    with shop.project() as project:
        (conflict,) = project.ledger().conflicts()
        assert (conflict.local, conflict.fields) == (None, [])
        project.ledger().decide_conflict(conflict, {"": side})
    shop.sync(ids=[1])
    assert ((1,) in shop.remote.records) == there
    assert ledger(shop, "SELECT * FROM cf_conflict") == []
    assert ledger(shop, "SELECT status FROM cf_item_state WHERE key = '[1]'") == [("deleted",)]


@pytest.mark.parametrize(("side", "there"), [("local", False), ("remote", True)])
def test_a_decision_about_what_a_complete_read_missed_is_carried_out_at_once(shop, side, there):
    shop.sql("INSERT INTO customer VALUES (2, 'Bo', NULL), (3, 'Cy', NULL)")
    shop.parameters |= {"conflicts": "ask", "deletions": "delete"}
    shop.sync()
    edit(shop, email="theirs")
    shop.sql("DELETE FROM customer WHERE id = 1")
    assert shop.sync().counts["conflict"] == 1
    with shop.project() as project:
        (conflict,) = project.conflicts()
        execution = project.settle_conflict(conflict.id, {"": side})
        assert "missing" not in counts(execution)
        assert project.conflicts() == []
    assert ((1,) in shop.remote.records) == there
    assert ledger(shop, "SELECT status FROM cf_item_state WHERE key = '[1]'") == [("deleted",)]


# Bad input


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"conflicts": "lokal"}, "did you mean 'local'?"),
        ({"conflicts": {"defult": "local"}}, "did you mean 'default'?"),
        ({"conflicts": {"fields": {"email": "mine"}}}, "parameter 'conflicts.fields.email'"),
        ({"conflicts": {"fields": "email"}}, "a mapping of fields to policies"),
        ({"conflicts": {"fallback": "merge"}}, "local, remote, newest or ask"),
        ({"conflicts": {"tolerance": -1}}, "a number of seconds from 0 on"),
        ({"conflicts": "newest"}, "no modified_column"),
        ({"conflicts": {"default": "merge", "fallback": "newest"}}, "no modified_column"),
        ({"conflicts": "ask", "modified_column": 5}, "the name of an entity's attribute"),
    ],
)
def test_parameters_that_say_nothing_sensible(shop, parameters, said):
    shop.parameters |= parameters
    with pytest.raises(ConfigError, match=r"jobs\.yml") as caught:
        shop.sync()
    assert said in str(caught.value)


class _Blind:
    """A connector that writes and cannot read."""

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        return ExportJob(name="shop_export", entity="customer")

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        return dict(item.data)

    @hookimpl
    def write_items(self, items: Sequence[Change], context: StepContext) -> Any:
        raise NotImplementedError


def test_a_connector_that_cannot_be_asked_is_refused(shop):
    shop.remote = _Blind()
    shop.parameters["conflicts"] = "ask"
    with pytest.raises(ConfigError) as caught:
        shop.sync()
    assert "parameter 'conflicts' needs what its connector cannot do" in str(caught.value)
    assert "no fetch_items in 'remote'" in str(caught.value)
