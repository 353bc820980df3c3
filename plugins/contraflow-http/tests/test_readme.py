"""The README's examples work as they stand, and its tables name every setting."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from contraflow_hookspecs import Change, Idempotency, Rejected, Written
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
            [Idempotency.KEY, Idempotency.UPSERT, Idempotency.UPSERT, Idempotency.NONE],
            [None, 25, 500, 100],
            strict=True,
        )
    ],
)
def test_every_example_is_valid(structure, example, idempotency, max_batch):
    capabilities = provide_export_job().capabilities(structure(example))
    assert (capabilities.idempotency, capabilities.max_batch) == (idempotency, max_batch)


@pytest.mark.parametrize(
    "cls",
    [declared.Settings, declared.Auth, declared.OAuth2, declared.Endpoint, declared.Batch],
    ids=lambda cls: cls.__name__,
)
def test_every_setting_is_described(cls):
    tables = "\n".join(line for line in README.splitlines() if line.startswith("|"))
    assert [field.name for field in attrs.fields(cls) if not re.search(rf"\b{field.name}\b", tables)] == []


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
