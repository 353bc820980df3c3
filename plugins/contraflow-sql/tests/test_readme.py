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


def example() -> dict:
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(blocks[0])["integrations"]["warehouse"]["settings"]


def test_the_example_is_structured():
    settings = {**example(), "url": "postgresql://sync:secret@db.example/warehouse"}
    structured = cattrs.Converter(forbid_extra_keys=True).structure(settings, SqlSettings)
    assert structured.schema == "crm"
    assert [table.mode for table in structured.tables.values()] == [Mode.UPSERT, Mode.CREATE]
    assert "secret" not in repr(structured)


def test_the_example_runs(warehouse):
    warehouse.execute(
        "CREATE TABLE contacts (contact_no INTEGER PRIMARY KEY, email TEXT, name TEXT, country TEXT)",
        "CREATE TABLE deals (id INTEGER PRIMARY KEY, total NUMERIC(10, 2))",
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


def test_every_setting_is_in_the_tables():
    documented = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    names = {field.name for kind in (SqlSettings, contraflow_sql.TableSettings) for field in kind.__attrs_attrs__}
    assert documented == names
