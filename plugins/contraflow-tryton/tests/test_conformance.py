"""The connector keeps contraflow's contract, with a Tryton behind a proxy that answers for it, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from private_trytond import DATABASE, PASSWORD, USER

import contraflow_tryton
from contraflow.testing import ConnectorConformance, Request

_WRITE = re.compile(rb'"model\.party\.party\.(create|write|delete)"')


class Parties:
    """What Tryton holds."""

    def __init__(self, erp: Any) -> None:
        self._erp = erp

    def _records(self, key: tuple[Any, ...]) -> list[Mapping[str, Any]]:
        domain = [["code", "=", f"{self._erp.prefix}{key[0]}"]]
        children = ["contact_mechanisms.value", "identifiers.code", "addresses.street", "addresses.city"]
        found: list[Mapping[str, Any]] = self._erp.call(
            "party.party.search_read", domain, 0, None, None, ["name", *children]
        )
        return found

    def read(self, key: tuple[Any, ...]) -> Mapping[str, Any] | None:
        records = self._records(key)
        if not records:
            return None
        (record,) = records
        return {
            "name": record["name"],
            "contact_mechanisms": {"email": sorted(child["value"] for child in record["contact_mechanisms."])},
            "identifiers": {"eu_vat": sorted(child["code"] for child in record["identifiers."])},
            "addresses": [{"street": child["street"], "city": child["city"]} for child in record["addresses."]],
        }

    def count(self, key: tuple[Any, ...]) -> int:
        return len(self._records(key))


class Conformance(ConnectorConformance):
    guard: ClassVar[bool] = False

    @pytest.fixture
    def connector(self) -> object:
        return contraflow_tryton

    @pytest.fixture
    def settings(self, erp: Any) -> Mapping[str, Any]:
        party = {
            "code_prefix": erp.prefix,
            "fields": {"name": "name"},
            "contact_mechanisms": {"email": "mail"},
            "identifiers": {"eu_vat": "vat"},
            "addresses": [{"street": "street", "city": "city"}],
        }
        return {
            "url": erp.trytond.url,
            "database": DATABASE,
            "user": USER,
            "password": PASSWORD,
            "timeout": 4,
            "guard": self.guard,
            "parties": {"customer": party},
        }

    @pytest.fixture
    def remote(self, erp: Any) -> Parties:
        return Parties(erp)

    @pytest.fixture
    def against(self, erp: Any) -> str:
        return f"Tryton (trytond {erp.trytond.version()})"

    def entity(self, number: int) -> Mapping[str, Any]:
        return {
            "name": f"Ana {number}",
            "mail": f"c{number}@example.org",
            "street": f"Lipová {number}",
            "city": "Brno",
            "vat": None,
        }

    def bad_entity(self, number: int) -> Mapping[str, Any]:
        return {**self.entity(number), "vat": "BE123"}

    def is_write(self, request: Request) -> bool:
        return _WRITE.search(request.body) is not None


class TestTryton(Conformance):
    """Class B: a party is known by its code."""


class TestTrytonGuarded(Conformance):
    """Class A: and what was sent against an older version is refused."""

    guard = True
