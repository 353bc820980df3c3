"""The connector keeps contraflow's contract, with a slapd behind a proxy that breaks connections."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import private_slapd
import pytest
from private_slapd import BASE, BIND_DN, PASSWORD

import contraflow_ldap
from contraflow.testing import ConnectorConformance, Request
from contraflow_ldap.driver import escape_filter_chars
from contraflow_ldap.values import content_of

ATTRIBUTES = ("uid", "sn", "cn", "description", "employeeType", "roomNumber", "businessCategory")
# The first bytes of AddRequest, DelRequest, ModifyRequest and ModifyDNRequest, behind a message's length and number.
WRITES = (0x68, 0x4A, 0x66, 0x6C)


class People:
    """What the directory holds."""

    def __init__(self, directory: Any) -> None:
        self._directory = directory

    def _entries(self, key: tuple[Any, ...]) -> list[Mapping[str, Any]]:
        with self._directory.admin() as admin:
            admin.search(BASE, f"(uid={escape_filter_chars(f'u{key[0]}')})", attributes=list(ATTRIBUTES))
            return [each["attributes"] for each in admin.response]

    def read(self, key: tuple[Any, ...]) -> Mapping[str, Any] | None:
        entries = self._entries(key)
        if not entries:
            return None
        return {name: entries[0].get(name, [None])[0] for name in ATTRIBUTES}

    def count(self, key: tuple[Any, ...]) -> int:
        return len(self._entries(key))


class TestOpenldap(ConnectorConformance):
    """Class B."""

    @pytest.fixture
    def connector(self) -> object:
        return contraflow_ldap

    @pytest.fixture
    def settings(self, openldap: Any) -> Mapping[str, Any]:
        entry = {
            "base": BASE,
            "rdn": "uid",
            "object_classes": ["inetOrgPerson"],
            "attributes": {name: name for name in ATTRIBUTES},
        }
        return {
            "url": openldap.slapd.url,
            "start_tls": False,
            "bind_dn": BIND_DN,
            "password": PASSWORD,
            "timeout": 1,
            "entries": {"person": entry},
        }

    @pytest.fixture
    def remote(self, openldap: Any) -> People:
        return People(openldap)

    @pytest.fixture
    def against(self) -> str:
        return f"OpenLDAP (slapd {private_slapd.version()})"

    def entity(self, number: int) -> Mapping[str, Any]:
        return {
            "description": f"Employee {number}",
            "uid": f"u{number}",
            "cn": f"Ana {number}",
            "sn": "Nowak",
            "employeeType": number * 1000,
            "roomNumber": Decimal(number) / 100,
            "businessCategory": datetime(2024, 5, 6, tzinfo=UTC) + timedelta(days=number),
        }

    def bad_entity(self, number: int) -> Mapping[str, Any]:
        return {**self.entity(number), "sn": None}

    def same(self, sent: Any, held: Any) -> bool:
        return content_of(sent, "") == held

    def is_write(self, request: Request) -> bool:
        message = request.body
        if len(message) < 8:
            return False
        at = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
        return message[at + 2 + message[at + 1]] in WRITES
