"""The connector keeps contraflow's contract, against the fault remote: one suite for each way to send, and each promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest

import contraflow_http
from contraflow.testing import ConnectorConformance
from contraflow.testing.remote.process import FaultRemote, fault_remote


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRemote]:
    with fault_remote(tmp_path_factory.mktemp("remote"), {}) as remote:
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
