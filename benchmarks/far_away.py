"""A connector whose remote is 20 ms away: it takes everything, and each request takes its time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from source_table import record

from contraflow_hookspecs import Capabilities, Change, ExportJob, Idempotency, Item, StepContext, Written, hookimpl

LATENCY = 0.02
"""Seconds a request takes."""


@hookimpl
def provide_export_job() -> ExportJob:
    """One job of one step; how many items go into a request, and how many requests are under way, are parameters."""
    services = {"reader": "entity.all", "processor": "far_away", "writer": "far_away"}
    return ExportJob(
        name="far_away",
        capabilities=Capabilities(idempotency=Idempotency.UPSERT),
        definition={
            "far_away": {
                "type": "export",
                "steps": {"customers": {"services": services, "parameters": {"entity": "customer"}}},
            }
        },
    )


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any]:
    """The record that the other contenders make, too."""
    return record(item.entity)


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[Written]:
    """Answer after a while that each change arrived."""
    time.sleep(LATENCY)
    return [Written(key=change.key) for change in items]
