"""The contract documents itself, and its documentation is true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pluggy
import pytest

import contraflow_hookspecs
from contraflow_hookspecs import PROJECT_NAME, SPEC_VERSION, hookimpl, protocols, specs

PUBLIC = {name: getattr(contraflow_hookspecs, name) for name in contraflow_hookspecs.__all__}
HOOKS = {name: getattr(specs, name) for name in specs.__all__}
STAGES = {
    "read_items",
    "process_item",
    "write_items",
    "confirm_items",
    "archive_items",
    "find_items",
    "fetch_items",
    "list_items",
    "forget_items",
    "run_step",
    "count_items",
}


def examples_of(name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(HOOKS[name]) or "")


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_example_of_each_hook_implements_that_hook_and_runs(name: str) -> None:
    found = doctest.DocTestFinder().find(HOOKS[name], name, globs=dict(PUBLIC))
    (example,) = [test for test in found if test.examples]
    runner = doctest.DocTestRunner()
    runner.run(example, clear_globs=False)
    assert runner.failures == 0
    implementation = example.globs[name]
    expected = list(inspect.signature(HOOKS[name]).parameters)
    assert list(inspect.signature(implementation).parameters) == expected


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_each_hook_is_accepted_by_pluggy_with_all_its_arguments(name: str) -> None:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    arguments = ", ".join(inspect.signature(HOOKS[name]).parameters)
    namespace: dict[str, object] = {"hookimpl": hookimpl}
    exec(f"@hookimpl\ndef {name}({arguments}): return 1", namespace)  # noqa: S102 - the signature is the specification's
    plugin = type("Plugin", (), {name: staticmethod(namespace[name])})()
    manager.register(plugin)
    manager.check_pending()
    assert len(getattr(manager.hook, name).get_hookimpls()) == 1


def test_no_hook_of_the_modules_is_left_out() -> None:
    modules = [
        importlib.import_module(each.name) for each in pkgutil.iter_modules(specs.__path__, f"{specs.__name__}.")
    ]
    written = [name for each in modules for name, value in vars(each).items() if hasattr(value, f"{PROJECT_NAME}_spec")]
    assert sorted(written) == sorted(HOOKS)


def test_the_stages_take_the_first_answer_and_the_others_collect() -> None:
    first = {name for name, hook in HOOKS.items() if getattr(hook, f"{PROJECT_NAME}_spec")["firstresult"]}
    assert first == STAGES


def test_each_hook_is_in_the_order_of_a_run() -> None:
    order = list(HOOKS)
    for earlier, later in (
        ("provide_export_job", "configure_job"),
        ("configure_job", "read_items"),
        ("read_items", "process_item"),
        ("process_item", "write_items"),
        ("write_items", "job_finished"),
    ):
        assert order.index(earlier) < order.index(later)


def test_each_stage_has_a_protocol_with_the_arguments_of_its_hook() -> None:
    def camel(name: str) -> str:
        return "".join(part.capitalize() for part in name.split("_"))

    observers = {
        "job_started": "ObserveJob",
        "job_finished": "ObserveJob",
        "step_started": "ObserveStep",
        "step_finished": "ObserveStep",
    }
    for name, hook in HOOKS.items():
        protocol = getattr(protocols, observers.get(name, camel(name)))
        expected = inspect.signature(hook)
        found = inspect.signature(protocol.__call__)
        assert list(found.parameters)[1:] == list(expected.parameters), name
        answer = expected.return_annotation
        assert found.return_annotation in (answer, f"{answer} | Awaitable[{answer}]"), name


def test_the_example_of_the_protocols_runs() -> None:
    assert doctest.testmod(protocols, extraglobs=PUBLIC).failed == 0


def test_a_type_checker_holds_a_connector_against_its_protocol(tmp_path) -> None:
    good = (
        "from collections.abc import Mapping\nfrom typing import Any\n"
        "from contraflow_hookspecs import Item, Skip, StepContext, hookimpl\n"
        "from contraflow_hookspecs.protocols import ProcessItem\n"
        "@hookimpl\n"
        "def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:\n"
        "    return {}\n"
        "_: ProcessItem = process_item\n"
    )
    coroutine = (
        "from collections.abc import Sequence\n"
        "from contraflow_hookspecs import Change, StepContext, WriteResult, Written, hookimpl\n"
        "from contraflow_hookspecs.protocols import WriteItems\n"
        "@hookimpl\n"
        "async def write_items(items: Sequence[Change], context: StepContext) -> list[WriteResult]:\n"
        "    return [Written(key=change.key) for change in items]\n"
        "_: WriteItems = write_items\n"
    )
    foreign = coroutine.replace("list[WriteResult]:", "list[Change]:").replace("[Written(key=change.key)", "[change")
    renamed = good.replace("item: Item, ", "thing: Item, ")
    wrong = good.replace("Mapping[str, Any] | Skip:", "int:").replace("return {}", "return 1")
    results = {}
    for name, text in {
        "good": good,
        "coroutine": coroutine,
        "foreign": foreign,
        "renamed": renamed,
        "wrong": wrong,
    }.items():
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
        results[name] = subprocess.run(command, capture_output=True, text=True, check=False)
    for name in ("good", "coroutine"):
        assert results[name].returncode == 0, results[name].stdout
    for name in ("renamed", "wrong", "foreign"):
        assert "Incompatible types in assignment" in results[name].stdout


def test_the_contract_depends_on_pluggy_and_attrs_alone() -> None:
    code = (
        "import sys, contraflow_hookspecs, contraflow_hookspecs.protocols\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(roots & {'contraflow', 'sqlalchemy', 'yaml', 'click', 'rich', 'alembic', 'cattrs'}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_version_of_the_contract_is_that_of_its_distribution() -> None:
    from importlib.metadata import version

    assert version("contraflow-hookspecs").split(".")[:2] == [str(part) for part in SPEC_VERSION]
