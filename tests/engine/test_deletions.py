"""What a complete read no longer yields goes away at the remote, if it was sent; and nothing else does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contraflow.check import check
from contraflow.engine.key_types import KeyTypeChangedError
from contraflow.errors import ConfigError, Problem
from contraflow_hookspecs import (
    BatchStatus,
    Deferred,
    Gone,
    Idempotency,
    Item,
    ItemError,
    Operation,
    Rejected,
    Skip,
    StepContext,
    Unknown,
    Written,
    hookimpl,
)

Shop = Any
"""Of tests/conftest.py, which no test module can import."""


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number}


def deleted(shop: Shop) -> list[tuple[Any, ...]]:
    return [change.key for change in shop.remote.sent if change.operation is Operation.DELETE]


def archiving_remote(kind: type[Any], **capabilities: Any) -> Any:
    """A remote that puts records away; a real connector would set a flag."""

    class ArchivingRemote(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(**{"delete": False, **capabilities})
            self.archived: list[Any] = []
            self.answer_archive = lambda items, context: [Written(key=change.key) for change in items]

        @hookimpl
        def archive_items(self, items: Any, context: StepContext) -> Any:
            self.archived += items
            return self.answer_archive(items, context)

    class ConfirmingRemote(ArchivingRemote):
        @hookimpl
        def confirm_items(self, items: Any, context: StepContext) -> Any:
            return [Written(key=change.key) for change in items]

    return (ConfirmingRemote if capabilities.get("confirm") else ArchivingRemote)()


@pytest.fixture
def removing(shop: Shop) -> Shop:
    shop.parameters = {"deletions": "delete"}
    return shop


# --- deletions --------------------------------------------------------------------------------------------------------


def test_what_the_source_no_longer_has_is_deleted_after_everything_else(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 1; INSERT INTO customer VALUES (9, 'Di', NULL)")
    execution = removing.sync()
    assert counts(execution) == {"read": 4, "written": 2, "unchanged": 2, "created": 1, "deleted": 1}
    assert [[(each.operation.value, each.key) for each in call] for call in removing.remote.calls[1:]] == [
        [("upsert", (9,))],
        [("delete", (1,))],
    ]
    assert removing.remote.calls[-1][0].remote_id == "r1"
    assert set(removing.remote.records) == {(2,), (3,), (9,)}
    assert counts(removing.sync()) == {"read": 3, "unchanged": 3}


def test_by_default_nothing_is_removed(shop: Shop) -> None:
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 1")
    assert counts(shop.sync()) == {"read": 2, "unchanged": 2}
    assert (1,) in shop.remote.records


def test_an_entity_that_comes_back_is_created_anew(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 1")
    removing.sync()
    removing.sql("INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org')")
    assert counts(removing.sync()) == {"read": 3, "written": 1, "unchanged": 2, "created": 1}
    assert removing.remote.sent[-1].remote_id is None


def test_what_was_never_sent_is_not_removed_and_its_dead_letter_goes(removing: Shop) -> None:
    removing.remote.answer = lambda changes, _: [
        Rejected(key=each.key, code="no", reason="no") if each.key == (2,) else Written(key=each.key)
        for each in changes
    ]
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 2")
    assert counts(removing.sync()) == {"read": 3, "unchanged": 3}
    assert deleted(removing) == []
    with removing.project() as project:
        assert project.dead_letters() == []


@pytest.mark.parametrize(
    "request_",
    [{"ids": [1]}, {"parameters": {"load": None}}],
    ids=["by id", "with a parameter of its own"],
)
def test_a_read_that_asks_for_less_removes_nothing(removing: Shop, request_: dict[str, Any]) -> None:
    removing.parameters["load"] = []
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 2")
    assert removing.sync(**request_).status is BatchStatus.COMPLETED
    assert deleted(removing) == []
    assert counts(removing.sync(parameters={"batch_size": 1}))["deleted"] == 1  # that reads no less


@pytest.mark.parametrize("deletions", ["ignore", "delete"])
def test_a_key_that_changes_its_type_is_refused_before_anything_is_sent(removing: Shop, deletions: str) -> None:
    removing.parameters["deletions"] = deletions
    removing.sync()
    before, calls = dict(removing.remote.records), len(removing.remote.calls)
    removing.sql(
        "CREATE TABLE other (id TEXT PRIMARY KEY, name TEXT, email TEXT); INSERT INTO other SELECT * FROM customer;"
        "DROP TABLE customer; ALTER TABLE other RENAME TO customer"
    )
    execution = removing.sync()
    assert execution.status is BatchStatus.FAILED
    assert "reads keys of type str, and the ledger knows its items by keys of type int" in execution.exit_description
    assert (removing.remote.records, len(removing.remote.calls)) == (before, calls)
    with removing.project() as project, pytest.raises(KeyTypeChangedError):
        project.plan("acme")
    (told,) = fatal(removing)
    assert "step 'customers' reads keys of type str, and the ledger knows its items by keys of type int" in told.message
    assert told.location.file is not None
    assert told.location.file.endswith("jobs.yml")


def fatal(shop: Shop) -> list[Problem]:
    with shop.project() as project:
        return [problem for finding in check(project) if finding.fatal for problem in finding.problems]


def test_check_looks_at_keys_only_where_their_types_differ(removing: Shop) -> None:
    assert fatal(removing) == []
    removing.sync()
    assert fatal(removing) == []
    removing.sql("DELETE FROM customer")
    assert fatal(removing) == [], "an empty table has no keys"


def test_check_believes_the_first_record_and_not_the_type_of_the_column(removing: Shop) -> None:
    """SQLite keeps text in a column of numbers."""
    removing.sql(
        "CREATE TABLE other (id INT PRIMARY KEY, name TEXT, email TEXT); DROP TABLE customer;"
        "ALTER TABLE other RENAME TO customer; INSERT INTO customer VALUES ('a', 'Ana', NULL)"
    )
    assert removing.sync().status is BatchStatus.COMPLETED
    assert fatal(removing) == []


def test_a_key_that_gets_another_column_is_told_by_check(removing: Shop) -> None:
    removing.sync()
    removing.sql(
        "CREATE TABLE other (id INTEGER, part INTEGER, name TEXT, email TEXT, PRIMARY KEY (id, part));"
        "INSERT INTO other SELECT id, 1, name, email FROM customer; DROP TABLE customer;"
        "ALTER TABLE other RENAME TO customer"
    )
    (told,) = fatal(removing)
    assert "reads keys of type (int, int), and the ledger knows its items by keys of type int" in told.message
    assert removing.sync().status is BatchStatus.FAILED


class Reader:
    """Yields what it is told to; an exception among them is raised."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)

    @hookimpl
    def read_items(self, context: StepContext) -> Any:
        return _Iterator(list(self.items))


class _Iterator:
    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Item:
        if not self._items:
            raise StopIteration
        item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


def items(*numbers: int) -> list[Item]:
    return [Item(key=(number,), entity={"n": number}) for number in numbers]


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (RuntimeError("connection lost"), BatchStatus.FAILED),
        (ItemError("a row of which not even the key can be read"), BatchStatus.COMPLETED),
    ],
)
def test_after_an_error_of_the_reader_nothing_is_removed(
    removing: Shop, broken: Exception, status: BatchStatus
) -> None:
    removing.plugins["reader"] = reader = Reader(*items(1, 2, 3, 4))
    removing.reader = "reader"
    removing.sync()
    reader.items = [*items(1, 2), broken, *items(3)]
    assert removing.sync().status is status
    assert deleted(removing) == []


def test_an_entity_that_could_not_be_read_is_still_there(removing: Shop) -> None:
    removing.plugins["reader"] = reader = Reader(*items(1, 2, 3, 4))
    removing.reader = "reader"
    removing.sync()
    reader.items = [*items(1, 2), ItemError("unreadable", key=(3,))]
    assert counts(removing.sync()) == {"read": 4, "unchanged": 2, "rejected": 1, "written": 1, "deleted": 1}
    assert deleted(removing) == [(4,)]


def test_an_interrupted_run_removes_nothing_and_the_one_that_resumes_it_does(removing: Shop) -> None:
    removing.parameters["batch_size"] = 1
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 2; UPDATE customer SET name = 'x'")

    def down(changes, context):
        if changes[0].key == (3,):
            raise RuntimeError("power cut")
        return removing.remote.store(changes)

    removing.remote.answer = down
    assert removing.sync().status is BatchStatus.FAILED
    assert deleted(removing) == []
    removing.remote.answer = lambda changes, _: removing.remote.store(changes)
    execution = removing.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert deleted(removing) == [(2,)]
    assert set(removing.remote.records) == {(1,), (3,)}


def test_a_run_that_failed_among_the_deletions_reads_everything_again(removing: Shop) -> None:
    removing.parameters["batch_size"] = 1
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id < 3")
    removing.remote.answer = lambda changes, _: 1 / 0
    assert removing.sync().status is BatchStatus.FAILED
    removing.remote.answer = lambda changes, _: removing.remote.store(changes)
    removing.sync()
    assert set(removing.remote.records) == {(3,)}
    assert counts(removing.sync()) == {"read": 1, "unchanged": 1}


def test_a_stop_request_keeps_everything(removing: Shop) -> None:
    from contraflow.engine.stopping import StopRequest

    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 1; UPDATE customer SET name = 'x'")
    stop = StopRequest()

    def stopping(changes, _):
        stop.set("stopped")
        return removing.remote.store(changes)

    removing.remote.answer = stopping
    assert removing.sync(stop=stop).status is BatchStatus.STOPPED
    assert deleted(removing) == []


@pytest.mark.parametrize("remaining", [0, 69])
def test_a_source_that_is_suddenly_empty_or_smaller_stops_before_the_first_deletion(
    removing: Shop, remaining: int
) -> None:
    removing.sql("DELETE FROM customer")
    removing.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *((number,) for number in range(1, 101)))
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id > ?", (remaining,))
    execution = removing.sync()
    assert execution.status is BatchStatus.FAILED
    assert f"{100 - remaining}" in execution.exit_description
    assert deleted(removing) == []
    removing.sql("INSERT OR IGNORE INTO customer VALUES (?, 'x', NULL)", *((number,) for number in range(1, 71)))
    assert counts(removing.sync())["deleted"] == 30


def test_a_deletion_that_the_remote_refuses_or_puts_off_is_owed(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id < 3")
    removing.parameters["attempts"] = 1
    removing.remote.answer = lambda changes, _: [
        Rejected(key=each.key, code="locked", reason="has invoices")
        if each.key == (1,)
        else Deferred(key=each.key, reason="busy")
        for each in changes
    ]
    assert counts(removing.sync()) == {"read": 3, "unchanged": 1, "rejected": 1, "deferred": 1}
    removing.remote.answer = lambda changes, _: removing.remote.store(changes)
    assert counts(removing.sync()) == {"read": 3, "unchanged": 1, "rejected": 1, "written": 1, "deleted": 1}
    with removing.project() as project:
        (letter,) = project.dead_letters()
        project.ledger().retry_dead_letters([letter.id])
    assert counts(removing.sync()) == {"read": 2, "unchanged": 1, "written": 1, "deleted": 1}
    with removing.project() as project:
        assert project.dead_letters() == []


def test_a_deletion_in_doubt_is_resolved_as_any_change(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 1")
    removing.remote.answer = lambda changes, _: [Unknown(key=each.key, reason="timeout") for each in changes]
    assert counts(removing.sync()) == {"read": 3, "unchanged": 2, "in_doubt": 1}
    removing.remote.answer = lambda changes, _: removing.remote.store(changes)
    assert counts(removing.sync()) == {"read": 2, "unchanged": 2, "recovered": 1}
    assert set(removing.remote.records) == {(2,), (3,)}


def test_composite_keys_and_a_ledger_in_postgresql(removing: Shop, postgresql_url: str) -> None:
    removing.config["ledger"] = postgresql_url
    removing.parameters["entity"] = "line"
    removing.sql("INSERT INTO line VALUES (?, 1, 1)", ("ä",), ("Z",), ("a",), ("10",), ("9",))
    removing.sync()
    removing.sql("DELETE FROM line WHERE order_no IN ('A,1', 'ä') AND line = 1")
    assert counts(removing.sync()) == {"read": 8, "unchanged": 6, "written": 2, "deleted": 2}
    assert set(deleted(removing)) == {("A,1", 1), ("ä", 1)}


def insert(shop: Shop, numbers: frozenset[int]) -> None:
    if numbers:
        shop.sql("INSERT INTO customer VALUES (?)", *((number,) for number in numbers))


keys = st.frozensets(st.integers(1, 30), max_size=20)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(known=keys, refused=keys, now=keys, batch=st.integers(1, 7), concurrency=st.integers(1, 3))
def test_the_deletions_are_exactly_what_is_known_and_not_read(
    shop_kind: type[Shop],
    tmp_path_factory: pytest.TempPathFactory,
    known: frozenset[int],
    refused: frozenset[int],
    now: frozenset[int],
    batch: int,
    concurrency: int,
) -> None:
    shop = shop_kind(tmp_path_factory.mktemp("shop"))
    shop.parameters = {"deletions": "delete", "batch_size": batch, "concurrency": concurrency, "max_rejected": 1}
    shop.sql("CREATE TABLE customer (id INTEGER PRIMARY KEY)")
    insert(shop, known)
    shop.remote.answer = lambda changes, _: [
        Rejected(key=each.key, code="no", reason="no") if each.key[0] in refused else Written(key=each.key)
        for each in changes
    ]
    shop.sync()
    shop.remote.answer = lambda changes, _: [Written(key=each.key) for each in changes]
    shop.sql("DELETE FROM customer")
    insert(shop, now)
    sent = known - refused
    execution = shop.sync()
    too_many = bool(sent - now) and (not now or (len(sent) >= 10 and len(sent - now) > 0.3 * len(sent)))
    assert execution.status is (BatchStatus.FAILED if too_many else BatchStatus.COMPLETED)
    assert sorted(deleted(shop)) == ([] if too_many else sorted((number,) for number in sent - now))
    if not too_many:
        still_refused = len(known & refused & now)
        with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
            states = dict(ledger.execute("SELECT key, status FROM cf_item_state"))
        assert {key for key, status in states.items() if status == "deleted"} == {f"[{n}]" for n in known - now}
        expected = {"read": len(now), "unchanged": len(now) - still_refused, "rejected": still_refused}
        assert counts(shop.sync()) == {name: number for name, number in expected.items() if number}


# --- archiving --------------------------------------------------------------------------------------------------------


@pytest.fixture
def archiving(shop: Shop) -> Shop:
    shop.remote = archiving_remote(type(shop.remote))
    shop.parameters = {"deletions": "archive"}
    return shop


def test_an_archived_record_keeps_its_id_and_is_updated_when_its_entity_comes_back(archiving: Shop) -> None:
    archiving.sync()
    archiving.sql("DELETE FROM customer WHERE id = 1")
    assert counts(archiving.sync()) == {"read": 3, "unchanged": 2, "written": 1, "archived": 1}
    (change,) = archiving.remote.archived
    assert (change.key, change.operation, change.remote_id, dict(change.payload)) == ((1,), Operation.DELETE, "r1", {})
    assert deleted(archiving) == []
    assert counts(archiving.sync()) == {"read": 2, "unchanged": 2}
    archiving.sql("INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org')")
    assert counts(archiving.sync()) == {"read": 3, "unchanged": 2, "written": 1, "updated": 1}
    assert archiving.remote.sent[-1].remote_id == "r1"


def test_an_archived_record_is_not_deleted_when_the_job_changes_its_mind(archiving: Shop) -> None:
    archiving.sync()
    archiving.sql("DELETE FROM customer WHERE id = 1")
    archiving.sync()
    archiving.remote.capabilities = attrs.evolve(archiving.remote.capabilities, delete=True)
    archiving.parameters = {"deletions": "delete"}
    assert counts(archiving.sync()) == {"read": 2, "unchanged": 2}
    assert deleted(archiving) == []


@pytest.mark.parametrize("capabilities", [{}, {"idempotency": Idempotency.NONE, "confirm": True}], ids="BC")
def test_an_archive_in_doubt_is_recovered_as_an_archive(archiving: Shop, capabilities: dict[str, Any]) -> None:
    archiving.remote = remote = archiving_remote(type(archiving.remote).__base__, **capabilities)
    archiving.sync()
    archiving.sql("DELETE FROM customer WHERE id = 1")
    remote.answer_archive = lambda items, _: 1 / 0
    assert archiving.sync().status is BatchStatus.FAILED
    remote.answer_archive = lambda items, _: [Written(key=change.key) for change in items]
    assert counts(archiving.sync()) == {"read": 2, "unchanged": 2, "recovered": 1}
    assert [change.key for change in remote.archived] == [(1,), (1,)]
    assert deleted(archiving) == []
    with archiving.project() as project:
        assert {each.status: each.items for each in project.items()} == {"written": 2, "archived": 1}


def test_an_archive_in_doubt_is_never_sent_as_a_deletion(archiving: Shop) -> None:
    """The connector was replaced by one without the hook."""
    archiving.sync()
    archiving.sql("DELETE FROM customer WHERE id = 1")
    archiving.remote.answer_archive = lambda items, _: 1 / 0
    archiving.sync()
    archiving.remote = type(archiving.remote).__base__()
    archiving.parameters = {"deletions": "delete"}
    archiving.sync()
    assert deleted(archiving) == []
    with archiving.project() as project:
        assert {each.status for each in project.items()} == {"written", "in_doubt"}


def test_upserts_and_archives_of_one_chunk_each_meet_their_hook(archiving: Shop) -> None:
    archiving.parameters = {"missing": "archive"}
    archiving.sync()
    archiving.sql("DELETE FROM customer WHERE id = 1; UPDATE customer SET name = 'x'")
    execution = archiving.sync(ids=[1, 2])
    assert counts(execution) == {"read": 2, "written": 2, "archived": 1, "updated": 1}
    assert [change.key for change in archiving.remote.archived] == [(1,)]
    assert [change.key for change in archiving.remote.calls[-1]] == [(2,)]


# --- what the processor skips -----------------------------------------------------------------------------------------


def only_with_mail(item: Item, _: StepContext) -> Any:
    return dict(item.data) if item.data["email"] else Skip(reason="no mail")


def test_what_is_skipped_after_it_was_sent_stays_by_default(shop: Shop) -> None:
    shop.sync()
    shop.remote.process = only_with_mail
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "filtered": 1}
    assert deleted(shop) == []


def test_what_is_skipped_after_it_was_sent_is_removed_if_the_job_says_so(shop: Shop) -> None:
    shop.parameters = {"filtered": "delete"}
    shop.sql("INSERT INTO customer VALUES (4, 'never sent', NULL)")
    shop.remote.process = lambda item, _: Skip(reason="no") if item.key == (4,) else dict(item.data)
    shop.sync()
    shop.remote.process = only_with_mail
    assert counts(shop.sync()) == {"read": 5, "unchanged": 2, "filtered": 2, "written": 1, "deleted": 1}
    assert deleted(shop) == [(2,)]
    assert counts(shop.sync()) == {"read": 4, "unchanged": 2, "filtered": 2}
    shop.sql("UPDATE customer SET email = 'bo@example.org' WHERE id = 2")
    assert counts(shop.sync())["created"] == 1


def test_by_id_it_is_removed_at_once(shop: Shop) -> None:
    shop.parameters = {"filtered": "delete"}
    shop.sync(ids=[2, 3])
    shop.remote.process = only_with_mail
    assert counts(shop.sync(ids=[1, 2])) == {"read": 2, "written": 2, "created": 1, "deleted": 1}
    assert deleted(shop) == [(2,)]
    assert counts(shop.sync(ids=[2])) == {"read": 1, "filtered": 1}


def test_a_processor_that_suddenly_skips_everything_is_stopped_by_the_guard(shop: Shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *((number,) for number in range(4, 24)))
    shop.parameters = {"filtered": "delete"}
    shop.sync()
    shop.remote.process = lambda item, _: Skip(reason="a bug")
    assert shop.sync().status is BatchStatus.FAILED
    assert deleted(shop) == []


# --- gone at the remote -----------------------------------------------------------------------------------------------


def gone_for(key: tuple[int, ...], shop: Shop) -> None:
    shop.remote.answer = lambda changes, _: [
        Gone(key=each.key) if each.key == key else result
        for each, result in zip(changes, shop.remote.store(changes), strict=True)
    ]


def test_what_somebody_removed_at_the_remote_is_left_so(shop: Shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'x'")
    gone_for((2,), shop)
    execution = shop.sync()
    assert counts(execution) == {"read": 3, "written": 2, "updated": 2, "gone": 1}
    assert execution.errors == ("2: gone: somebody else removed it at the remote",)
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    shop.sql("UPDATE customer SET name = 'y' WHERE id = 2")
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "gone": 1}
    with shop.project() as project:
        assert project.dead_letters() == []
        assert [(each.status, each.examples) for each in project.items()] == [("gone", ((2,),)), ("written", ())]
    shop.parameters = {"resurrect": True}
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "written": 1, "created": 1}
    assert shop.remote.sent[-1].remote_id is None


def test_a_deletion_of_what_is_gone_has_done_its_work(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id = 2")
    gone_for((2,), removing)
    assert counts(removing.sync()) == {"read": 3, "unchanged": 2, "written": 1, "deleted": 1}
    assert counts(removing.sync()) == {"read": 2, "unchanged": 2}


def test_what_is_gone_stays_gone_when_the_processor_trips_over_it(shop: Shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'x' WHERE id = 2")
    gone_for((2,), shop)
    shop.sync()

    def process(item: Item, _: StepContext) -> Any:
        if item.key == (2,):
            raise ItemError("bad")
        return dict(item.data)

    shop.remote.process = process
    assert counts(shop.sync())["rejected"] == 1
    shop.remote.process = lambda item, _: dict(item.data)
    assert counts(shop.sync()) == {"read": 3, "unchanged": 2, "gone": 1}


# --- refused before anything runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"deletions": "delete"}, "parameter 'deletions': connector 'remote' declares that its remote cannot delete"),
        ({"filtered": "delete"}, "parameter 'filtered': connector 'remote' declares that its remote cannot delete"),
        ({"missing": "delete"}, "parameter 'missing': connector 'remote' declares that its remote cannot delete"),
        ({"deletions": "archive"}, "parameter 'deletions': connector 'remote' has no hook archive_items"),
        ({"filtered": "archive"}, "parameter 'filtered': connector 'remote' has no hook archive_items"),
        ({"missing": "archive"}, "parameter 'missing': connector 'remote' has no hook archive_items"),
        ({"deletions": "remove"}, "expected: ignore or delete or archive"),
        ({"resurrect": "perhaps"}, "expected: true or false"),
    ],
)
def test_what_the_connector_cannot_do_is_refused_with_its_place(shop: Shop, parameters: Any, said: str) -> None:
    shop.remote = type(shop.remote)(delete=False)
    shop.parameters = parameters
    with pytest.raises(ConfigError) as caught:
        shop.sync()
    assert said in str(caught.value)
    assert "jobs.yml" in str(caught.value)
    shop.parameters = {}
    with pytest.raises(ConfigError) as caught:
        shop.sync(parameters=parameters)
    assert said in str(caught.value)


# --- guards, approvals and force --------------------------------------------------------------------------------------


def test_deletions_over_the_limit_are_released_by_an_approval_of_just_these(removing: Shop) -> None:
    from contraflow.engine.limits import approval_named

    removing.sync()
    removing.sql("DELETE FROM customer")
    digest = approval_named(removing.sync().exit_description)
    assert digest
    assert counts(removing.sync(approve=[digest]))["deleted"] == 3


def test_a_step_may_say_how_much_may_go(removing: Shop) -> None:
    removing.parameters["guards"] = {"deletes": "100%"}
    removing.sync()
    removing.sql("DELETE FROM customer")
    assert counts(removing.sync())["deleted"] == 3


def test_deletions_that_a_rehearsal_found_good_need_no_second_approval(removing: Shop) -> None:
    from contraflow.engine.limits import approval_named

    removing.sync()
    removing.parameters["guards"] = {"updates": 0, "deletes": 0}
    removing.sql("DELETE FROM customer WHERE id = 1; UPDATE customer SET name = 'x' WHERE id = 2")
    stopped = removing.sync()
    assert "updates: 1 (2)" in stopped.exit_description
    assert "deletes: 1 (1)" in stopped.exit_description
    digest = approval_named(stopped.exit_description)
    assert digest
    assert counts(removing.sync(approve=[digest])) == {
        "read": 3,
        "unchanged": 1,
        "written": 2,
        "updated": 1,
        "deleted": 1,
    }


def test_force_makes_what_is_gone_again_only_where_it_is_named(shop: Shop) -> None:
    shop.sync()
    shop.sql("UPDATE customer SET name = 'x' WHERE id = 2")
    gone_for((2,), shop)
    shop.sync()
    shop.remote.answer = lambda changes, _: shop.remote.store(changes)
    assert counts(shop.sync(force=True)) == {"read": 3, "written": 2, "updated": 2, "gone": 1}
    assert counts(shop.sync(force=True, ids=[2])) == {"read": 1, "written": 1, "created": 1}


def test_a_plan_names_the_deletions_and_its_application_carries_them_out(removing: Shop) -> None:
    removing.sync()
    removing.sql("DELETE FROM customer WHERE id < 3")
    with removing.project() as project, project.plan("acme") as plan:
        removing.sql("INSERT INTO customer VALUES (2, 'Bo', NULL)")
        plan.save(removing.directory / "plan.json")
        execution = project.apply(removing.directory / "plan.json")
    assert deleted(removing) == [(1,)]
    assert {name: number for name, number in execution.counts.items() if number}.items() >= {
        "deleted": 1,
        "stale": 1,
    }.items()
