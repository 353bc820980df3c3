"""The README's example is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import cattrs
import yaml

import contraflow_sql
from contraflow_hookspecs import Change, Item, Operation, Written
from contraflow_sql import Mode, SqlSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def example() -> dict:
    return yaml.safe_load(BLOCKS[0])["integrations"]["warehouse"]["settings"]


def test_the_example_is_structured():
    settings = {**example(), "url": "postgresql://sync:secret@db.example/warehouse"}
    structured = cattrs.Converter(forbid_extra_keys=True).structure(settings, SqlSettings)
    assert structured.schema == "crm"
    assert [table.mode for table in structured.tables.values()] == [Mode.UPSERT, Mode.CREATE, Mode.UPSERT]
    assert "secret" not in repr(structured)


def test_the_example_runs(warehouse):
    warehouse.execute(
        "CREATE TABLE contacts (contact_no INTEGER PRIMARY KEY, email TEXT, name TEXT, country TEXT)",
        "CREATE TABLE deals (id INTEGER PRIMARY KEY, total NUMERIC(10, 2))",
        "CREATE TABLE members (member_no INTEGER PRIMARY KEY, email VARCHAR(99), name VARCHAR(99), active BOOLEAN)",
        "INSERT INTO members VALUES (9, 'bo@x', 'Bo', true)",
    )
    entity = {"Email": "a@x", "FirstName": "Ana", "address": {"country": {"name": "Česko"}}}
    with warehouse.step(example()["tables"], parameters={"entity": "customer"}) as context:
        payload = contraflow_sql.process_item(item=Item(key=(4,), entity=entity), context=context)
        (written,) = contraflow_sql.write_items(items=[Change(key=(4,), payload=payload)], context=context)
        assert payload == {"contact_no": 4, "email": "a@x", "name": "Ana", "country": "Česko"}
        (fetched,) = contraflow_sql.fetch_items(items=[Change(key=(4,))], context=context)
        assert fetched.payload == payload
        gone = [Change(key=(4,), operation=Operation.DELETE)]
        (deleted,) = contraflow_sql.write_items(items=gone, context=context)
    assert isinstance(written, Written)
    assert isinstance(deleted, Written)


def test_a_member_of_the_example_is_found_put_away_and_forgotten(warehouse):
    test_the_example_runs(warehouse)
    with warehouse.step(example()["tables"], parameters={"entity": "member"}) as context:
        (found,) = contraflow_sql.find_items(items=[Change(key=(1,), payload={"email": "bo@x"})], context=context)
        gone = [Change(key=(1,), operation=Operation.DELETE, remote_id=found.remote_id)]
        (archived,) = contraflow_sql.archive_items(items=gone, context=context)
        (forgotten,) = contraflow_sql.forget_items(items=gone, context=context)
        members = context.resource.target(context).table
    assert (found.remote_id, type(archived), type(forgotten)) == ("9", Written, Written)
    assert [(no, mail, name, bool(active)) for no, mail, name, active in warehouse.rows(members)] == [
        (9, None, "Forgotten", False)
    ]


def test_the_example_that_keeps_the_ids_of_parents_does(contraflow_project, sqlite):
    sqlite.execute(
        "CREATE TABLE contacts (contact_no INTEGER PRIMARY KEY, email TEXT)",
        "CREATE TABLE deals (deal_no INTEGER PRIMARY KEY, total INTEGER, contact_no INTEGER, agent_no INTEGER)",
        "INSERT INTO contacts VALUES (90, 'ana@x')",
    )
    (settings, jobs) = (yaml.safe_load(text) for text in BLOCKS if "parents:" in text or "references:" in text)
    source = contraflow_project.source
    source.fill("customer", {"id": 1, "email": "ana@x"})
    source.fill("order", {"id": 5, "total": 10, "customer_id": 1, "agent_id": 2})
    tables = settings["integrations"]["warehouse"]["settings"]["tables"]
    contraflow_project.connect(contraflow_sql, name="sql", settings={"url": sqlite.url, "tables": tables})
    contraflow_project.define({"sql": jobs["warehouse_export"]})
    contraflow_project.run()
    assert rows_of_deals(sqlite) == [(5, 10, 90, None)]
    source.fill("customer", {"id": 2, "email": "bo@x"})
    contraflow_project.run()
    assert rows_of_deals(sqlite) == [(5, 10, 90, 2)]


def rows_of_deals(warehouse) -> list:
    with warehouse.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM deals")]


def test_every_setting_is_in_the_tables():
    documented = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    names = {field.name for kind in (SqlSettings, contraflow_sql.TableSettings) for field in kind.__attrs_attrs__}
    assert documented == names
