"""The conformance suite for each sound and each broken connector. Not run by itself: see ``test_proof.py``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contraflow.testing import ConnectorConformance
from contraflow.testing.remote.process import FaultRemote

sys.path.insert(0, str(Path(__file__).parent))

from flaws import FLAWS
from sound import SOUND, Sound


class _Records:
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


class _Suite(ConnectorConformance):
    connector_class: type[Sound]

    @pytest.fixture
    def connector(self) -> object:
        return self.connector_class()

    @pytest.fixture
    def settings(self, fault_remote: FaultRemote) -> Mapping[str, Any]:
        self.running = fault_remote
        return {"url": fault_remote.url, "user": "sync", "password": "nobody-may-see-this"}

    @pytest.fixture
    def remote(self, fault_remote: FaultRemote) -> _Records:
        return _Records(fault_remote, self.connector_class.kind)

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


for connector in (*SOUND, *(flaw.connector for flaw in FLAWS)):
    name = f"Test{connector.__name__}"
    globals()[name] = type(name, (_Suite,), {"connector_class": connector})
