"""What shows that a ledger is older than it was, and what is left of one that is accepted; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from contraflow.ledger import UNKNOWN_CONTENT, ItemState, Ledger, Settlement, StepRecord, StreamName, open_ledger
from contraflow_hookspecs import BatchStatus, JobExecution

MOMENT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
NAMES = {"integration": "acme", "job": "customers_export"}
Begin = Callable[..., tuple[int, StepRecord]]


def run(ledger: Ledger) -> int:
    number = ledger.start_job(**NAMES, parameters={}, started=MOMENT)
    ledger.finish_job(JobExecution(id=number, **NAMES, status=BatchStatus.COMPLETED, started=MOMENT, ended=MOMENT))
    return number


def tamper(url: str, statement: str) -> None:
    parsed = make_url(url)
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[parsed.get_backend_name()]
    with create_engine(parsed.set(drivername=driver), poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ("DELETE FROM cf_job_execution WHERE id > 1", "its last execution is 1, and this project has seen execution 2"),
        ("DELETE FROM cf_job_execution", "its last execution is 0"),
        ("UPDATE cf_job_execution SET ended = NULL WHERE id = 2", "its execution 2 has not ended"),
        ("UPDATE cf_job_execution SET started = '2020-01-01' WHERE id = 2", "its execution 2 is another one"),
        ("DELETE FROM cf_job_execution WHERE id = 1", None),
        ("UPDATE cf_job_execution SET status = 'FAILED'", None),
    ],
)
def test_a_ledger_behind_its_witness_contradicts_it(url: str, tmp_path: Path, lost: str, found: str | None) -> None:
    with open_ledger(url, witness=tmp_path / "witness") as ledger:
        assert ledger.contradiction() is None
        run(ledger)
        run(ledger)
        assert ledger.contradiction() is None
    lost = lost.replace("'2020-01-01'", "'2020-01-01 00:00:00.000000'")
    tamper(url, lost)
    with open_ledger(url, witness=tmp_path / "witness") as ledger:
        said = ledger.contradiction()
    assert (said is None) == (found is None)
    assert found is None or found in str(said)


def test_a_witness_behind_its_ledger_contradicts_nothing(url: str, tmp_path: Path) -> None:
    """Several hosts share a ledger: each knows only its own runs."""
    with open_ledger(url, witness=tmp_path / "one") as one, open_ledger(url, witness=tmp_path / "other") as other:
        for ledger in (one, other, other, other, one, other):
            run(ledger)
            assert one.contradiction() is None
            assert other.contradiction() is None


def test_what_is_accepted_has_a_new_name_and_believes_nothing(url: str, tmp_path: Path, begin: Begin) -> None:
    with open_ledger(url, witness=tmp_path / "witness") as ledger:
        number, step = begin(ledger)
        states = [ItemState("[1]", "written", 3, "confirmed", None, "r1"), ItemState("[2]", "rejected", 1)]
        ledger.settle(
            Settlement(step_execution_id=step.id, stream_id=step.stream_id, execution_id=number, states=states)
        )
        run(ledger)
        former = ledger.id
        unseen = StreamName("acme", "customers_export", "unseen")
        ledger.accept_restored([StreamName("acme", "customers_export", "customers"), unseen], held=[])
        assert ledger.id != former
        assert ledger.contradiction() is None
        known = ledger.item_states(step.stream_id, ["[1]", "[2]"])
        assert known["[1]"] == ItemState("[1]", "written", 3, UNKNOWN_CONTENT, None, "r1")
        assert known["[2]"] == ItemState("[2]", "rejected", 1)
        assert begin(ledger)[1].restored
        assert begin(ledger, step="unseen")[1].restored
        assert not begin(ledger, step="new")[1].restored
    with open_ledger(url, witness=tmp_path / "witness") as again:
        assert again.id == ledger.id


def test_what_can_only_be_held_is_still_compared(url: str, begin: Begin) -> None:
    with open_ledger(url) as ledger:
        number, step = begin(ledger)
        states = [ItemState("[1]", "written", 3, "confirmed", None, "r1")]
        ledger.settle(
            Settlement(step_execution_id=step.id, stream_id=step.stream_id, execution_id=number, states=states)
        )
        name = StreamName("acme", "customers_export", "customers")
        ledger.accept_restored([name], held=[name])
        assert ledger.item_states(step.stream_id, ["[1]"])["[1]"].fingerprint == "confirmed"
        assert begin(ledger)[1].restored
