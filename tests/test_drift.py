"""The remote held against what it confirmed: edited, missing, extra; and nothing written but to repair."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from contraflow.drift import Drift
from contraflow.errors import ConfigError, HookContractError
from contraflow_hookspecs import PermanentError, RemoteItem, StepContext, TransientError, hookimpl


@pytest.fixture
def shop(editable_shop: Any) -> Any:
    shop = editable_shop

    class Listing(type(shop.remote)):  # type: ignore[misc]
        @hookimpl
        def list_items(self, context: StepContext) -> Any:
            return self.list()

        def list(self) -> Any:
            for key in self.records:
                yield RemoteItem(key=None, remote_id=f"r{key[0]}")

    shop.remote = Listing()
    shop.sync()
    shop.remote.calls.clear()
    return shop


def drift(shop: Any, **options: Any) -> Drift:
    with shop.project() as project:
        found: Drift = project.drift("acme", **options)
        return found


def told(found: Drift) -> list[tuple[Any, ...]]:
    return [(each.kind, each.key, [field.name for field in each.fields]) for each in found.items]


def ledger(shop: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as connection:
        return [
            row
            for table in ("cf_item_state", "cf_job_execution", "cf_dead_letter", "cf_conflict", "cf_lease")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
        ]


def mess_up(shop: Any) -> None:
    shop.remote.records[(1,)]["email"] = "theirs"
    del shop.remote.records[(2,)]
    shop.remote.records[(77,)] = {"name": "Zoë"}


def test_what_is_as_it_was_is_no_drift(shop):
    found = drift(shop, sample=None)
    assert not found.found
    (step,) = found.steps
    assert (step.compared, step.edited, step.missing, step.extra, step.unread) == (3, 0, 0, 0, 0)


@pytest.mark.parametrize("remember", ["fingerprint", "payload"])
def test_what_differs_is_told_and_nothing_is_written(shop, remember):
    shop.parameters["remember"] = remember
    shop.sync()
    mess_up(shop)
    before, records = ledger(shop), json.dumps(str(shop.remote.records))
    found = drift(shop, sample=None)
    assert told(found) == [("edited", (1,), ["email"]), ("missing", (2,), []), ("extra", None, [])]
    field = found.items[0].fields[0]
    known = remember == "payload"
    assert found.items[0].values_known == known
    assert (field.confirmed, field.remote) == ("ana@example.org" if known else None, "theirs")
    assert found.items[2].remote_id == "r77"
    assert ledger(shop) == before
    assert json.dumps(str(shop.remote.records)) == records
    assert shop.remote.calls == []


def test_a_sample_lists_nothing_and_reads_no_more_than_it_says(shop):
    mess_up(shop)
    shop.remote.asked.clear()
    found = drift(shop, sample=2)
    assert found.sampled
    assert len(shop.remote.asked) == 2
    assert found.steps[0].extra is None
    assert all(each.kind != "extra" for each in found.items)


@pytest.mark.parametrize(
    ("policy", "email"),
    [(None, "ana@example.org"), ("local", "ana@example.org"), ("remote", "theirs"), ("ask", "theirs")],
)
def test_repair_goes_by_the_policy(shop, policy, email):
    shop.parameters["conflicts"] = policy
    shop.remote.records[(1,)]["email"] = "theirs"
    found = drift(shop, repair=True)
    (run,) = found.repairs
    assert run.counts["read"] == 1
    assert shop.remote.records[(1,)]["email"] == email
    assert run.counts.get("conflict", 0) == (policy == "ask")
    again = drift(shop)
    assert again.found == (policy == "ask")
    assert shop.sync().counts["unchanged"] == (2 if policy == "ask" else 3)


def test_what_was_confirmed_is_told_also_while_a_repaired_item_waits(shop):
    """The repair makes the item due; what the remote confirmed before is known all the same."""
    shop.parameters |= {"remember": "payload", "conflicts": "ask"}
    shop.sync()
    shop.remote.records[(1,)]["email"] = "theirs"
    before = drift(shop, repair=True)
    assert before.repairs[0].counts["conflict"] == 1
    (item,) = drift(shop).items
    assert item == before.items[0]
    assert item.values_known
    assert [(each.confirmed, each.remote) for each in item.fields] == [("ana@example.org", "theirs")]


def test_what_somebody_removed_is_recorded_as_gone(shop):
    del shop.remote.records[(2,)]
    assert drift(shop, repair=True).repairs == ()
    assert shop.remote.calls == []
    with shop.project() as project:
        assert [each.status for each in project.items() if each.status != "written"] == ["gone"]


def test_what_was_left_to_the_remote_is_no_drift(shop):
    shop.parameters["conflicts"] = "remote"
    shop.remote.records[(1,)]["email"] = "theirs"
    drift(shop, repair=True)
    assert not drift(shop).found
    shop.remote.records[(1,)]["email"] = "theirs again"
    assert told(drift(shop)) == [("edited", (1,), ["email"])]


def test_what_contraflow_has_not_confirmed_is_not_compared(shop):
    """An entity that is new in the source, and a field that is new in the mapping."""
    shop.sql("INSERT INTO customer VALUES (9, 'Di', NULL)")
    shop.remote.records[(1,)]["phone"] = "555"
    assert not drift(shop).found


def test_records_that_could_not_be_read_are_counted(shop):
    shop.remote.fetch = lambda items: shop.remote.found(items)[:1]
    (step,) = drift(shop).steps
    assert (step.compared, step.unread) == (1, 2)


def test_a_remote_that_lists_keys_needs_no_ids(shop):
    shop.remote.list = lambda: iter([RemoteItem(key=(1,)), RemoteItem(key=(8,))])
    found = drift(shop, sample=None)
    assert [each.kind for each in found.items] == ["extra"]


def test_a_remote_that_cannot_list_says_so(shop):
    def list_nothing() -> Any:
        raise PermanentError("the endpoint has no 'list'", code="not_supported")
        yield

    shop.remote.list = list_nothing
    (step,) = drift(shop, sample=None).steps
    assert (step.compared, step.extra, step.note) == (3, None, "the endpoint has no 'list'")


def test_before_the_first_run_there_is_nothing_to_compare(shop):
    (shop.directory / "ledger.db").unlink()
    (step,) = drift(shop).steps
    assert (step.compared, step.note) == (0, "nothing was sent yet")


def test_a_pause_that_is_none_is_named_as_the_broken_contract_it_is(shop):
    def fetch(items: Any) -> Any:
        raise TransientError("busy", retry_after="10")

    shop.remote.fetch = fetch
    with pytest.raises(HookContractError, match="TransientError with a retry_after of type str"):
        drift(shop)


def test_what_cannot_be_read_at_all_is_refused(shop):
    def fetch(items: Any) -> Any:
        raise PermanentError("the endpoint has neither 'read' nor 'fetch'", code="not_supported")

    shop.remote.fetch = fetch
    with pytest.raises(ConfigError, match="neither 'read' nor 'fetch'"):
        drift(shop)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"step": "custmers"}, "did you mean 'customers'?"), ({"job": "shop_exprt"}, "did you mean 'shop_export'?")],
)
def test_names_that_are_none(shop, options, said):
    with pytest.raises(ConfigError) as caught:
        drift(shop, **options)
    assert said in str(caught.value)
