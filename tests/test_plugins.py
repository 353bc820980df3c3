"""Plugins are found, held against the contract, and dispatched to one at a time within the wrappers of all."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from contraflow.contract import COROUTINES
from contraflow.errors import HookContractError, PluginError
from contraflow.plugins import Plugins
from contraflow_hookspecs import ExportJob, Item, RemoteItem, StepContext, hookimpl, protocols

CONTEXT = StepContext(integration="a", job="j", step="s", execution_id=0)


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(only=())


class Doubling:
    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        return {"n": item.entity * 2}


class Tripling:
    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        return {"n": item.entity * 3}


class Noting:
    """A wrapper around everybody's process_item."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl(wrapper=True)
    def process_item(self, item: Item, context: StepContext) -> Any:
        result = yield
        self.seen.append(result)
        return result


def test_a_stage_calls_the_named_plugin_alone(plugins: Plugins) -> None:
    plugins.register(Doubling(), "doubling")
    plugins.register(Tripling(), "tripling")
    for name, expected in (("doubling", 4), ("tripling", 6)):
        call = plugins.caller("process_item", name)
        assert call(item=Item(key=(1,), entity=2), context=CONTEXT) == {"n": expected}


class Quick:
    """Takes all arguments, by name; pluggy's call can be left out."""

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> dict[str, Any] | None:
        return {"n": item.entity} if item.entity else None


class Brief:
    """Takes only what it needs."""

    @hookimpl
    def process_item(self, item: Item) -> dict[str, Any]:
        return {"n": item.entity}


class Positional:
    @hookimpl
    def process_item(self, item: Item, context: StepContext, /) -> dict[str, Any]:
        return {"n": item.entity}


@pytest.mark.parametrize("plugin", [Quick(), Brief(), Positional()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_stage_answers_alike_however_it_is_written_and_whoever_looks_on(
    plugins: Plugins, plugin: object, wrapped: bool
) -> None:
    noting = Noting()
    plugins.register(plugin, "quick")
    if wrapped:
        plugins.register(noting, "noting")
    call = plugins.caller("process_item", "quick")
    assert call(item=Item(key=(1,), entity=1), context=CONTEXT) == {"n": 1}
    assert noting.seen == ([{"n": 1}] if wrapped else [])
    if isinstance(plugin, Quick):
        assert call(item=Item(key=(1,), entity=0), context=CONTEXT) is None


def test_a_wrapper_sees_every_stage_and_serves_none(plugins: Plugins) -> None:
    noting = Noting()
    plugins.register(Doubling(), "doubling")
    plugins.register(Tripling(), "tripling")
    plugins.register(noting, "noting")
    for name in ("doubling", "tripling"):
        plugins.caller("process_item", name)(item=Item(key=(1,), entity=1), context=CONTEXT)
    assert noting.seen == [{"n": 2}, {"n": 3}]
    with pytest.raises(PluginError, match="plugin 'noting' implements process_item only as a wrapper"):
        plugins.caller("process_item", "noting")


def test_an_implementation_under_another_method_name_does_not_escape_the_selection(plugins: Plugins) -> None:
    class Sly:
        @hookimpl(specname="process_item")
        def something_else(self, item: Item, context: StepContext) -> Any:
            return {"sly": True}

    plugins.register(Doubling(), "doubling")
    plugins.register(Sly(), "sly")
    assert plugins.caller("process_item", "doubling")(item=Item(key=(1,), entity=1), context=CONTEXT) == {"n": 2}
    assert plugins.caller("process_item", "sly")(item=Item(key=(1,), entity=1), context=CONTEXT) == {"sly": True}


def test_a_plugin_without_the_hook_cannot_serve_it(plugins: Plugins) -> None:
    plugins.register(Doubling(), "doubling")
    with pytest.raises(PluginError, match="plugin 'doubling' has no write_items"):
        plugins.caller("write_items", "doubling")


def test_the_same_object_under_a_second_name_is_an_alias(plugins: Plugins) -> None:
    doubling = Doubling()
    plugins.register(doubling, "doubling")
    plugins.register(doubling, "old.name")
    (record,) = plugins.records
    assert (record.name, record.aliases) == ("doubling", ("old.name",))
    assert plugins.names == ("doubling", "old.name")
    assert plugins.caller("process_item", "old.name")(item=Item(key=(1,), entity=1), context=CONTEXT) == {"n": 2}


def test_two_plugins_of_one_name_are_refused_naming_both_origins(plugins: Plugins) -> None:
    plugins.register(Doubling(), "crm", distribution="acme-crm 1.0")
    with pytest.raises(
        PluginError, match=r"two plugins are named 'crm': one from acme-crm 1\.0, one from other-crm 2\.0"
    ):
        plugins.register(Tripling(), "crm", distribution="other-crm 2.0")


def broken(**attributes: Any) -> object:
    return type("Broken", (), attributes)()


@hookimpl
def proces_item(self: Any, item: Item, context: StepContext) -> Any: ...


@hookimpl(specname="process_item")
def misspelt_argument(self: Any, itm: Item, context: StepContext) -> Any: ...


@hookimpl(specname="process_item")
def with_default(self: Any, item: Item, context: StepContext | None = None) -> Any: ...


@hookimpl(specname="process_item")
async def asynchronous(self: Any, item: Item, context: StepContext) -> Any: ...


@hookimpl(specname="write_items")
async def streaming(self: Any, items: Sequence[Any], context: StepContext) -> Any:
    yield


@hookimpl(specname="write_items", wrapper=True)
async def wrapping(self: Any, items: Sequence[Any], context: StepContext) -> Any:
    return None


@hookimpl(specname="write_items")
def generating(self: Any, items: Sequence[Any], context: StepContext) -> Any:
    yield


@attrs.define
class Unhashable:
    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any: ...


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (Doubling, "is the class Doubling; expected an instance or a module: have you forgotten the '()'?"),
        (
            broken(proces_item=proces_item),
            "hook 'proces_item', which the contract 1.0 does not know; did you mean 'process_item'?",
        ),
        (
            broken(misspelt=misspelt_argument),
            "takes an unknown argument 'itm'; expected (item, context); did you mean 'item'?",
        ),
        (broken(default=with_default), "gives 'context' a default; arguments of hooks have none"),
        (
            broken(asynchronous=asynchronous),
            "process_item is `async def`; expected a plain function; `async def` may be archive_items, check_connection, ",
        ),
        (broken(streaming=streaming), "write_items is `async def`; expected a plain function"),
        (broken(wrapping=wrapping), "write_items is `async def`; expected a plain function"),
        (broken(generating=generating), "write_items is a generator function; expected one that returns its answer"),
        (Unhashable(), "is not hashable: declare its class with attrs.define(eq=False)"),
    ],
)
def test_what_breaks_the_contract_is_named_at_registration(plugins: Plugins, plugin: object, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        plugins.register(plugin, "bad")
    assert message in str(caught.value)
    assert "plugin 'bad'" in str(caught.value)
    assert plugins.names == ()


def test_a_generator_may_list_what_the_remote_has(plugins: Plugins) -> None:
    @hookimpl
    def list_items(context: StepContext) -> Any:
        yield RemoteItem(key=None, remote_id="r1")

    module = types.ModuleType("lister")
    module.list_items = list_items  # type: ignore[attr-defined]
    plugins.register(module, "lister")
    assert [each.remote_id for each in plugins.caller("list_items", "lister")(context=CONTEXT)] == ["r1"]


def test_the_hooks_that_may_be_coroutines_are_those_of_the_contract() -> None:
    """Where the protocol's answer may be awaited."""
    may = {
        name
        for name, kind in vars(protocols).items()
        if inspect.isclass(kind) and "Awaitable" in str(inspect.get_annotations(kind.__call__).get("return"))
    }
    assert {name.title().replace("_", "") for name in COROUTINES} == may


def test_a_plugin_with_coroutines_is_one_like_others(plugins: Plugins) -> None:
    """Called at once, known under its aliases, and found in its file."""

    class Acme:
        @hookimpl
        async def check_connection(self, context: StepContext) -> str:
            return "Acme 1.0"

        @hookimpl
        def process_item(self, item: Item, context: StepContext) -> Any:
            return {"n": item.entity}

    acme = Acme()
    plugins.register(acme, "acme")
    plugins.register(acme, "other-name")
    assert plugins.record("other-name").aliases == ("other-name",)
    assert plugins.record("acme").hooks == ("check_connection", "process_item")
    assert plugins.plugin("other-name") is acme
    for name in ("acme", "other-name"):
        assert plugins.check_connection(name, CONTEXT) == "Acme 1.0"
        assert plugins.caller("process_item", name)(item=Item(key=(1,), entity=2), context=CONTEXT) == {"n": 2}
    assert plugins.source_digest("acme") == plugins.source_digest("other-name") is not None
    plugins.close()


def test_a_generator_may_read(plugins: Plugins) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context: StepContext) -> Any:
            yield Item(key=(1,))

    plugins.register(Reader(), "reader")
    assert [item.key for item in plugins.caller("read_items", "reader")(context=CONTEXT)] == [(1,)]


@pytest.mark.parametrize("answer", [None, [], (), "name", (ExportJob(name="a"), 1)])
def test_an_export_job_that_is_none_is_named(plugins: Plugins, answer: object) -> None:
    class Connector:
        @hookimpl
        def provide_export_job(self) -> Any:
            return answer

    plugins.register(Connector(), "crm")
    with pytest.raises(
        HookContractError, match=r"plugin 'crm', hook provide_export_job: found .*; expected an ExportJob"
    ):
        plugins.export_jobs("crm")


def test_later_plugins_overlay_the_parameters_of_earlier_ones(plugins: Plugins) -> None:
    class One:
        @hookimpl
        def configure_job(self, job: str, parameters: Any) -> Any:
            return {"a": 1, "b": 1}

    class Silent:
        @hookimpl
        def configure_job(self, job: str, parameters: Any) -> None:
            parameters.clear()  # what is handed out is a copy

    class Two:
        @hookimpl
        def configure_job(self, job: str, parameters: Any) -> Any:
            return {"b": parameters["b"] + 1}

    for name, plugin in {"a": One(), "b": Silent(), "c": Two()}.items():
        plugins.register(plugin, name)
    assert plugins.configure("job", {"given": True}) == {"given": True, "a": 1, "b": 2}


def test_nobody_listening_costs_nothing(plugins: Plugins) -> None:
    assert plugins.notifier("chunk_settled") is None


def distribution(
    directory: Path, name: str, version: str, entry_points: dict[str, str], *, requires: str | None = None
) -> None:
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    lines = [f"{entry} = {target}" for entry, target in entry_points.items()]
    (info / "entry_points.txt").write_text("[contraflow]\n" + "\n".join(lines) + "\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path in which distributions lie, as pip lays them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_plugins_are_found_by_their_entry_points(installed: Path) -> None:
    (installed / "acme_found.py").write_text(
        "from contraflow_hookspecs import *\n@hookimpl\ndef process_item(item, context): return {}\n"
    )
    distribution(installed, "acme-crm", "1.2", {"acme.customers": "acme_found", "YOUR_PROCESSOR": "acme_found"})
    plugins = Plugins(only={"acme-crm"})
    (record,) = plugins.records
    assert (record.name, record.aliases) == ("YOUR_PROCESSOR", ("acme.customers",))
    assert record.distribution == "acme-crm 1.2"
    assert record.hooks == ("process_item",)


def test_a_plugin_that_cannot_be_imported_is_kept_aside_and_the_others_work(installed: Path) -> None:
    (installed / "acme_broken.py").write_text("import no_such_module\n")
    (installed / "acme_works.py").write_text(
        "from contraflow_hookspecs import *\n@hookimpl\ndef process_item(item, context): return {}\n"
    )
    entry_points = {"broken": "acme_broken", "works": "acme_works", "gone": "acme_gone", "part": "acme_works:plugin"}
    distribution(installed, "acme-crm", "1.0", entry_points)
    plugins = Plugins(only={"acme-crm"})
    errors = {record.name: record.error for record in plugins.records}
    assert errors["works"] is None
    assert "ModuleNotFoundError: No module named 'no_such_module'" in str(errors["broken"])
    assert "pyproject.toml" not in str(errors["broken"])  # the module is there, and lacks something else
    assert "cannot be imported from 'acme_gone'" in str(errors["gone"])
    for name in ("gone", "part"):
        advice = f"; correct the entry point '{name}' in its package's pyproject.toml, and install that again"
        assert str(errors[name]).endswith(advice)
    assert plugins.names == ("works",)
    found, hint = plugins.explain_missing("broken")
    assert found == "a plugin of acme-crm 1.0 that cannot be used"
    assert "no_such_module" in hint


def test_a_plugin_that_leaves_the_program_at_import_is_kept_aside_too(installed: Path) -> None:
    (installed / "acme_exit.py").write_text("import sys\nsys.exit('this needs acme-sdk')\n")
    distribution(installed, "acme-crm", "1.0", {"exits": "acme_exit"})
    plugins = Plugins(only={"acme-crm"})
    plugins.register_module("own", "acme_exit", distribution="contraflow.yaml, plugins")
    for record in plugins.records:
        assert record.error == "cannot be imported from 'acme_exit': SystemExit: this needs acme-sdk"


@pytest.mark.parametrize(
    ("marks", "body", "expected"),
    [
        ("wrapper=True", "return []", "is a wrapper without a `yield`"),
        ("hookwrapper=True", "return []", "is a wrapper without a `yield`"),
        ("wrapper=True, hookwrapper=True", "yield", "is marked twice as a wrapper"),
    ],
)
def test_a_wrapper_that_is_none_is_kept_aside_and_the_others_work(
    installed: Path, marks: str, body: str, expected: str
) -> None:
    head = "from contraflow_hookspecs import hookimpl\n"
    (installed / "acme_wrap.py").write_text(f"{head}@hookimpl({marks})\ndef write_items(items, context):\n    {body}\n")
    (installed / "acme_fine.py").write_text(f"{head}@hookimpl\ndef run_step(context): return {{}}\n")
    distribution(installed, "acme-crm", "1.0", {"fine": "acme_fine", "wrap": "acme_wrap"})
    plugins = Plugins(only={"acme-crm"})
    assert expected in str(plugins.record("wrap").error)
    assert plugins.names == ("fine",)
    sys.modules.pop("acme_wrap", None)


def test_the_hooks_that_a_plugin_only_wraps_are_told_apart(plugins: Plugins) -> None:
    plugins.register(Doubling(), "doubling")
    plugins.register(Noting(), "noting")
    assert {each.name: each.wrappers for each in plugins.records} == {"doubling": (), "noting": ("process_item",)}


def test_one_name_from_two_distributions_is_refused_naming_both(installed: Path) -> None:
    (installed / "acme_a.py").write_text("")
    distribution(installed, "acme-crm", "1.0", {"crm": "acme_a"})
    distribution(installed, "better-crm", "2.0", {"crm": "acme_a"})
    plugins = Plugins(only={"acme-crm", "better-crm"})
    (record,) = plugins.records
    assert record.error == "provided by acme-crm 1.0 and better-crm 2.0: uninstall one of them"
    assert "acme_a" not in sys.modules


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("contraflow-hookspecs>=1.0,<2", None),
        ("contraflow_hookspecs>=1", None),
        ("contraflow-hookspecs>=9; python_version < '3'", None),
        ("contraflow-hookspecs-extra>=9", None),
        (
            "contraflow-hookspecs<3,>=2",
            "was written for the contract contraflow-hookspecs<3,>=2, and 1.0.0 is installed: install a version of "
            "acme-crm for contraflow-hookspecs 1.0.0, or the other contract",
        ),
        ("contraflow-hookspecs>=one", "asks for 'contraflow-hookspecs>=one', which is no requirement"),
    ],
)
def test_a_plugin_for_another_contract_is_named_and_not_imported(
    installed: Path, requirement: str, expected: str | None
) -> None:
    (installed / "acme_contract.py").write_text("from contraflow_hookspecs import hookimpl\n")
    distribution(installed, "acme-crm", "1.0", {"crm": "acme_contract"}, requires=requirement)
    (record,) = Plugins(only={"acme-crm"}).records
    if expected is None:
        assert record.error is None
    else:
        assert expected in str(record.error)
        assert "acme_contract" not in sys.modules
    sys.modules.pop("acme_contract", None)


def test_a_disabled_plugin_is_never_imported(installed: Path) -> None:
    (installed / "acme_evil.py").write_text("raise SystemExit('imported')")
    distribution(installed, "acme-crm", "1.0", {"evil": "acme_evil"})
    plugins = Plugins(only={"acme-crm"}, disabled=["evil"])
    assert plugins.records == ()
    assert "disable_plugins" in plugins.explain_missing("evil")[1]


def test_a_missing_plugin_says_how_it_was_looked_for(plugins: Plugins) -> None:
    plugins.register(Doubling(), "acme.customers")
    found, hint = plugins.explain_missing("acme.customer")
    assert found == "no plugin of that name"
    assert "did you mean 'acme.customers'?" in hint
    assert "entry point 'acme.customer' in the group 'contraflow'" in hint


def test_a_connectors_definition_lies_beside_its_module(plugins: Plugins, installed: Path) -> None:
    (installed / "acme_jobs.py").write_text("")
    (installed / "acme_jobs.yml").write_text("export_it:\n    type: export\n    steps: {one: {services: {run: x}}}\n")
    plugins.register_module("acme", "acme_jobs", distribution="tests")
    jobs = plugins.definitions("acme", ExportJob(name="export_it", definition="acme_jobs.yml"))
    assert [step.key for step in jobs["export_it"].steps] == ["one"]


def test_a_connectors_definition_that_is_missing_or_wrong_is_named(plugins: Plugins, installed: Path) -> None:
    (installed / "acme_wrong.py").write_text("")
    (installed / "acme_wrong.yml").write_text("export_it:\n    typ: export\n")
    plugins.register_module("acme", "acme_wrong", distribution="tests")
    with pytest.raises(Exception, match=r"plugin 'acme'.*cannot be read"):
        plugins.definitions("acme", ExportJob(name="export_it", definition="missing.yml"))
    with pytest.raises(Exception, match=r"acme_wrong\.yml:2"):
        plugins.definitions("acme", ExportJob(name="export_it", definition="acme_wrong.yml"))


def test_a_definition_of_the_wrong_type_breaks_the_contract(plugins: Plugins) -> None:
    plugins.register(Doubling(), "doubling")
    job: Any = ExportJob(name="x", definition=5)  # type: ignore[arg-type]
    with pytest.raises(
        HookContractError, match="provide_export_job: found an object of type int; expected a definition"
    ):
        plugins.definitions("doubling", job)


def test_the_built_in_readers_take_the_same_road_as_everybody() -> None:
    records = {record.name: record for record in Plugins(only={"contraflow"}).records}
    assert set(records) == {"entity.all", "entity.by_id", "entity.changed", "query"}
    assert records["entity.by_id"].aliases == ("oro_integration.reader.entity.by_id",)
    assert all(record.error is None for record in records.values())


def test_a_module_plugin_of_a_project_that_fails_is_listed_with_its_error(plugins: Plugins) -> None:
    plugins.register_module("own", "no_such_module_at_all", distribution="contraflow.yaml, plugins")
    (record,) = plugins.records
    assert record.error is not None
    assert "No module named 'no_such_module_at_all'" in record.error


def test_a_module_in_no_file_must_bring_its_definition_as_a_mapping(plugins: Plugins) -> None:
    module = types.ModuleType("homeless")
    plugins.register(module, "homeless")
    with pytest.raises(PluginError, match="lies in no file"):
        plugins.definitions("homeless", ExportJob(name="x", definition="x.yml"))
