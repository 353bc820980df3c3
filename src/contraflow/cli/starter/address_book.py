"""A connector in thirty lines. Its remote is a JSON file; yours will be a web service."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from contraflow_hookspecs import Capabilities, ExportJob, Idempotency, Skip, Written, hookimpl


@attrs.frozen
class Settings:
    """What stands under ``settings:`` in contraflow.yaml."""

    path: str


@hookimpl
def provide_export_job():
    """Say which job this connector brings."""
    return ExportJob(
        name="address_book_export",
        settings=Settings,
        capabilities=Capabilities(idempotency=Idempotency.UPSERT),
        definition="jobs.yml",
    )


@hookimpl
def process_item(item, context):
    """Turn a customer into an entry of the address book."""
    if not item.data["email"]:
        return Skip(reason="no e-mail address")
    return {"name": item.data["name"], "mail": item.data["email"].lower()}


@hookimpl
def write_items(items, context):
    """Write the changes, and say for each what became of it."""
    path = Path(context.settings.path)
    book = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for change in items:
        book[str(change.key[0])] = dict(change.payload)
    path.write_text(json.dumps(book, indent=2, ensure_ascii=False), encoding="utf-8")
    return [Written(key=change.key, remote_id=str(change.key[0])) for change in items]
