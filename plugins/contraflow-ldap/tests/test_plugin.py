"""The plugin as the engine meets it: by entry point, through pluggy, held against the contract."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pluggy
import pytest
from private_slapd import BASE, BIND_DN

import contraflow_ldap
from contraflow_hookspecs import PROJECT_NAME, Capabilities, Idempotency, StepContext, SystemicError, protocols, specs
from contraflow_ldap import EntrySettings, LdapSettings

FOLDER = Path(__file__).parents[1] / "src"

provide_export_job: protocols.ProvideExportJob = contraflow_ldap.provide_export_job
describe_parameters: protocols.DescribeParameters = contraflow_ldap.describe_parameters
check_step: protocols.CheckStep = contraflow_ldap.check_step
check_connection: protocols.CheckConnection = contraflow_ldap.check_connection
process_item: protocols.ProcessItem = contraflow_ldap.process_item
write_items: protocols.WriteItems = contraflow_ldap.write_items
confirm_items: protocols.ConfirmItems = contraflow_ldap.confirm_items
find_items: protocols.FindItems = contraflow_ldap.find_items
fetch_items: protocols.FetchItems = contraflow_ldap.fetch_items
list_items: protocols.ListItems = contraflow_ldap.list_items

ENTRY = EntrySettings(base="dc=x", rdn="uid", object_classes=["account"], attributes={"uid": "login"})


def settings(*names: str) -> LdapSettings:
    return LdapSettings(url="ldap://h", bind_dn="cn=x", password="p", entries=dict.fromkeys(names, ENTRY))


def context(settings: object, **parameters: str) -> StepContext:
    return StepContext(
        integration="directory", job="ldap", step="people", execution_id=1, settings=settings, parameters=parameters
    )


def test_the_entry_point_loads_and_every_hook_is_one_of_the_contract():
    (entry_point,) = entry_points(group=PROJECT_NAME, name="ldap")
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    manager.register(entry_point.load(), name=entry_point.name)
    manager.check_pending()
    (job,) = manager.hook.provide_export_job()
    assert (job.name, job.settings) == ("ldap", LdapSettings)
    assert set(contraflow_ldap.describe_parameters(parameters={})) == {"entry"}


def test_capabilities():
    expected = Capabilities(
        delete=True, confirm=True, idempotency=Idempotency.UPSERT, max_batch=500, request_lifetime=65.0
    )
    assert attrs.asdict(contraflow_ldap.capabilities(settings("a"))) == attrs.asdict(expected)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (context(settings("a")), None),
        (context(settings("a", "b"), entry="b"), None),
        (context(settings("a", "b"), entity="b"), None),
        (context(settings("a", "people")), None),
        (context(settings("a", "b")), "set its parameter 'entry' to one of a, b"),
        (context(settings("person", "robot"), entry="persn"), "no entries.persn; did you mean 'person'"),
        (context(settings("a"), entry="zzz"), "expected one of a"),
        (context(object()), "serves integrations whose own connector is ldap"),
    ],
)
def test_a_step_must_say_what_it_writes(given, problem):
    problems = contraflow_ldap.check_step(context=given)
    assert [problem in each for each in problems] == ([] if problem is None else [True])


def test_a_step_of_another_connectors_integration_writes_nothing():
    with pytest.raises(SystemicError, match="whose own connector is ldap"):
        contraflow_ldap.write_items(items=[], context=context(settings("a")))


def test_check_connection_tells_where_and_as_whom(remote):
    with remote.step() as step:
        line = contraflow_ldap.check_connection(context=step)
    assert line == f"127.0.0.1:{remote.slapd.port}, as {BIND_DN}: {BASE}"


def test_it_is_imported_without_a_warning():
    subprocess.run([sys.executable, "-W", "error", "-c", "import contraflow_ldap"], check=True)


def test_only_the_contract_is_imported():
    allowed = {"__future__", "attrs", "ldap3", "contraflow_hookspecs", "contraflow_ldap"}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= allowed | sys.stdlib_module_names, file.name
