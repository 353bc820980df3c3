"""A connector whose remote takes everything and keeps nothing, so that the time left is contraflow's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from source_table import BATCH, record

from contraflow_hookspecs import Capabilities, Change, ExportJob, Idempotency, Item, StepContext, Written, hookimpl


@hookimpl
def provide_export_job() -> ExportJob:
    """One job of one step."""
    services = {"reader": "entity.all", "processor": "nowhere", "writer": "nowhere"}
    step = {"services": services, "parameters": {"entity": "customer", "batch_size": BATCH}}
    return ExportJob(
        name="nowhere",
        capabilities=Capabilities(idempotency=Idempotency.UPSERT),
        definition={"nowhere": {"type": "export", "steps": {"customers": step}}},
    )


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any]:
    """The record that the baselines make, too."""
    return record(item.entity)


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[Written]:
    """Say of each change that it arrived."""
    return [Written(key=change.key) for change in items]
