"""What the remote has already is linked and updated, instead of being made a second time."""

from __future__ import annotations

from typing import Any

import pytest

from contraflow.errors import ConfigError
from contraflow_hookspecs import BatchStatus, RemoteItem, SystemicError, TransientError, hookimpl


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


@pytest.fixture
def filled(shop: Any) -> Any:
    """A shop whose remote has Ana already."""

    class FilledRemote(type(shop.remote)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[Any] = []
            self.find = lambda items: [
                RemoteItem(key=each.key, remote_id="old-ana", remote_version="v3")
                for each in items
                if each.payload["name"] == "Ana"
            ]

        @hookimpl
        def find_items(self, items: Any, context: Any) -> Any:
            self.asked.append([each.key for each in items])
            return self.find(items)

    shop.remote = FilledRemote()
    shop.parameters = {"adopt": True}
    return shop


def test_what_is_there_is_updated_under_its_id(filled: Any) -> None:
    assert counts(filled.sync()) == {"read": 3, "written": 3, "updated": 1, "created": 2, "adopted": 1}
    ids = {change.key: (change.remote_id, change.remote_version) for change in filled.remote.sent}
    assert ids == {(1,): ("old-ana", "v3"), (2,): (None, None), (3,): (None, None)}
    filled.sql("UPDATE customer SET name = 'x'")
    filled.sync()
    assert filled.remote.asked == [[(1,), (2,), (3,)]]


@pytest.mark.parametrize(
    "find",
    [
        lambda items: [RemoteItem(key=(1,), remote_id=number) for number in ("a", "b")],
        lambda items: [RemoteItem(key=key, remote_id="a") for key in ((1,), (2,))],
    ],
    ids=["two records for one item", "one record for two items"],
)
def test_what_nobody_can_tell_is_rejected_and_asked_for_again(filled: Any, find: Any) -> None:
    filled.remote.find = find
    execution = filled.sync()
    assert counts(execution)["rejected"] == 3 - counts(execution)["written"]
    assert "1: ambiguous: " in execution.errors[0]
    assert (1,) not in filled.remote.records
    filled.remote.find = lambda items: []
    assert "rejected" not in counts(filled.sync())
    assert (1,) in filled.remote.records


@pytest.mark.parametrize("error", [SystemicError("no access"), TransientError("down"), RuntimeError("a bug")])
def test_if_the_remote_cannot_be_asked_nothing_is_sent(filled: Any, error: Exception) -> None:
    def fails(items: Any) -> Any:
        raise error

    filled.parameters["attempts"] = 1
    filled.remote.find = fails
    assert filled.sync().status is BatchStatus.FAILED
    assert filled.remote.calls == []
    filled.remote.find = lambda items: []
    assert counts(filled.sync()) == {"read": 3, "written": 3, "created": 3}


@pytest.mark.parametrize(
    "answer",
    [None, "a", ["a"], [RemoteItem(key=(9,), remote_id="a")], [RemoteItem(key=(1,), remote_id=None)]],
)
def test_an_answer_that_is_none_stops_the_run_before_anything_is_sent(filled: Any, answer: Any) -> None:
    filled.remote.find = lambda items: answer
    execution = filled.sync()
    assert execution.status is BatchStatus.FAILED
    assert "find_items" in execution.exit_description
    assert filled.remote.calls == []


def test_a_pause_that_is_none_is_named_as_the_broken_contract_it_is(filled: Any) -> None:
    def fails(items: Any) -> Any:
        raise TransientError("busy", retry_after="10")  # type: ignore[arg-type]

    filled.remote.find = fails
    execution = filled.sync()
    assert (execution.status, execution.exit_code) == (BatchStatus.FAILED, "FAILED")
    said = "find_items: found TransientError with a retry_after of type str; expected seconds, or None"
    assert said in execution.exit_description
    assert filled.remote.calls == []


def test_a_found_record_that_was_never_updated_is_not_ours_to_remove(filled: Any) -> None:
    from contraflow_hookspecs import Rejected

    filled.parameters["deletions"] = "delete"
    filled.remote.answer = lambda changes, _: [Rejected(key=each.key, code="no", reason="no") for each in changes]
    filled.sync()
    filled.sql("DELETE FROM customer WHERE id = 1")
    filled.remote.answer = lambda changes, _: filled.remote.store(changes)
    filled.sync()
    assert [each for each in filled.remote.sent if each.operation.value == "delete"] == []


def test_a_connector_that_cannot_look_is_refused(shop: Any) -> None:
    shop.parameters = {"adopt": True}
    with pytest.raises(ConfigError, match="parameter 'adopt': connector 'remote' has no hook find_items"):
        shop.sync()
