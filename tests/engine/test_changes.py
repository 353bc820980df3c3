"""What a change says of itself: the fields that differ and what the remote had before, whatever happened meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contraflow_hookspecs import Action, Change, Deferred, Idempotency, Item, Rejected, Unknown, Written, hookimpl


def rows(shop: Any, columns: str, where: str = "1") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
        return ledger.execute(f"SELECT {columns} FROM cf_item_state WHERE {where} ORDER BY key").fetchall()  # noqa: S608


def last(shop: Any) -> Change:
    (change,) = shop.remote.calls[-1]
    return change


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


def test_a_new_item_has_no_changed_fields_and_an_updated_one_has_exactly_those(shop) -> None:
    shop.sync()
    assert [change.changed for change in shop.remote.sent] == [None, None, None]
    shop.sql("UPDATE customer SET name = 'Anna', email = NULL WHERE id = 1")
    shop.sync()
    assert last(shop).changed == {"name", "email"}
    assert last(shop).previous is None
    assert rows(shop, "changed", "key = '[1]'") == [('["email", "name"]',)]


def test_a_field_that_vanishes_or_appears_is_a_changed_one(shop) -> None:
    shop.sync()
    shop.remote.process = lambda item, _: {"id": item.data["id"], "mail": item.data["email"], "name": item.data["name"]}
    shop.sync()
    assert [change.changed for change in shop.remote.calls[-1]] == [{"email", "mail"}] * 3


def test_without_payloads_no_value_is_kept(shop) -> None:
    shop.sync()
    content = (shop.directory / "ledger.db").read_bytes()
    assert b"ana@example.org" not in content
    assert rows(shop, "payload") == [(None,)] * 3


def test_where_payloads_are_remembered_the_old_values_come_with_the_change(shop) -> None:
    shop.parameters["remember"] = "payload"
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.sync()
    assert last(shop).previous == {"id": 1, "name": "Ana", "email": "ana@example.org"}
    assert last(shop).changed == {"name"}


def test_a_step_that_begins_to_remember_payloads_learns_them_from_unchanged_items(shop) -> None:
    shop.sync()
    shop.parameters["remember"] = "payload"
    assert counts(shop.sync()) == {"read": 3, "unchanged": 3}
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.sync()
    assert last(shop).previous == {"id": 1, "name": "Ana", "email": "ana@example.org"}


def test_a_ledger_without_digests_gets_them_from_unchanged_items(shop) -> None:
    shop.sync()
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE cf_item_state SET digests = NULL")
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.sync()
    assert last(shop).changed is None
    shop.sql("UPDATE customer SET name = 'Zoë' WHERE id = 3")
    shop.sync()
    assert last(shop).changed == {"name"}


@pytest.mark.parametrize(
    "fate",
    [
        lambda key: Rejected(key=key, code="no", reason="not so"),
        lambda key: Deferred(key=key, reason="locked"),
    ],
    ids=["rejected", "deferred"],
)
def test_after_a_refusal_the_fields_still_differ_from_what_was_confirmed(shop, fate) -> None:
    shop.parameters |= {"attempts": 1, "remember": "payload"}
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.remote.answer = lambda changes, _: [fate(change.key) for change in changes]
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sql("UPDATE customer SET email = NULL WHERE id = 1")
    shop.sync()
    assert last(shop).changed == {"name", "email"}
    assert last(shop).previous == {"id": 1, "name": "Ana", "email": "ana@example.org"}
    assert rows(shop, "status, changed, retry_at", "key = '[1]'") == [("written", '["email", "name"]', None)]


def test_a_change_is_recovered_with_the_same_fields_under_the_same_key(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    answers = iter([lambda changes: [Unknown(key=change.key, reason="lost") for change in changes]])
    shop.remote.answer = lambda changes, _: next(answers, shop.remote.store)(changes)
    shop.sync()
    first, again = shop.remote.calls[-2][0], shop.remote.calls[-1][0]
    assert first.changed == again.changed == {"name"}
    assert first.idempotency_key == again.idempotency_key
    shop.sql("UPDATE customer SET email = NULL WHERE id = 1")
    shop.sync()
    assert last(shop).changed == {"email"}


def test_after_a_settlement_by_hand_nobody_knows_the_fields(shop) -> None:
    shop.remote.capabilities = type(shop.remote.capabilities)(idempotency=Idempotency.NONE)
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.remote.answer = lambda changes, _: [Unknown(key=change.key, reason="lost") for change in changes]
    shop.sync()
    with shop.project() as project:
        project.ledger().settle_by_hand(
            integration="acme", job="shop_export", step="customers", key=(1,), verdict="written"
        )
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sql("UPDATE customer SET email = NULL WHERE id = 1")
    shop.sync()
    assert last(shop).changed is None
    shop.sql("UPDATE customer SET email = 'a@b' WHERE id = 1")
    shop.sync()
    assert last(shop).changed == {"email"}


def test_what_is_deleted_and_comes_back_is_new(shop) -> None:
    shop.parameters["missing"] = "delete"
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 1")
    shop.sync(ids=[1])
    assert last(shop).changed is None
    assert rows(shop, "digests, payload, changed", "key = '[1]'") == [(None, None, None)]
    shop.sql("INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org')")
    shop.sync(ids=[1])
    assert last(shop).changed is None


# --force


def test_force_sends_what_is_unchanged_under_a_new_key(shop) -> None:
    shop.sync()
    execution = shop.sync(force=True)
    assert counts(execution) == {"read": 3, "written": 3, "updated": 3}
    assert len({change.idempotency_key for change in shop.remote.sent}) == 6
    assert [change.changed for change in shop.remote.calls[-1]] == [None] * 3  # so that connectors send all of it
    assert counts(shop.sync()) == {"read": 3, "unchanged": 3}


def test_force_sends_what_was_refused_and_leaves_what_is_in_doubt(shop) -> None:
    shop.remote.capabilities = type(shop.remote.capabilities)(idempotency=Idempotency.NONE)
    fates = {
        1: Written,
        2: lambda key: Rejected(key=key, code="no", reason="no"),
        3: lambda key: Unknown(key=key, reason="?"),
    }
    shop.remote.answer = lambda changes, _: [fates[change.key[0]](key=change.key) for change in changes]
    shop.sync()
    refused = shop.remote.calls[-1][1].idempotency_key
    shop.remote.answer = lambda changes, _: [Written(key=change.key, action=Action.UPDATED) for change in changes]
    execution = shop.sync(force=True)
    assert counts(execution) == {"read": 3, "written": 2, "updated": 2, "in_doubt": 1}
    assert [change.key for change in shop.remote.calls[-1]] == [(1,), (2,)]
    assert shop.remote.calls[-1][1].idempotency_key != refused


# Due


def defer(shop: Any, seconds: float | None) -> None:
    """Customer 1 is put off; the others are written."""
    shop.parameters |= {"attempts": 1}
    shop.remote.answer = lambda changes, _: [
        Deferred(key=change.key, reason="locked", retry_after=seconds)
        if change.key == (1,)
        else shop.remote.store([change])[0]
        for change in changes
    ]
    assert counts(shop.sync()) == {"read": 3, "written": 2, "created": 2, "deferred": 1}
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)


def test_a_deferred_item_waits_for_its_time_and_says_so(shop) -> None:
    defer(shop, 3600)
    calls = len(shop.remote.calls)
    execution = shop.sync()
    assert counts(execution) == {"read": 3, "unchanged": 2, "deferred": 1}
    assert len(shop.remote.calls) == calls
    (error,) = execution.errors
    assert error.startswith("1: deferred: not due before 20")
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE cf_item_state SET retry_at = 1 WHERE retry_at IS NOT NULL")
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "written": 1, "created": 1}
    assert rows(shop, "retry_at") == [(None,)] * 3


def at(shop: Any, moment: datetime) -> Any:
    """A synchronisation by a machine whose clock says so."""
    with shop.project() as project:
        project._now = lambda: moment
        return project.sync("acme")


@pytest.mark.parametrize(
    "wrong", [timedelta(days=-3650), timedelta(days=3650)], ids=["ten years back", "ten years ahead"]
)
def test_a_pause_that_was_recorded_by_a_wrong_clock_is_over(shop, wrong: timedelta) -> None:
    now = datetime.now(UTC)
    shop.remote.answer = lambda changes, _: [Deferred(key=c.key, reason="locked", retry_after=60) for c in changes]
    shop.parameters |= {"attempts": 1}
    assert at(shop, now + wrong).counts["deferred"] == 3
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert at(shop, now).counts["written"] == 3


@pytest.mark.parametrize("asked", [30 * 86400.0, 1e12, float("inf")])
def test_no_pause_is_longer_than_a_week(shop, asked: float) -> None:
    defer(shop, asked)
    now = datetime.now(UTC)
    for later in (timedelta(), timedelta(hours=-20), timedelta(days=6)):
        execution = at(shop, now + later)
        assert counts(execution) == {"read": 3, "unchanged": 2, "deferred": 1}
        assert execution.errors[0].startswith(f"1: deferred: not due before {now + timedelta(days=7):%Y-%m-%d}")
    assert at(shop, now + timedelta(days=8)).counts["written"] == 1


def test_without_a_time_it_is_due_at_once(shop) -> None:
    defer(shop, None)
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "written": 1, "created": 1}


@pytest.mark.parametrize("request_", [{"ids": [1]}, {"force": True}], ids=["by id", "forced"])
def test_who_asks_for_it_gets_it_before_its_time(shop, request_: dict[str, Any]) -> None:
    defer(shop, 3600)
    assert shop.sync(**request_).counts["created"] == 1


def test_a_deferred_item_that_turns_back_to_what_the_remote_has_is_settled(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.parameters |= {"attempts": 1}
    shop.remote.answer = lambda changes, _: [Deferred(key=c.key, reason="locked", retry_after=3600) for c in changes]
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Ana' WHERE id = 1")
    assert counts(shop.sync()) == {"read": 3, "unchanged": 3}
    assert rows(shop, "status, retry_at", "key = '[1]'") == [("written", None)]


def test_a_refused_item_is_due_again_when_the_mapping_makes_something_else_of_it(shop) -> None:
    shop.remote.answer = lambda changes, _: [Rejected(key=change.key, code="no", reason="no") for change in changes]
    shop.parameters["max_rejected"] = 1
    shop.sync()
    assert counts(shop.sync()) == {"read": 3, "rejected": 3}
    assert len(shop.remote.calls) == 1
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.remote.process = lambda item, _: {"id": item.data["id"], "name": item.data["name"]}
    assert shop.sync().counts["written"] == 3


def test_a_resumed_run_sends_what_the_interrupted_one_skipped(shop) -> None:
    shop.parameters |= {"batch_size": 1, "attempts": 1}
    fates = {1: lambda c: Deferred(key=c.key, reason="locked"), 2: lambda c: shop.remote.store([c])[0]}

    def answer(changes: Any, _: Any) -> Any:
        if changes[0].key == (3,):
            raise RuntimeError("a crash")
        return [fates[change.key[0]](change) for change in changes]

    shop.remote.answer = answer
    assert shop.sync().status.value == "FAILED"
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert shop.sync().counts.get("deferred", 0) == 0
    assert rows(shop, "status") == [("written",)] * 3


def test_an_item_read_twice_over_the_edge_of_a_page_ends_as_its_last_version(shop) -> None:
    """The second version is what the remote holds already; the first, which waits in the chunk, must not be sent then."""

    class Reader:
        versions: tuple[tuple[int, str], ...] = ((1, "a"), (2, "b"), (3, "c"))

        @hookimpl
        def read_items(self, context: Any) -> Any:
            return (Item(key=(key,), entity={"name": name}) for key, name in self.versions)

    reader = Reader()
    shop.plugins["reader"] = reader
    shop.reader = "reader"
    shop.parameters["batch_size"] = 2
    shop.sync()
    reader.versions = ((1, "z"), (2, "b"), (1, "a"), (3, "c"))
    execution = shop.sync()
    assert counts(execution) == {"read": 4, "unchanged": 3, "coalesced": 1}
    assert shop.remote.records[(1,)] == {"name": "a"}
    reader.versions = ((1, "z"), (2, "y"), (1, "a"), (3, "c"))
    execution = shop.sync()
    assert counts(execution) == {"read": 4, "unchanged": 1, "written": 3, "updated": 3}
    assert shop.remote.records == {(1,): {"name": "a"}, (2,): {"name": "y"}, (3,): {"name": "c"}}
