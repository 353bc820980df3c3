"""The README's example is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import yaml
from private_slapd import BASE

import contraflow_ldap
from contraflow_hookspecs import Action, Change, Item, Operation, Written
from contraflow_ldap import EntrySettings, LdapSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def example() -> dict:
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(blocks[0])["integrations"]["directory"]["settings"]


def test_the_example_runs(remote):
    given = example()
    entry = given["entries"]["employee"]
    assert entry["base"] == BASE
    person = {"login": "ana", "full_name": "Ana Nowak", "last_name": "Nowak", "id": 7, "team": {"name": "Ops"}}
    person["addresses"] = ["ana@example.org", "a.nowak@example.org"]
    others = {name: given[name] for name in ("bind_dn",)}
    with remote.step(entry, **others) as context:
        payload = contraflow_ldap.process_item(item=Item(key=(7,), entity=person), context=context)
        (written,) = contraflow_ldap.write_items(items=[Change(key=(7,), payload=payload)], context=context)
    assert isinstance(written, Written)
    assert remote.people("mail", "ou", "employeeNumber") == [
        (
            f"uid=ana,{BASE}",
            {"mail": ["a.nowak@example.org", "ana@example.org"], "ou": "Ops", "employeeNumber": "7"},
        )
    ]
    gone = Change(key=(7,), operation=Operation.DELETE, remote_id=written.remote_id)
    (deleted,) = remote.write([gone], entry).values()
    assert deleted.action is Action.DELETED


def test_every_setting_is_in_the_tables():
    documented = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert documented == {field.name for kind in (LdapSettings, EntrySettings) for field in attrs.fields(kind)}


def test_every_code_of_a_rejection_is_in_the_table():
    documented = set(re.findall(r"rejected, `(\w+)`", README)) | {"value"}
    source = "".join(file.read_text() for file in (Path(__file__).parents[1] / "src").rglob("*.py"))
    used = set(re.findall(r'code="(\w+)"', source)) | set(re.findall(r'^    \d+: "(\w+)"', source, re.MULTILINE))
    assert used - {"name"} == documented
