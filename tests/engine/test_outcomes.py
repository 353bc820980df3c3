"""Every item read ends in exactly one outcome, and the ledger says which."""

from __future__ import annotations

from typing import Any

import pytest

from contraflow_hookspecs import (
    Action,
    BatchStatus,
    Conflict,
    Deferred,
    Gone,
    Idempotency,
    Item,
    ItemError,
    Rejected,
    Skip,
    Unknown,
    Written,
    hookimpl,
)

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt", "gone")


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


def balanced(execution: Any) -> bool:
    return all(
        step.counts.get("read", 0) == sum(step.counts.get(name, 0) for name in OUTCOMES) for step in execution.steps
    )


def test_a_first_run_creates_and_a_second_finds_nothing_to_do(shop) -> None:
    first = shop.sync()
    assert first.status is BatchStatus.COMPLETED
    assert counts(first) == {"read": 3, "written": 3, "created": 3}
    assert shop.remote.records[(1,)] == {"id": 1, "name": "Ana", "email": "ana@example.org"}
    second = shop.sync()
    assert counts(second) == {"read": 3, "unchanged": 3}
    assert len(shop.remote.calls) == 1


def test_only_what_changed_is_sent_with_what_is_known_of_it(shop) -> None:
    shop.remote.answer = lambda changes, _: [
        Written(key=change.key, action=Action.CREATED, remote_id=f"r{change.key[0]}", remote_version="v1")
        for change in changes
    ]
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    execution = shop.sync()
    assert counts(execution) == {"read": 3, "written": 1, "unchanged": 2, "updated": 1}
    (change,) = shop.remote.calls[-1]
    assert (change.key, change.remote_id, change.remote_version) == ((1,), "r1", "v1")
    assert change.payload["name"] == "Anna"


def test_a_filtered_item_is_counted_and_told_but_not_written(shop) -> None:
    seen = []

    class Observer:
        @hookimpl
        def item_filtered(self, item, skip, context):
            seen.append((item.key, skip.reason, context.step))

    shop.plugins["observer"] = Observer()
    shop.remote.process = lambda item, _: dict(item.data) if item.data["email"] else Skip(reason="no mail")
    execution = shop.sync()
    assert counts(execution) == {"read": 3, "written": 2, "filtered": 1, "created": 2}
    assert seen == [((2,), "no mail", "customers")]


def rejected_by_processor(item: Item) -> dict[str, Any]:
    if item.key == (2,):
        raise ItemError("no mail", code="no_email")
    return dict(item.data)


def test_a_rejected_item_becomes_a_dead_letter_and_its_neighbours_are_written(shop) -> None:
    shop.remote.process = lambda item, _: rejected_by_processor(item)
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert counts(execution) == {"read": 3, "written": 2, "rejected": 1, "created": 2}
    assert execution.errors == ("2: no_email: no mail",)
    with shop.project() as project:
        (letter,) = project.dead_letters()
    assert (letter.key, letter.code, letter.reason, letter.attempts) == ((2,), "no_email", "no mail", 1)


def test_a_dead_letter_counts_its_attempts_and_goes_away_when_the_item_goes_through(shop) -> None:
    shop.remote.process = lambda item, _: rejected_by_processor(item)
    shop.sync()
    shop.sync()
    with shop.project() as project:
        assert [letter.attempts for letter in project.dead_letters()] == [2]
    shop.remote.process = lambda item, _: dict(item.data)
    assert counts(shop.sync()) == {"read": 3, "written": 1, "unchanged": 2, "created": 1}
    with shop.project() as project:
        assert project.dead_letters() == []


def test_a_rejected_change_that_is_taken_back_needs_no_sending(shop) -> None:
    """The remote holds A and refused B; when the source turns back to A, all is well again."""
    shop.sync()
    shop.sql("UPDATE customer SET name = 'bad' WHERE id = 1")
    shop.remote.answer = lambda changes, _: [Rejected(key=c.key, code="no", reason="bad name") for c in changes]
    assert counts(shop.sync()) == {"read": 3, "rejected": 1, "unchanged": 2}
    shop.sql("UPDATE customer SET name = 'Ana' WHERE id = 1")
    assert counts(shop.sync()) == {"read": 3, "unchanged": 3}
    with shop.project() as project:
        assert project.dead_letters() == []
        assert [(each.status, each.items) for each in project.items()] == [("written", 3)]


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (lambda key: Rejected(key=key, code="422", reason="no"), "rejected"),
        (lambda key: Deferred(key=key, reason="locked"), "deferred"),
        (lambda key: Unknown(key=key, reason="timeout"), "in_doubt"),
        (lambda key: Conflict(key=key), "rejected"),
        (lambda key: Gone(key=key), "gone"),
        (lambda key: Written(key=key), "written"),
    ],
)
def test_each_result_is_one_outcome_and_leaves_the_others_alone(shop, result, outcome) -> None:
    def answer(changes, _):
        results = shop.remote.store([change for change in changes if change.key != (2,)])
        return [*results, result((2,))]

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.COMPLETED
    expected = {"written": 2, outcome: 1} if outcome != "written" else {"written": 3}
    assert {name: execution.counts[name] for name in OUTCOMES if execution.counts.get(name)} == expected
    assert balanced(execution)


def test_what_somebody_else_changed_is_sent_again_though_our_record_did_not_change(shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    shop.remote.answer = lambda changes, _: [Conflict(key=(1,))]
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Ana' WHERE id = 1")
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert counts(shop.sync())["written"] == 1


def test_falsy_entities_and_values_are_ordinary(shop) -> None:
    values = [0, "", False, None]

    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(number,), entity=value) for number, value in enumerate(values)]

    shop.plugins["falsy"] = Reader()
    shop.reader = "falsy"
    shop.remote.process = lambda item, _: {"value": item.entity}
    assert counts(shop.sync()) == {"read": 4, "written": 4, "created": 4}
    assert [record["value"] for record in shop.remote.records.values()] == values


def test_of_two_items_of_one_key_in_a_chunk_the_newest_is_sent_and_the_other_coalesced(shop) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(1,), entity={"v": n}) for n in (1, 2, 3)]

    shop.plugins["repeating"] = Reader()
    shop.reader = "repeating"
    execution = shop.sync()
    assert counts(execution) == {"read": 3, "written": 1, "coalesced": 2, "created": 1}
    assert shop.remote.records == {(1,): {"v": 3}}


def test_an_item_that_returns_to_what_the_remote_holds_within_a_chunk_is_not_sent(shop) -> None:
    versions = [[1], [2, 1]]

    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(1,), entity={"v": n}) for n in versions[0]]

    shop.plugins["repeating"] = Reader()
    shop.reader = "repeating"
    shop.sync()
    versions.pop(0)
    assert counts(shop.sync()) == {"read": 2, "coalesced": 1, "unchanged": 1}
    assert shop.remote.records == {(1,): {"v": 1}}


def test_a_key_that_comes_again_in_a_later_chunk_knows_what_the_earlier_one_settled(shop) -> None:
    """One page of the comparison may hold several chunks: the second must not create what the first created."""

    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(n % 2,), entity={"v": n}) for n in range(4)]

    shop.plugins["repeating"] = Reader()
    shop.reader = "repeating"
    shop.remote.capabilities = type(shop.remote.capabilities)(idempotency=Idempotency.NONE, max_batch=2)
    execution = shop.sync()
    assert counts(execution) == {"read": 4, "written": 4, "created": 2, "updated": 2}
    assert [[change.remote_id for change in call] for call in shop.remote.calls] == [[None, None], ["r0", "r1"]]
    assert len({change.idempotency_key for change in shop.remote.sent}) == 4


def test_an_item_in_doubt_is_held_where_a_second_sending_would_be_a_second_effect(shop) -> None:
    shop.remote = type(shop.remote)(idempotency=Idempotency.NONE)
    shop.remote.answer = lambda changes, _: [Unknown(key=change.key, reason="reset") for change in changes]
    assert counts(shop.sync())["in_doubt"] == 3
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert counts(shop.sync()) == {"read": 3, "in_doubt": 3}
    assert len(shop.remote.calls) == 1
    with shop.project() as project:
        (overview,) = project.items()
    assert (overview.status, overview.items, overview.examples) == ("in_doubt", 3, ((1,), (2,), (3,)))
    shop.parameters = {"in_doubt": "resend"}
    assert counts(shop.sync()) == {"read": 3, "written": 3, "created": 3}


def test_an_item_in_doubt_is_sent_again_under_its_old_key_where_that_is_harmless(shop) -> None:
    shop.remote.answer = lambda changes, _: [Unknown(key=change.key, reason="reset") for change in changes]
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert counts(shop.sync()) == {"read": 3, "unchanged": 3, "recovered": 3}
    first, *_, second = ([change.idempotency_key for change in call] for call in shop.remote.calls)
    assert first == second


def test_idempotency_keys_tell_a_return_to_an_old_value_from_the_old_sending(shop) -> None:
    """A, B, A: a remote that deduplicates by key must end at A."""
    for name in ("A", "B", "A"):
        shop.sql("UPDATE customer SET name = ? WHERE id = 1", (name,))
        shop.sync(ids=[1])
    keys = [change.idempotency_key for change in shop.remote.sent]
    assert len(set(keys)) == 3
    assert all(len(key) <= 40 and key.replace("-", "").isalnum() and key == key.lower() for key in keys)


def test_a_payload_that_cannot_be_sent_is_rejected_with_the_reason_and_the_rest_goes_on(shop) -> None:
    bad = {1: {"x": float("nan")}, 2: {"x": "\ud800"}, 3: {"x": object()}, 4: {"x": "a" * 1024 * 1024}, 5: {"x": 1}}

    class Reader:
        @hookimpl
        def read_items(self, context):
            return [Item(key=(number,), entity=payload) for number, payload in bad.items()]

    shop.plugins["bad"] = Reader()
    shop.reader = "bad"
    execution = shop.sync()
    assert counts(execution) == {"read": 5, "written": 1, "rejected": 4, "created": 1}
    with shop.project() as project:
        reasons = [letter.reason for letter in project.dead_letters()]
    assert [reason.split(",")[0] for reason in reasons] == [
        "field 'x' is nan",
        "field 'x' has a lone surrogate",
        "field 'x' has a value of the unknown type builtins.object",
        "the payload has 1",
    ]


def test_a_missing_id_can_mean_a_deletion_but_only_of_what_we_sent(shop) -> None:
    shop.reader, shop.parameters = "entity.by_id", {"missing": "delete"}
    shop.sync(ids=[1, 2])
    shop.sql("DELETE FROM customer WHERE id = 1")
    execution = shop.sync(ids=[1, 77])
    assert counts(execution) == {"read": 2, "written": 1, "deleted": 1, "unchanged": 1}
    assert (1,) not in shop.remote.records
    assert counts(shop.sync(ids=[1])) == {"read": 1, "unchanged": 1}
    shop.sql("INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org')")
    assert counts(shop.sync(ids=[1])) == {"read": 1, "written": 1, "created": 1}
    assert shop.remote.calls[-1][0].remote_id is None
