"""A fresh, empty database for every test that asks for one: an SQLite file, and a schema of a real PostgreSQL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from contraflow.ledger import Lease, Ledger, StepRecord, open_ledger

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_POSTGRESQL = os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Engine]:
    engine = create_engine(_POSTGRESQL, poolclass=NullPool, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except OperationalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {error.orig}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql: Engine) -> Iterator[str]:
    schema = f"contraflow_{secrets.token_hex(6)}"
    with postgresql.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    url = postgresql.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with postgresql.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with open_ledger(url, clock=lambda: MOMENT) as ledger:
        yield ledger


@pytest.fixture
def begin() -> Callable[[Ledger], tuple[int, StepRecord]]:
    """Start a job with one step; the job execution's number and the step's record."""

    def start(ledger: Ledger, **changes: object) -> tuple[int, StepRecord]:
        names = {"integration": "acme", "job": "customers_export"}
        execution_id = ledger.start_job(**names, parameters={}, started=MOMENT)
        step = {**names, "step": "customers", "total": None, "started": MOMENT, **changes}
        return execution_id, ledger.start_step(execution_id, **step)  # type: ignore[arg-type]

    return start


@pytest.fixture
def take() -> Callable[..., Lease | None]:
    """Take the lease of the job that ``begin`` starts."""

    def take_lease(ledger: Ledger, owner: str = "one", **changes: object) -> Lease | None:
        values = {"host": "here", "pid": 17, "since": MOMENT, **changes}
        return ledger.take_lease("acme", "customers_export", owner=owner, **values)  # type: ignore[arg-type]

    return take_lease


@pytest.fixture
def lease(ledger: Ledger, take: Callable[..., Lease]) -> Lease:
    return take(ledger)
