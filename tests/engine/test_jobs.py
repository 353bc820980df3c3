"""Jobs: their steps in order, their parameters and filters, their resources, and how they end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from contraflow.errors import ConfigError
from contraflow_hookspecs import BatchStatus, Capabilities, ExportJob, SystemicError, Written, hookimpl


def item_step(**parameters: Any) -> dict[str, Any]:
    services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
    return {"services": services, "parameters": parameters}


def keys(shop) -> list[tuple[Any, ...]]:
    return [change.key for change in shop.remote.sent]


def test_steps_run_in_order_and_every_steps_counters_are_kept(shop) -> None:
    shop.steps = {"customers": item_step(), "lines": item_step(entity="line")}
    execution = shop.sync()
    assert [(step.step, step.counts["written"]) for step in execution.steps] == [("customers", 3), ("lines", 3)]
    assert execution.counts["written"] == 6
    assert keys(shop) == [(1,), (2,), (3,), ("A,1", 1), ("A,1", 2), ("B", 1)]


def test_the_first_step_that_fails_stops_the_job_and_shows_its_counters(shop) -> None:
    shop.steps = {"customers": item_step(batch_size=2), "lines": item_step(entity="line")}

    def answer(changes, context):
        if changes[0].key == (3,):
            raise SystemicError("no more")
        return shop.remote.store(changes)

    shop.remote.answer = answer
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert [step.step for step in execution.steps] == ["customers"]
    assert execution.counts["written"] == 2
    assert execution.errors == ("no more",)


def test_only_the_chosen_steps_run(shop) -> None:
    shop.steps = {"customers": item_step(), "lines": item_step(entity="line")}
    execution = shop.sync(steps=["lines"], ids=["order_no=B,line=1", ["A,1", 2]])
    assert [step.step for step in execution.steps] == ["lines"]
    assert keys(shop) == [("B", 1), ("A,1", 2)]
    with pytest.raises(ConfigError, match="has no step 'line'") as caught:
        shop.sync(steps=["line"])
    assert "did you mean 'lines'?" in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (2, [(2,)]),
        ("2", [(2,)]),
        ([3, 1], [(3,), (1,)]),
        ([1, "1", 1], [(1,)]),
        ({"id": 2}, [(2,)]),
        ([{"id": 2}, (1,)], [(2,), (1,)]),
        ([], []),
        ([99], []),
    ],
)
@pytest.mark.parametrize("reader", ["entity.by_id", "entity.all", "oro_integration.reader.entity.by_id"])
def test_ids_in_every_form_are_honoured_by_every_reader(shop, reader, ids, expected) -> None:
    shop.reader = reader
    execution = shop.sync(ids=ids)
    assert execution.status is BatchStatus.COMPLETED
    assert keys(shop) == expected


def test_ids_that_are_not_there_are_counted(shop) -> None:
    execution = shop.sync(ids=[1, 77, 99])
    assert {name: number for name, number in execution.counts.items() if number} == {
        "read": 1,
        "written": 1,
        "created": 1,
        "missing": 2,
    }


def test_ids_among_the_parameters_are_the_ancestors_way(shop) -> None:
    shop.reader = "entity.by_id"
    shop.sync(parameters={"id": 1, "ids": [3]})
    assert keys(shop) == [(3,), (1,)]


def test_a_reader_by_id_wants_to_be_told_and_everything_must_be_said(shop) -> None:
    """A lost filter must not export a whole table."""
    shop.reader = "entity.by_id"
    with pytest.raises(ConfigError, match="reads by id, and nothing says which"):
        shop.sync()
    assert not (shop.directory / "ledger.db").exists()
    assert shop.sync(everything=True).counts["written"] == 3
    with pytest.raises(ConfigError, match="both ids and everything"):
        shop.sync(ids=[1], everything=True)


@pytest.mark.parametrize(
    "parameters",
    [
        {"season": "winter"},
        {"export": {"season": "winter"}},
        {"customers": {"season": "winter"}},
        {"A title": {"season": "winter"}},
        {"season": "summer", "export": {"season": "winter"}},
    ],
    ids=["flat", "type", "key", "title", "section over flat"],
)
def test_a_step_gets_the_runs_parameters_whatever_its_title(shop, parameters) -> None:
    seen = []
    shop.steps = {"customers": {**item_step(), "title": "A title"}}
    shop.remote.process = lambda item, context: seen.append(dict(context.parameters)) or {}
    shop.sync(parameters=parameters)
    assert {each["season"] for each in seen} == {"winter"}
    assert {each["entity"] for each in seen} == {"customer"}


def test_a_section_is_for_its_own_step(shop) -> None:
    seen = {}
    shop.steps = {"one": item_step(), "two": item_step()}
    shop.remote.process = lambda item, context: seen.__setitem__(context.step, context.parameters.get("season")) or {}
    shop.sync(parameters={"one": {"season": "winter"}})
    assert seen == {"one": "winter", "two": None}


def test_parameters_of_the_run_are_over_those_of_the_file_and_camel_case_is_understood(shop) -> None:
    shop.parameters = {"batchSize": 1}
    shop.sync()
    assert [len(call) for call in shop.remote.calls] == [1, 1, 1]
    shop.sql("UPDATE customer SET name = name || '!'")
    shop.sync(parameters={"BatchSize": 2})
    assert [len(call) for call in shop.remote.calls[3:]] == [2, 1]


def test_plugins_may_configure_a_run_and_see_how_it_went(shop) -> None:
    events = []

    class Observer:
        @hookimpl
        def configure_job(self, job, parameters):
            return {"batch_size": 2}

        @hookimpl
        def job_started(self, execution):
            events.append(("job_started", execution.status))

        @hookimpl
        def step_started(self, execution):
            events.append(("step_started", execution.total))

        @hookimpl
        def chunk_settled(self, execution, results):
            events.append(("chunk_settled", execution.counts["read"], len(results)))

        @hookimpl
        def step_finished(self, execution):
            events.append(("step_finished", execution.status))

        @hookimpl
        def job_finished(self, execution):
            events.append(("job_finished", execution.status))

    shop.plugins["observer"] = Observer()
    shop.sync()
    assert events == [
        ("job_started", BatchStatus.STARTED),
        ("step_started", 3),
        ("chunk_settled", 2, 2),
        ("chunk_settled", 3, 1),
        ("step_finished", BatchStatus.COMPLETED),
        ("job_finished", BatchStatus.COMPLETED),
    ]


def test_no_call_carries_more_than_the_remote_takes(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 30)])
    shop.remote.capabilities = Capabilities(max_batch=5)
    shop.sync()
    assert [len(call) for call in shop.remote.calls] == [5, 5, 5, 5, 3]


def test_changes_are_gathered_into_full_chunks_though_few_rows_changed(shop) -> None:
    shop.sql("INSERT INTO customer VALUES (?, 'x', NULL)", *[(n,) for n in range(10, 200)])
    shop.sync()
    shop.remote.calls.clear()
    shop.parameters = {"batch_size": 10}
    shop.sql("UPDATE customer SET name = 'y' WHERE id % 5 = 0")
    shop.sync()
    assert [len(call) for call in shop.remote.calls] == [10, 10, 10, 8]


class Tasklet:
    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.contexts: list[Any] = []

    @hookimpl
    def run_step(self, context):
        self.contexts.append(context)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "step",
    [
        {"services": {"handler": "purge"}},
        {"class": "purge", "services": {"one": "x", "two": "y"}},
        {"class": r"Acme\Bundle\PurgeStep"},
    ],
    ids=["one service", "class", "mapped class"],
)
def test_a_step_without_a_reader_is_a_tasklet(shop, step) -> None:
    tasklet = Tasklet({"purged": 3})
    shop.plugins["purge"] = tasklet
    shop.config = {"classes": {r"Acme\Bundle\PurgeStep": "purge"}}
    shop.steps = {"purge": {**step, "parameters": {"season": "winter"}}, "customers": item_step()}
    execution = shop.sync()
    assert dict(execution.steps[0].counts) == {"purged": 3}
    assert execution.steps[1].counts["written"] == 3
    (context,) = tasklet.contexts
    assert context.parameters["season"] == "winter"
    assert dict(context.services) == dict(step.get("services", {}))


@pytest.mark.parametrize("answer", [[1], 5, True, {"a": "x"}, {"a": 1.5}])
def test_counters_that_are_none_are_named(shop, answer) -> None:
    shop.plugins["purge"] = Tasklet(answer)
    shop.steps = {"purge": {"services": {"handler": "purge"}}}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "plugin 'purge', hook run_step" in execution.errors[0]


@pytest.mark.parametrize("answer", ["5", -1, 2.5, [1]])
def test_an_expected_number_that_is_none_is_named(shop, answer) -> None:
    class Reader:
        @hookimpl
        def count_items(self, context):
            return answer

        @hookimpl
        def read_items(self, context):
            return []

    shop.plugins["reader"] = Reader()
    shop.steps = {"x": {"services": {"reader": "reader", "processor": "remote", "writer": "remote"}}}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "plugin 'reader', hook count_items" in execution.errors[0]


def test_a_tasklet_that_fails_fails_the_job(shop) -> None:
    shop.plugins["purge"] = Tasklet(RuntimeError("full"))
    shop.steps = {"purge": {"services": {"handler": "purge"}}, "customers": item_step()}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.errors == ("RuntimeError: full",)
    assert len(execution.steps) == 1


@attrs.define(eq=False)
class Resourceful:
    """A connector with a resource."""

    log: list[str] = attrs.field(factory=list)
    fail_open: bool = False
    fail_close: bool = False
    fail_write: bool = False

    @contextmanager
    def opened(self, settings):
        if self.fail_open:
            raise SystemicError("login refused")
        self.log.append("open")
        try:
            yield self.log
        finally:
            self.log.append("close")
            if self.fail_close:
                raise RuntimeError("close failed")

    @hookimpl
    def provide_export_job(self):
        return ExportJob(name="shop_export", entity="customer", open_resources=self.opened)

    @hookimpl
    def process_item(self, item, context):
        return dict(item.data)

    @hookimpl
    def write_items(self, items, context):
        context.resource.append(f"write {len(items)}")
        if self.fail_write:
            raise ValueError("write failed")
        return [Written(key=change.key) for change in items]


def resourceful(shop, **faults: bool) -> Resourceful:
    connector = Resourceful(**faults)
    shop.remote = connector
    return connector


def test_a_resource_is_opened_once_a_run_and_closed_again(shop) -> None:
    connector = resourceful(shop)
    shop.steps = {"one": item_step(), "two": item_step(entity="line")}
    assert shop.sync().status is BatchStatus.COMPLETED
    assert connector.log == ["open", "write 3", "write 3", "close"]


def test_a_resource_that_cannot_be_opened_fails_the_job_and_is_recorded(shop) -> None:
    resourceful(shop, fail_open=True)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.failures == ("login refused",)
    with shop.project() as project:
        assert project.executions()[0].failures == ("login refused",)


def test_a_resource_that_fails_to_close_does_not_hide_the_first_cause(shop) -> None:
    connector = resourceful(shop, fail_write=True, fail_close=True)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.exit_description.startswith("ValueError: write failed")
    assert connector.log == ["open", "write 3", "close"]
    assert "RuntimeError: close failed" in execution.errors


def test_a_resource_that_fails_to_close_fails_the_job(shop) -> None:
    resourceful(shop, fail_close=True)
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert execution.counts["written"] == 3


def test_a_disabled_integration_is_refused(shop) -> None:
    shop.config = {"integrations": {"acme": {"connector": "remote", "enabled": False}}}
    with pytest.raises(ConfigError, match="integration 'acme' is disabled") as caught:
        shop.sync()
    assert "contraflow.yaml" in str(caught.value)
    assert not (shop.directory / "ledger.db").exists()


def test_a_wrapper_sees_the_calls_of_a_run(shop) -> None:
    sizes = []

    class Timing:
        @hookimpl(wrapper=True)
        def write_items(self, items, context):
            result = yield
            sizes.append(len(result))
            return result

    shop.plugins["timing"] = Timing()
    shop.sync()
    assert sizes == [3]


def test_a_wrapper_that_forgets_to_return_is_noticed(shop) -> None:
    class Forgetful:
        @hookimpl(wrapper=True)
        def process_item(self, item, context):
            yield

    shop.plugins["forgetful"] = Forgetful()
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "found None (a forgotten `return`?)" in execution.errors[0]


def test_a_relation_that_was_not_loaded_says_what_to_add(shop) -> None:
    (shop.directory / "shop_models_lazy.py").write_text(
        "from sqlalchemy import ForeignKey\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship\n"
        "class Base(DeclarativeBase): pass\n"
        "class Customer(Base):\n"
        "    __tablename__ = 'customer'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    name: Mapped[str]\n"
        "    pets: Mapped[list['Pet']] = relationship()\n"
        "class Pet(Base):\n"
        "    __tablename__ = 'pet'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    name: Mapped[str]\n"
        "    owner: Mapped[int] = mapped_column(ForeignKey('customer.id'))\n"
    )
    shop.sql(
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, name TEXT, owner INTEGER); INSERT INTO pet VALUES (1, 'Rex', 1);"
    )
    shop.config = {"entities": {"customer": "shop_models_lazy:Customer"}}
    shop.remote.process = lambda item, _: {"pets": [pet.name for pet in item.entity.pets]}
    execution = shop.sync()
    assert execution.status is BatchStatus.FAILED
    assert "relation 'pets' of Customer is not loaded: add `load: [pets]`" in execution.errors[0]
    shop.parameters = {"load": ["pets"]}
    assert shop.sync().status is BatchStatus.COMPLETED
    assert shop.remote.records[(1,)] == {"pets": ["Rex"]}


def test_state_does_not_leak_from_one_run_into_the_next_of_one_process(shop) -> None:
    shop.steps = {"customers": item_step(), "lines": item_step(entity="line")}
    with shop.project() as project:
        first = project.sync("acme", steps=["customers"], ids=[1])
        second = project.sync("acme", steps=["lines"])
        third = project.sync("acme", steps=["customers"])
    assert [each.counts["read"] for each in (first, second, third)] == [1, 3, 3]
    assert third.counts["unchanged"] == 1


@pytest.mark.parametrize(
    ("first", "second", "headline"),
    [({}, {}, 6), ({"add_to_job_summary": True}, {}, 3), ({}, {"add_to_job_summary": False}, 3)],
)
def test_a_headline_can_be_of_chosen_steps(shop, first, second, headline) -> None:
    shop.steps = {"customers": item_step(**first), "lines": item_step(entity="line", **second)}
    execution = shop.sync()
    assert execution.counts["written"] == headline
    assert [step.counts["written"] for step in execution.steps] == [3, 3]
    with shop.project() as project:
        assert project.executions() == [execution]


@pytest.mark.parametrize("step_class", ["tasklet", r"Akeneo\Component\Batch\Step\TaskletStep"])
def test_a_tasklet_step_is_known_by_its_class(shop, step_class) -> None:
    shop.plugins["purge"] = Tasklet({"purged": 1})
    shop.steps = {"purge": {"class": step_class, "services": {"tasklet": "purge"}}}
    assert shop.sync().steps[0].counts == {"purged": 1}
    shop.steps = {"purge": {"class": step_class, "services": {"reader": "entity.all", "writer": "remote"}}}
    with pytest.raises(ConfigError, match="step 'purge' is a tasklet"):
        shop.sync()
