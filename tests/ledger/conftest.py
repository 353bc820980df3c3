"""A fresh, empty database for every test that asks for one: an SQLite file, and a schema of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contraflow.ledger import Lease, Ledger, StepRecord, open_ledger

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


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
