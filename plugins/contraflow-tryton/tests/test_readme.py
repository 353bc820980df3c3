"""The README's example is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import yaml

import contraflow_tryton
from contraflow_hookspecs import Action, Change, Item, Operation, Written
from contraflow_tryton import PartySettings, TrytonSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def example() -> dict:
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(blocks[0])["integrations"]["erp"]["settings"]


def test_the_example_is_structured():
    given = example()
    parties = {name: PartySettings(**party) for name, party in given["parties"].items()}
    assert "sync" in repr(TrytonSettings(**{**given, "parties": parties}))


def test_the_example_runs(remote):
    party = {**example()["parties"]["customer"], "code_prefix": remote.prefix}
    customer = {
        "full_name": "Ana Nowak",
        "emails": ["ana@example.org", "a.nowak@example.org"],
        "phone": "+420 1",
        "company": {"vat_number": "BE0897290877"},
        "street": "Lipová 1",
        "zip": "60200",
        "city": "Brno",
        "country_code": "CZ",
    }
    with remote.step(party) as context:
        payload = contraflow_tryton.process_item(item=Item(key=(7,), entity=customer), context=context)
        (written,) = contraflow_tryton.write_items(items=[Change(key=(7,), payload=payload)], context=context)
    assert isinstance(written, Written)
    assert remote.parties() == [
        {
            "code": "7",
            "name": "Ana Nowak",
            "mechanisms": [("email", "a.nowak@example.org"), ("email", "ana@example.org"), ("phone", "+420 1")],
            "addresses": [("Lipová 1", "Brno", "CZ")],
            "identifiers": ["BE0897290877"],
        }
    ]
    gone = Change(key=(7,), operation=Operation.DELETE, remote_id=written.remote_id)
    (deleted,) = remote.write([gone], party).values()
    assert deleted.action is Action.DELETED


def test_every_setting_is_in_the_tables():
    documented = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert documented == {field.name for kind in (TrytonSettings, PartySettings) for field in attrs.fields(kind)}


def test_every_code_of_a_rejection_is_in_the_table():
    documented = set(re.findall(r"rejected, `(\w+)`", README))
    source = "".join(file.read_text() for file in (Path(__file__).parents[1] / "src").rglob("*.py"))
    used = set(re.findall(r'code="(\w+)"', source)) | set(re.findall(r'_rejected\(change, "(\w+)"', source))
    assert used | {"refused", "warning", "server_error", "http_"} == documented
