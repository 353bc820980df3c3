"""One record explained: what the ledger knows, and what the next run would make of it. The states are in the how-to page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contraflow.errors import ConfigError
from contraflow.explain import Place
from contraflow_hookspecs import ItemError, Rejected, Skip


def explain(shop: Any, subject: str = "acme/shop_export/customers", id: Any = 1, **options: Any) -> Place:  # noqa: A002
    with shop.project() as project:
        (place,) = project.explain(subject, id, **options).places
    assert isinstance(place, Place)
    return place


@pytest.fixture
def shop(editable_shop: Any) -> Any:
    return editable_shop


def test_nothing_is_written_where_nothing_ran(shop):
    place = explain(shop)
    assert (place.status, place.due, place.why) == (None, True, "the remote has nothing of it")
    assert not (shop.directory / "ledger.db").exists()


@pytest.mark.parametrize(
    ("process", "due", "why"),
    [
        (lambda item, _: Skip(reason="too young"), False, "the processor leaves it out: too young"),
        (lambda item, _: _raise(ItemError("no", code="odd")), False, "it cannot be sent as it is: odd: no"),
        (lambda item, _: {"name": object()}, False, "unknown type"),
        (lambda item, _: None, None, "None (a forgotten `return`?)"),
    ],
)
@pytest.mark.parametrize("ran", [False, True])
def test_what_the_processor_says_is_told(shop, ran, process, due, why):
    if ran:
        shop.sync()
    shop.remote.process = process
    place = explain(shop)
    assert place.due is due
    assert why in place.why


def _raise(error: Exception) -> Any:
    raise error


def test_an_explanation_agrees_with_what_the_next_run_does(shop):
    """For records in many states: what is said to be due is sent, and nothing else."""
    shop.remote.answer = lambda changes, _: [
        Rejected(key=each.key, code="no", reason="no") if each.key == (2,) else shop.remote.store([each])[0]
        for each in changes
    ]
    shop.sync()
    shop.sql("INSERT INTO customer VALUES (4, 'Di', NULL), (5, 'Ed', NULL)")
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna' WHERE id = 1; DELETE FROM customer WHERE id = 4")
    shop.sql("INSERT INTO customer VALUES (6, 'Fe', NULL)")
    said = {number: explain(shop, id=number).due for number in range(1, 8)}
    assert said == {1: True, 2: False, 3: False, 4: False, 5: False, 6: True, 7: False}
    shop.remote.calls.clear()
    shop.sync()
    assert sorted(change.key[0] for change in shop.remote.sent) == [number for number, due in said.items() if due]


@pytest.mark.parametrize("resurrect", [False, True])
def test_what_somebody_removed_is_due_only_where_the_step_says_so(shop, resurrect):
    shop.sync()
    del shop.remote.records[(1,)]
    with shop.project() as project:
        project.drift("acme", repair=True)
    shop.parameters["resurrect"] = resurrect
    place = explain(shop)
    assert (place.status, place.due) == ("gone", resurrect)
    shop.sync()
    assert ((1,) in shop.remote.records) == resurrect


@pytest.mark.parametrize("deletions", ["ignore", "delete"])
@pytest.mark.parametrize("missing", ["warn", "delete"])
def test_what_is_not_in_the_source_is_due_where_a_complete_run_removes_it(shop, deletions, missing):
    """`missing` is for runs by id. Of what was never sent there is nothing to remove."""
    shop.parameters |= {"deletions": deletions, "missing": missing}
    shop.sync()
    shop.sql("DELETE FROM customer WHERE id = 1")
    removed = deletions == "delete"
    why = "it is to be removed" if removed else "the source does not have it"
    assert (explain(shop).due, explain(shop).why) == (removed, why)
    stranger = explain(shop, id=77)
    assert (stranger.due, stranger.why) == (False, "the source does not have it")
    shop.sync()
    assert ((1,) not in shop.remote.records) == removed


def test_changed_fields_and_values(shop):
    shop.parameters["remember"] = "payload"
    shop.sync()
    shop.sql("UPDATE customer SET name = 'Anna', email = NULL WHERE id = 1")
    place = explain(shop)
    assert (place.status, place.due, place.fields) == ("written", True, ("email", "name"))
    assert place.values is None
    assert explain(shop, show_values=True).values == {"id": 1, "name": "Ana", "email": "ana@example.org"}
    assert (place.remote_id, place.changes, place.execution) == ("r1", 1, 1)


def test_an_entity_is_explained_in_all_its_places(shop):
    def step(entity: str) -> dict[str, Any]:
        services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
        return {"services": services, "parameters": {"entity": entity}}

    shop.steps = {"customers": step("customer"), "again": step("customer"), "lines": step("line")}
    with shop.project() as project:
        assert [each.step for each in project.explain("customer", 1).places] == ["customers", "again"]
        assert [each.step for each in project.explain("line", "order_no=B,line=1").places] == ["lines"]


def test_a_source_that_cannot_be_read_is_said(shop):
    shop.sync()
    shop.remote.process = lambda item, _: 1 / 0
    place = explain(shop)
    assert place.status == "written"
    assert place.due is False
    assert "ZeroDivisionError" in place.why


@pytest.mark.parametrize(
    ("subject", "id", "said"),
    [
        ("custmer", 1, "did you mean 'customer'?"),
        ("acme/shop_exprt", 1, "did you mean 'shop_export'?"),
        ("acme/shop_export/custmers", 1, "did you mean 'customers'?"),
        ("line", 1, "no step of an integration exports the entity 'line'"),
        ("customer", "one", "one"),
    ],
)
def test_bad_input(shop, subject, id, said):  # noqa: A002
    with shop.project() as project, pytest.raises(ConfigError) as caught:
        project.explain(subject, id)
    assert said in str(caught.value)


def test_it_can_be_told_as_json(shop):
    from contraflow.cli.output import plain

    shop.sync()
    told = json.loads(json.dumps(plain(explain(shop))))
    assert (told["status"], told["due"], told["key"]) == ("written", False, [1])
