"""The connector keeps contraflow's contract: against the fault remote, one suite for each way to send and each promise; and
against Kinto, the remote of ``make demo``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import httpx
import private_kinto
import pytest

import contraflow_http
from contraflow.testing import ConnectorConformance
from contraflow.testing.remote.process import FaultRemote, fault_remote


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRemote]:
    with fault_remote(tmp_path_factory.mktemp("remote"), {}) as remote:
        yield remote


@pytest.fixture(scope="module")
def kinto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[private_kinto.Kinto]:
    with private_kinto.running(tmp_path_factory.mktemp("kinto")) as remote:
        yield remote


class Records:
    """What the fault remote holds of one class."""

    def __init__(self, remote: FaultRemote, kind: str) -> None:
        self._remote, self._kind = remote, kind

    def _of(self, key: tuple[Any, ...]) -> list[Mapping[str, Any]]:
        held = self._remote.state()
        return [each for name, each in held.items() if name[0] == self._kind and each["record"] == str(key[0])]

    def read(self, key: tuple[Any, ...]) -> Mapping[str, Any] | None:
        found = self._of(key)
        return found[-1]["payload"] if found else None

    def count(self, key: tuple[Any, ...]) -> int:
        return len(self._of(key))


class Conformance(ConnectorConformance):
    """What all have in common: the fault remote, and sample records."""

    kind: ClassVar[str]
    endpoint: ClassVar[Mapping[str, Any]]
    more: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def connector(self) -> object:
        return contraflow_http

    @pytest.fixture
    def settings(self, running: FaultRemote) -> Mapping[str, Any]:
        running.reset({})
        self.running = running
        return {
            "url": running.url,
            "auth": {"bearer": "a-token-nobody-may-see"},
            "timeout": 0.3,
            "endpoints": {"item": {"id": "remote_id", "error": "error", **self.endpoint}},
            **self.more,
        }

    @pytest.fixture
    def remote(self, running: FaultRemote) -> Records:
        return Records(running, self.kind)

    @pytest.fixture
    def against(self) -> str:
        return "the fault remote of contraflow[testing], a real HTTP server as its own process"

    def entity(self, number: int) -> Mapping[str, Any]:
        return {
            "id": number,
            "name": f"Customer {number}",
            "points": number * 1000,
            "balance": Decimal(number) / 100,
            "seen": datetime(2024, 5, 6, tzinfo=UTC) + timedelta(days=number),
        }

    def refuse(self, keys: Sequence[tuple[Any, ...]]) -> bool:
        self.running.script({"rules": [{"fault": "mixed", "reject": [str(key[0]) for key in keys]}]})
        return True

    def bad_entity(self, number: int) -> Mapping[str, Any]:
        self.refuse([(number,)])
        return self.entity(number)


class TestKeys(Conformance):
    """Class A: one request an item, with idempotency keys."""

    kind = "a"
    endpoint: ClassVar = {"create": {"path": "/a/records"}, "update": {"path": "/a/records/{remote_id}"}}
    more: ClassVar = {"idempotency_header": "Idempotency-Key"}


class TestKeysInABatch(TestKeys):
    """Class A: many requests in one."""

    more: ClassVar = {**TestKeys.more, "batch": {"path": "/a/batch", "size": 100}}


class TestUpsert(Conformance):
    """Class B: records lie under our own key."""

    kind = "b"
    endpoint: ClassVar = {"upsert": {"path": "/b/records/{key}"}, "delete": {"path": "/b/records/{key}"}}


class TestVersions(Conformance):
    """Class A: the remote refuses a change against an older version."""

    kind = "b"
    endpoint: ClassVar = {**TestUpsert.endpoint, "version": "header:ETag", "if_match": True}


class TestUpsertInBulk(Conformance):
    """Class B: a list of records for a list of outcomes."""

    kind = "b"
    endpoint: ClassVar = {
        "delete": {"path": "/b/records/{key}"},
        "batch": {
            "path": "/b/bulk",
            "form": "records",
            "size": 100,
            "status": "status",
            "key_field": "id",
            "match": "key",
            "upsert": True,
        },
    }


class TestConfirm(Conformance):
    """Class C: the remote gives out the ids, and records can be looked up by our key."""

    kind = "c"
    endpoint: ClassVar = {
        "create": {"path": "/c/records"},
        "update": {"method": "PATCH", "path": "/c/records/{remote_id}"},
        "delete": {"path": "/c/records/{remote_id}"},
        "read": {"path": "/c/by-key/{key}"},
        "list": {"path": "/c/records", "records": "records", "id": "remote_id"},
        "find": {"path": "/c/by-key/{id}", "id": "remote_id", "match": {"id": "id"}},
        "archive": {"method": "PATCH", "path": "/c/records/{remote_id}", "body": {"points": None}},
        "forget": {
            "method": "PATCH",
            "path": "/c/records/{remote_id}",
            "body": {"name": None, "balance": None, "seen": None},
        },
    }


class TestConfirmInABatch(TestConfirm):
    """Class C: many requests in one."""

    more: ClassVar = {"batch": {"path": "/c/batch", "size": 100}}


class TestNothingPromised(Conformance):
    """Class D: each request is one more entry."""

    kind = "d"
    endpoint: ClassVar = {"create": {"path": "/d/records"}}


class KintoRecords:
    """What one collection of Kinto holds."""

    def __init__(self, client: httpx.Client, collection: str) -> None:
        self._client, self._path = client, f"{collection}/records"

    def read(self, key: tuple[Any, ...]) -> Mapping[str, Any] | None:
        answer = self._client.get(f"{self._path}/{key[0]}")
        found: Mapping[str, Any] | None = None if answer.status_code == 404 else answer.json()["data"]
        return found

    def count(self, key: tuple[Any, ...]) -> int:
        return int(self.read(key) is not None)


class TestKinto(ConnectorConformance):
    """Class A: a real store, which refuses a change against an older version."""

    more: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def collection(self, kinto: Any) -> str:
        """A new one, below the root."""
        return str(kinto.collection())

    @pytest.fixture
    def connector(self) -> object:
        return contraflow_http

    @pytest.fixture
    def settings(self, kinto: Any, collection: str) -> Mapping[str, Any]:
        records = f"{collection}/records"
        nothing = {"name": None, "balance": None, "seen": None}
        endpoint = {
            "upsert": {"path": f"{records}/{{key}}"},
            "delete": {"path": f"{records}/{{key}}"},
            "read": {"path": f"{records}/{{key}}", "record": "data", "modified": "last_modified"},
            "fetch": {"path": f"{records}?in_id=%22{{remote_ids}}%22", "separator": "%22,%22", "records": "data"},
            "list": {"path": f"{records}?_limit=2", "records": "data", "next": "header:Next-Page"},
            "find": {"path": f"{records}?name={{name}}", "records": "data", "match": {"name": "name"}},
            "archive": {"method": "PATCH", "path": f"{records}/{{remote_id}}", "body": {"data": {"points": None}}},
            "forget": {"method": "PATCH", "path": f"{records}/{{remote_id}}", "body": {"data": nothing}},
            "fields": {name: name for name in ("name", "points", "balance", "seen")},
            "wrap": "data",
            "id": "data.id",
            "version": "header:ETag",
            "if_match": True,
            "error": "message",
        }
        return {
            "url": kinto.url,
            "auth": {"basic": {"username": kinto.user, "password": kinto.password}},
            "timeout": 1,
            "endpoints": {"item": endpoint},
            **self.more,
        }

    @pytest.fixture
    def remote(self, kinto: Any, collection: str) -> KintoRecords:
        return KintoRecords(kinto.client, collection)

    @pytest.fixture
    def against(self, kinto: Any) -> str:
        return f"Kinto {kinto.version}"

    def entity(self, number: int) -> Mapping[str, Any]:
        return {
            "name": f"Customer {number}",
            "points": number * 1000,
            "balance": Decimal(number) / 100,
            "seen": datetime(2024, 5, 6, tzinfo=UTC) + timedelta(days=number),
        }


class TestKintoInABatch(TestKinto):
    """Class A: many requests in one, as ``make demo`` sends them."""

    more: ClassVar = {"batch": {"path": "/batch", "size": 100}}
