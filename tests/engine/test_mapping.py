"""A run that turns entities into other payloads than the last one says so, and how much it sends for that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from contraflow.plugins import Plugins
from contraflow.project import Project
from contraflow_hookspecs import JobExecution, Skip, hookimpl


def renamed(item: Any, _: Any) -> Any:
    return {"id": item.data["id"], "title": item.data["name"]} if item.key != (3,) else Skip(reason="not this one")


@pytest.fixture
def sync(shop) -> Callable[..., JobExecution]:
    """A run with the connector in a version."""

    def run(version: str, name: str = "remote", **request: Any) -> JobExecution:
        shop.write()
        plugins = Plugins(only={"contraflow"})
        plugins.register(shop.remote, name, distribution=version)
        for other, plugin in shop.plugins.items():
            plugins.register(plugin, other)
        with Project.load(shop.directory, plugins=plugins) as project:
            return project.sync("acme", **request)

    return run


def test_a_new_version_of_the_connector_is_named_with_what_it_sends_again(shop, sync) -> None:
    assert sync("acme 1.0").notes == ()
    assert sync("acme 1.0").notes == ()
    shop.remote.process = renamed
    execution = sync("acme 1.1")
    assert execution.notes == (
        "the mapping changed since execution 2: remote 1.0 -> 1.1; 2 of 3 items were sent again, for that or for a change "
        "of their own: email in 2, name in 2, title in 2",
    )
    assert execution.errors == ()
    assert sync("acme 1.1").notes == ()
    with shop.project() as project:
        assert project.executions()[1].notes == execution.notes


def test_it_is_said_when_the_step_begins(shop, sync) -> None:
    told = []

    class Observer:
        @hookimpl
        def step_started(self, execution: Any) -> None:
            told.extend(execution.notes)

    shop.plugins["observer"] = Observer()
    sync("acme 1.0")
    sync("acme 2.0")
    assert told == [
        "the mapping changed since execution 1: remote 1.0 -> 2.0; what differs for that is sent again",
    ]


def test_only_a_run_that_compared_everything_settles_the_matter(shop, sync) -> None:
    sync("acme 1.0")
    shop.remote.process = renamed
    changed = "the mapping changed since execution 1: remote 1.0 -> 1.1"
    how = "were sent again, for that or for a change of their own: email in 1, name in 1, title in 1"
    assert sync("acme 1.1", ids=[1]).notes == (f"{changed}; 1 of 1 items {how}",)
    assert sync("acme 1.1").notes == (f"{changed}; 1 of 3 items {how}",)
    assert sync("acme 1.1").notes == ()


def test_a_run_that_fails_leaves_the_mapping_as_it_was(shop, sync) -> None:
    sync("acme 1.0")
    shop.remote.process = renamed
    good = shop.remote.answer
    shop.remote.answer = lambda changes, _: 1 / 0
    assert sync("acme 1.1").status.value == "FAILED"
    shop.remote.answer = good
    assert sync("acme 1.1").notes[0].startswith("the mapping changed since execution 1: remote 1.0 -> 1.1; ")


def test_parameters_and_another_processor_are_named(shop, sync) -> None:
    shop.parameters["prefix"] = "Mr"
    sync("acme 1.0")
    shop.parameters["prefix"] = "Ms"
    shop.parameters["batch_size"] = 7  # nobody's mapping
    (note,) = sync("acme 1.0").notes
    assert note == "the mapping changed since execution 1: parameter prefix; 0 of 3 items were sent again"


def test_an_edited_module_is_noticed_without_a_new_version(shop) -> None:
    module = shop.directory / "edited_processor.py"
    code = "from contraflow_hookspecs import hookimpl\n\n@hookimpl\ndef process_item(item, context):\n    return {}\n"
    module.write_text(code)
    shop.config["plugins"] = {"mapper": "edited_processor"}
    step = {"reader": "entity.all", "processor": "mapper", "writer": "remote"}
    shop.steps = {"customers": {"services": step, "parameters": {"entity": "customer"}}}
    assert shop.sync().notes == ()
    module.write_text(code + "# a remark\n")
    (note,) = shop.sync().notes
    assert note == "the mapping changed since execution 1: the source of mapper; 0 of 3 items were sent again"


def test_a_step_that_no_longer_remembers_payloads_removes_them(shop) -> None:
    shop.parameters["remember"] = "payload"
    shop.sync()
    del shop.parameters["remember"]
    assert shop.sync(ids=[]).notes == ()
    with closing(sqlite3.connect(shop.directory / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT payload, digests IS NULL FROM cf_item_state").fetchall()
    assert rows == [(None, 0)] * 3
