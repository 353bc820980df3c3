"""The connector keeps contraflow's contract, on SQLite, and on PostgreSQL behind a proxy that breaks connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow.testing import ConnectorConformance, FaultKind, Request, TcpProxy

_PRODUCTS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("contact_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("mail", sa.String(60), nullable=False),
        sa.Column("points", sa.BigInteger),
        sa.Column("balance", sa.Numeric(18, 2)),
        sa.Column("seen", sa.DateTime(timezone=True)),
    ]


class Rows:
    """The rows of the target table."""

    def __init__(self, warehouse: Any, table: sa.Table) -> None:
        self._warehouse, self._table = warehouse, table

    def _rows(self, key: tuple[Any, ...]) -> list[Mapping[str, Any]]:
        query = sa.select(self._table).where(self._table.c.contact_no == key[0])
        with self._warehouse.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def read(self, key: tuple[Any, ...]) -> Mapping[str, Any] | None:
        rows = self._rows(key)
        return rows[0] if rows else None

    def count(self, key: tuple[Any, ...]) -> int:
        return len(self._rows(key))


class Conformance(ConnectorConformance):
    mode: ClassVar[str] = "upsert"
    more: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def warehouse(self, sqlite: Any) -> Any:
        return sqlite

    @pytest.fixture
    def table(self, warehouse: Any) -> sa.Table:
        return warehouse.create("contacts", *columns())

    @pytest.fixture
    def connector(self) -> object:
        return contraflow_sql

    @pytest.fixture
    def settings(self, warehouse: Any, table: sa.Table) -> Mapping[str, Any]:
        tables = {"contact": {"table": "contacts", "mode": self.mode, "key": {"contact_no": 1}, **self.more}}
        return {"url": warehouse.url, "tables": tables, "lock_timeout": 2, "connect_timeout": 2}

    @pytest.fixture
    def remote(self, warehouse: Any, table: sa.Table) -> Rows:
        return Rows(warehouse, table)

    @pytest.fixture
    def against(self, warehouse: Any) -> str:
        with warehouse.engine.connect() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info))
        return f"{_PRODUCTS[warehouse.backend]} {version}"

    def entity(self, number: int) -> Mapping[str, Any]:
        return {
            "contact_no": number,
            "name": f"Customer {number}",
            "mail": f"c{number}@example.org",
            "points": number * 1000,
            "balance": Decimal(number) / 100,
            "seen": datetime(2024, 5, 6, tzinfo=UTC) + timedelta(days=number),
        }

    def bad_entity(self, number: int) -> Mapping[str, Any]:
        return {**self.entity(number), "mail": None}


class TestSqlite(Conformance):
    """Class B, without a network."""


class TestSqliteFinds(Conformance):
    """Class B: rows are found by a natural key, put away and made anonymous."""

    more: ClassVar = {
        "find": ["mail"],
        "archive": {"points": -1},
        "forget": {"name": None, "mail": "forgotten", "balance": None, "seen": None, "points": 0},
    }


class TestSqliteCreates(Conformance):
    """Class C: a table whose rows are only created."""

    mode = "create"


class WithoutSilence(TcpProxy):
    """PostgreSQL's client library waits for an answer as long as the connection stands: silence has no end there."""

    kinds = TcpProxy.kinds - {FaultKind.SILENCE}


class TestPostgresql(Conformance):
    """Class B: the connection breaks before and after the commit."""

    @pytest.fixture
    def warehouse(self, postgresql: Any) -> Any:
        return postgresql

    @pytest.fixture
    def faults(self, settings: Mapping[str, Any]) -> Iterator[TcpProxy]:
        with WithoutSilence(settings["url"], concerns=self.is_write) as proxy:
            yield proxy

    def is_write(self, request: Request) -> bool:
        return b"COMMIT" in request.body
