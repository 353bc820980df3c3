"""A connector as somebody wrote it for contract 1.0. It is never changed: what breaks it breaks theirs."""

import attrs

from contraflow_hookspecs import (
    Capabilities,
    Change,
    Deferred,
    ExportJob,
    Idempotency,
    Item,
    ItemError,
    Operation,
    Rejected,
    Skip,
    StepContext,
    Written,
    hookimpl,
)

REMOTE: dict = {}
TOLD: list = []


@attrs.frozen
class Settings:
    region: str
    token: str = attrs.field(repr=False, metadata={"secret": True})


@hookimpl
def provide_export_job():
    return ExportJob(
        name="acme_customers",
        entity="customer",
        settings=Settings,
        capabilities=Capabilities(idempotency=Idempotency.UPSERT, delete=True, confirm=True, max_batch=2),
        definition={
            "acme_customers": {
                "type": "export",
                "steps": {
                    "customers": {"services": {"reader": "entity.by_id", "processor": "acme", "writer": "acme"}},
                },
            }
        },
    )


@hookimpl
def process_item(item: Item, context: StepContext):
    if item.data["name"] == "skip":
        return Skip(reason="asked for")
    if not item.data["name"]:
        raise ItemError("no name", code="no_name")
    return {"name": item.data["name"], "region": context.settings.region}


@hookimpl
def write_items(items, context: StepContext):
    return [_write(change) for change in items]


def _write(change: Change):
    if change.payload.get("name") == "refused":
        return Rejected(key=change.key, code="refused", reason="by Acme")
    if change.payload.get("name") == "later" and change.attempt == 1:
        return Deferred(key=change.key, reason="busy", retry_after=0.0)
    if change.operation is Operation.DELETE:
        REMOTE.pop(change.key, None)
    else:
        REMOTE[change.key] = dict(change.payload)
    return Written(key=change.key, remote_id=f"r{change.key[0]}", remote_version="1")


@hookimpl
def confirm_items(items, context):
    return [
        Written(key=change.key)
        if REMOTE.get(change.key) == change.payload
        else Deferred(key=change.key, reason="not there")
        for change in items
    ]


@hookimpl
def job_finished(execution):
    TOLD.append((execution.status.value, dict(execution.counts)))
