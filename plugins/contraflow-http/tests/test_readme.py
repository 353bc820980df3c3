"""The README's examples work as they stand, and its tables name every setting."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
import yaml

import contraflow_http
from contraflow_hookspecs import Change, Idempotency, Operation, Rejected, RemoteItem, Written
from contraflow_http import provide_export_job
from contraflow_http import settings as declared
from contraflow_http.errors import Outcome

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("example", "idempotency", "max_batch"),
    [
        *zip(
            EXAMPLES,
            [
                Idempotency.KEY,
                Idempotency.UPSERT,
                Idempotency.UPSERT,
                Idempotency.NONE,
                Idempotency.NONE,
                Idempotency.UPSERT,
                Idempotency.NONE,
            ],
            [None, 25, 500, 100, None, None, None],
            strict=True,
        )
    ],
)
def test_every_example_is_valid(structure, example, idempotency, max_batch):
    capabilities = provide_export_job().capabilities(structure(example))
    assert (capabilities.idempotency, capabilities.max_batch) == (idempotency, max_batch)


@pytest.mark.parametrize(
    "cls",
    [
        getattr(declared, name)
        for name in ("Settings", "Auth", "OAuth2", "Endpoint", "Batch", "Read", "Fetch", "Listing", "Find", "Deed")
    ],
    ids=lambda cls: cls.__name__,
)
def test_every_setting_is_described(cls):
    tables = "\n".join(line for line in README.splitlines() if line.startswith("|"))
    assert [field.name for field in attrs.fields(cls) if not re.search(rf"\b{field.name}\b", tables)] == []


def test_the_example_that_reads_back_does(remote, connect, reply):
    """Against what Kinto 20 answers."""
    record = {"id": "1", "last_modified": 1700000000000, "name": "Ana", "address": {"city": "Praha"}, "schema": 5}
    (example,) = [text for text in EXAMPLES if "fetch:" in text]
    context = connect(example, url=f"{remote.url}/v1")
    change = Change(key=(1,), remote_id="1")
    path = "/v1/buckets/shop/collections/customers/records"
    remote.script(
        reply(200, {"data": [record]}),
        reply(200, {"data": [record]}, {"Next-Page": f"{remote.url}{path}?_limit=100&_token=t"}),
        reply(200, {"data": []}),
    )
    (fetched,) = contraflow_http.fetch_items(items=[change], context=context)
    (listed,) = contraflow_http.list_items(context=context)
    assert fetched == RemoteItem(
        key=(1,),
        remote_id="1",
        remote_version="1700000000000",
        payload={"name": "Ana", "address.city": "Praha"},
        modified=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    )
    assert listed.payload == fetched.payload
    assert remote.paths == [f"GET {path}?in_id=%221%22", f"GET {path}?_limit=100", f"GET {path}?_limit=100&_token=t"]


def test_the_example_that_finds_archives_and_forgets_does(remote, connect, reply):
    (example,) = [text for text in EXAMPLES if "forget:" in text]
    context = connect(example, url=f"{remote.url}/v1")
    remote.script(
        reply(200, {"data": [{"id": 7, "email": "ana@example.org"}, {"id": 8, "email": "ana@example.orgs"}]}),
        reply(200, {"data": {"id": 7}}),
        reply(204),
    )
    looked_for = Change(key=(1,), payload={"email": "ana@example.org"})
    gone = Change(key=(1,), operation=Operation.DELETE, remote_id="7")
    (found,) = contraflow_http.find_items(items=[looked_for], context=context)
    (archived,) = contraflow_http.archive_items(items=[gone], context=context)
    (forgotten,) = contraflow_http.forget_items(items=[gone], context=context)
    assert (found.key, found.remote_id) == ((1,), "7")
    assert archived == forgotten == Written(key=(1,))
    assert remote.paths == [
        "GET /v1/customers?email=ana%40example.org",
        "PATCH /v1/customers/7",
        "POST /v1/customers/7/anonymize",
    ]
    assert [received.body for received in remote.received] == [b"", b'{"active":false}', b""]


def test_the_example_that_sends_the_ids_of_parents_does(contraflow_project, remote, reply):
    (example,) = [yaml.safe_load(text) for text in EXAMPLES if "parents:" in text]
    (jobs,) = re.findall(r"^```\n(crm_export:.*?)^```$", README, re.DOTALL | re.MULTILINE)
    contraflow_project.source.fill("customer", {"no": 1, "name": "Ana"})
    contraflow_project.source.fill("order", {"order_no": 5, "customer_no": 1, "agent_no": 2})
    contraflow_project.connect(contraflow_http, name="http", settings={**example, "url": f"{remote.url}/v1"})
    contraflow_project.define({"http": yaml.safe_load(jobs)["crm_export"]})
    remote.script(*(reply(200, {"id": number}) for number in (71, 72, 73, 72)))
    contraflow_project.run()
    contraflow_project.source.fill("customer", {"no": 2, "name": "Bo"})
    contraflow_project.run()
    assert [(path, received.json) for path, received in zip(remote.paths, remote.received, strict=True)] == [
        ("POST /v1/customers", {"no": 1, "name": "Ana"}),
        ("POST /v1/customers/71/orders", {"number": 5, "customer_id": 71, "agent_id": None}),
        ("POST /v1/customers", {"no": 2, "name": "Bo"}),
        ("PATCH /v1/orders/72", {"number": 5, "customer_id": 71, "agent_id": 73}),
    ]


def test_every_outcome_is_described():
    assert [outcome.value for outcome in Outcome if f"`{outcome.value}`" not in README] == []


def test_the_connector_of_the_example_runs(remote, reply):
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own documentation
    remote.script(reply(200), reply(422, {"message": "no mail"}))
    auth = declared.Auth(bearer="secret-token")
    with names["open_resources"](SimpleNamespace(url=remote.url, auth=auth)) as client:
        changes = [Change(key=(n,), payload={"n": n}) for n in (1, 2)]
        written, rejected = names["write_items"](items=changes, context=SimpleNamespace(resource=client))
    assert type(written) is Written
    assert rejected == Rejected(key=(2,), code="http_422", reason="PUT /customers/2 answered 422: no mail")
    assert {received.headers["Authorization"] for received in remote.received} == {"Bearer secret-token"}
