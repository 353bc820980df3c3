"""The plugin as the engine meets it: by entry point, through pluggy, held against the contract."""

from __future__ import annotations

import ast
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import pluggy
import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import PROJECT_NAME, Capabilities, Idempotency, protocols, specs
from contraflow_sql import SqlSettings, TableSettings

FOLDER = Path(__file__).parents[1] / "src"

provide_export_job: protocols.ProvideExportJob = contraflow_sql.provide_export_job
describe_parameters: protocols.DescribeParameters = contraflow_sql.describe_parameters
check_connection: protocols.CheckConnection = contraflow_sql.check_connection
process_item: protocols.ProcessItem = contraflow_sql.process_item
write_items: protocols.WriteItems = contraflow_sql.write_items
confirm_items: protocols.ConfirmItems = contraflow_sql.confirm_items


def test_the_entry_point_loads_and_every_hook_is_one_of_the_contract():
    (entry_point,) = entry_points(group=PROJECT_NAME, name="sql")
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    manager.register(entry_point.load(), name=entry_point.name)
    manager.check_pending()
    (job,) = manager.hook.provide_export_job()
    assert (job.name, job.settings) == ("sql", SqlSettings)
    assert set(contraflow_sql.describe_parameters(parameters={})) == {"target"}


@pytest.mark.parametrize(
    ("modes", "idempotency"),
    [
        (["upsert"], Idempotency.UPSERT),
        (["upsert", "update"], Idempotency.UPSERT),
        (["upsert", "create"], Idempotency.NONE),
    ],
)
def test_capabilities_follow_the_modes(modes, idempotency):
    tables = {mode: TableSettings(table="t", mode=contraflow_sql.Mode(mode)) for mode in modes}
    capabilities = contraflow_sql.capabilities(SqlSettings(url="sqlite:///x.db", tables=tables))
    expected = Capabilities(
        upsert=modes == ["upsert"], delete=True, confirm=True, idempotency=idempotency, max_batch=1000
    )
    assert attrs.asdict(capabilities) == attrs.asdict(expected)


def test_check_connection_tells_the_server_and_the_tables(warehouse, contacts):
    with warehouse.step({"customer": {"table": "contacts", "mode": "update"}}) as context:
        line = contraflow_sql.check_connection(context=context)
    product = {"sqlite": "SQLite 3.", "postgresql": "PostgreSQL ", "mysql": ""}[warehouse.backend]
    assert line.startswith(product)
    assert f" at {sa.make_url(warehouse.url).set(query={})}: " in line
    assert line.endswith(": contacts (update)")
    assert "\n" not in line


def test_the_largest_chunk_is_written(warehouse, contacts, upsert):
    with warehouse.step({"customer": {"table": "contacts"}}) as context:
        chunk = [upsert(number, name="n") for number in range(1000)]
        results = contraflow_sql.write_items(items=chunk, context=context)
        contraflow_sql.write_items(items=chunk, context=context)
    assert len(results) == len(warehouse.rows(contacts)) == 1000


def test_only_the_contract_is_imported():
    allowed = {"__future__", "attrs", "sqlalchemy", "contraflow_hookspecs", "contraflow_sql"}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= allowed | __import__("sys").stdlib_module_names, file.name
