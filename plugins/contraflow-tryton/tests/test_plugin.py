"""The plugin as the engine meets it: by entry point, through pluggy, held against the contract."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pluggy
import pytest
from private_trytond import DATABASE, USER, VERSION

import contraflow_tryton
from contraflow_hookspecs import PROJECT_NAME, Capabilities, Idempotency, StepContext, SystemicError, protocols, specs
from contraflow_tryton import PartySettings, TrytonSettings

FOLDER = Path(__file__).parents[1] / "src"

provide_export_job: protocols.ProvideExportJob = contraflow_tryton.provide_export_job
describe_parameters: protocols.DescribeParameters = contraflow_tryton.describe_parameters
check_step: protocols.CheckStep = contraflow_tryton.check_step
check_connection: protocols.CheckConnection = contraflow_tryton.check_connection
process_item: protocols.ProcessItem = contraflow_tryton.process_item
write_items: protocols.WriteItems = contraflow_tryton.write_items
confirm_items: protocols.ConfirmItems = contraflow_tryton.confirm_items
find_items: protocols.FindItems = contraflow_tryton.find_items
fetch_items: protocols.FetchItems = contraflow_tryton.fetch_items
list_items: protocols.ListItems = contraflow_tryton.list_items
archive_items: protocols.ArchiveItems = contraflow_tryton.archive_items

PARTY = PartySettings(fields={"name": "name"})


def settings(*names: str, guard: bool = False) -> TrytonSettings:
    parties = dict.fromkeys(names, PARTY)
    return TrytonSettings(url="http://h", database="d", user="u", password="p", parties=parties, guard=guard)


def context(settings: object, **parameters: str) -> StepContext:
    return StepContext(
        integration="erp", job="tryton", step="people", execution_id=1, settings=settings, parameters=parameters
    )


def test_the_entry_point_loads_and_every_hook_is_one_of_the_contract():
    (entry_point,) = entry_points(group=PROJECT_NAME, name="tryton")
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    manager.register(entry_point.load(), name=entry_point.name)
    manager.check_pending()
    (job,) = manager.hook.provide_export_job()
    assert (job.name, job.settings) == ("tryton", TrytonSettings)
    assert set(contraflow_tryton.describe_parameters(parameters={})) == {"party"}


@pytest.mark.parametrize(("guard", "idempotency"), [(False, Idempotency.UPSERT), (True, Idempotency.VERSIONED)])
def test_capabilities(guard, idempotency):
    expected = Capabilities(delete=True, confirm=True, idempotency=idempotency, max_batch=100, request_lifetime=65.0)
    assert attrs.asdict(contraflow_tryton.capabilities(settings("a", guard=guard))) == attrs.asdict(expected)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (context(settings("a")), None),
        (context(settings("a", "b"), party="b"), None),
        (context(settings("a", "b"), entity="b"), None),
        (context(settings("a", "people")), None),
        (context(settings("a", "b")), "set its parameter 'party' to one of a, b"),
        (context(settings("person", "robot"), party="persn"), "no parties.persn; did you mean 'person'"),
        (context(settings("a"), party="zzz"), "expected one of a"),
        (context(object()), "serves integrations whose own connector is tryton"),
    ],
)
def test_a_step_must_say_what_it_writes(given, problem):
    problems = contraflow_tryton.check_step(context=given)
    assert [problem in each for each in problems] == ([] if problem is None else [True])


def test_a_step_of_another_connectors_integration_writes_nothing():
    with pytest.raises(SystemicError, match="whose own connector is tryton"):
        contraflow_tryton.write_items(items=[], context=context(settings("a")))


def test_check_connection_tells_the_version_and_as_whom(remote):
    with remote.step() as step:
        line = contraflow_tryton.check_connection(context=step)
    assert line == f"Tryton {VERSION} at 127.0.0.1:{remote.trytond.port}/{DATABASE}, as {USER}"


def test_only_the_contract_is_imported():
    allowed = {"__future__", "attrs", "httpx", "contraflow_hookspecs", "contraflow_tryton"}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= allowed | sys.stdlib_module_names, file.name
