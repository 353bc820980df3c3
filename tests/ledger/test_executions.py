from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import attrs
import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import Ledger, Settlement, StepRecord, open_ledger
from contraflow_hookspecs import BatchStatus, JobExecution, StepExecution

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMES = {"integration": "acme", "job": "customers_export"}
STEP = {**NAMES, "step": "customers"}
Begin = Callable[..., tuple[int, StepRecord]]


def ended(status: BatchStatus = BatchStatus.FAILED) -> StepExecution:
    return StepExecution(
        integration="acme",
        job="customers_export",
        step="customers",
        status=status,
        exit_code=status.value,
        exit_description="the remote went away",
        errors=("first", "second"),
        counts={"read": 3, "written": 2},
        total=5,
        started=MOMENT,
        ended=MOMENT + timedelta(seconds=1.5),
    )


def test_an_execution_comes_back_as_it_was_recorded(url: str) -> None:
    with open_ledger(url) as ledger:
        local = MOMENT.astimezone(timezone(timedelta(hours=-7)))
        execution_id = ledger.start_job(**NAMES, parameters={"ids": [[1, 2]], "day": date(2024, 1, 1)}, started=local)
        first = ledger.start_step(execution_id, **STEP, total=5, started=local)
        second = ledger.start_step(execution_id, **{**STEP, "step": "tracks"}, total=None, started=MOMENT)

        (running,) = ledger.executions()
        assert (running.status, running.exit_code, running.ended) == (BatchStatus.STARTED, "UNKNOWN", None)
        assert [(step.step, step.status, step.total) for step in running.steps] == [
            ("customers", BatchStatus.STARTED, 5),
            ("tracks", BatchStatus.STARTED, None),
        ]

        job = JobExecution(
            id=execution_id,
            **NAMES,
            status=BatchStatus.STOPPED,
            exit_code="STOPPED",
            exit_description="by hand",
            failures=("a", "b\0\ud800"),
            started=MOMENT,
            ended=MOMENT + timedelta(seconds=2),
        )
        ledger.finish_step(first.id, ended())
        ledger.finish_step(second.id, attrs.evolve(ended(BatchStatus.COMPLETED), step="tracks", counts={}, errors=()))
        ledger.finish_job(job)

    with open_ledger(url) as ledger:
        (found,) = ledger.executions()
    tracks = attrs.evolve(ended(BatchStatus.COMPLETED), step="tracks", counts={}, errors=())
    assert found == attrs.evolve(job, failures=("a", "b\ufffd\ufffd"), steps=(ended(), tracks))


def test_executions_are_listed_newest_first(ledger: Ledger, begin: Begin) -> None:
    ids = [begin(ledger)[0] for _ in range(3)]
    other = ledger.start_job(integration="zeta", job="x", parameters={}, started=MOMENT)
    assert ids == sorted(set(ids))
    assert [execution.id for execution in ledger.executions()] == [other, *reversed(ids)]
    assert [execution.id for execution in ledger.executions(integration="acme", limit=2)] == [ids[2], ids[1]]
    assert ledger.executions(integration="zeta")[0].steps == ()
    assert ledger.executions(integration="nobody") == []


def test_a_step_keeps_its_stream_in_every_run(ledger: Ledger, begin: Begin) -> None:
    streams = [
        begin(ledger, **changes)[1].stream_id for changes in ({}, {}, {"step": "tracks"}, {"integration": "zeta"})
    ]
    assert streams[0] == streams[1]
    assert len(set(streams)) == 3


def settle(ledger: Ledger, execution_id: int, step: StepRecord, checkpoint: tuple[object, ...]) -> None:
    ledger.settle(
        Settlement(
            step_execution_id=step.id, stream_id=step.stream_id, execution_id=execution_id, checkpoint=checkpoint
        )
    )


def test_a_step_resumes_behind_the_last_settled_chunk_until_it_completes(ledger: Ledger, begin: Begin) -> None:
    assert ledger.checkpoint(**STEP) is None
    execution_id, step = begin(ledger)
    assert ledger.checkpoint(**STEP) is None
    settle(ledger, execution_id, step, (7, "a,b"))
    assert ledger.checkpoint(**STEP) == (7, "a,b")
    settle(ledger, execution_id, step, (9, date(2024, 2, 29)))
    assert ledger.checkpoint(**STEP) == (9, date(2024, 2, 29))
    assert ledger.checkpoint(**{**STEP, "step": "tracks"}) is None

    ledger.finish_step(step.id, ended(BatchStatus.FAILED))
    assert ledger.checkpoint(**STEP) == (9, date(2024, 2, 29))
    ledger.finish_step(step.id, ended(BatchStatus.COMPLETED))
    assert ledger.checkpoint(**STEP) is None


def test_a_resumed_step_that_fails_at_once_resumes_at_the_same_place(ledger: Ledger, begin: Begin) -> None:
    execution_id, step = begin(ledger)
    settle(ledger, execution_id, step, (7,))
    _, resumed = begin(ledger, checkpoint=ledger.checkpoint(**STEP))
    ledger.finish_step(resumed.id, ended(BatchStatus.FAILED))
    assert ledger.checkpoint(**STEP) == (7,)
    begin(ledger)
    assert ledger.checkpoint(**STEP) is None


def test_a_step_resumes_only_what_was_asked_the_same(ledger: Ledger, begin: Begin) -> None:
    """Another request in between does not hide where the first one stood."""
    first = begin(ledger, request="all")
    settle(ledger, *first, (7,))
    second = begin(ledger, request="ids 1, 2")
    settle(ledger, *second, (2,))
    assert ledger.checkpoint(**STEP, request="all") == (7,)
    assert ledger.checkpoint(**STEP, request="ids 1, 2") == (2,)
    assert ledger.checkpoint(**STEP, request="ids 3") is None
    assert ledger.checkpoint(**STEP) is None
    ledger.finish_step(second[1].id, ended(BatchStatus.COMPLETED))
    assert ledger.checkpoint(**STEP, request="all") == (7,)
    assert ledger.checkpoint(**STEP, request="ids 1, 2") is None


def test_executions_that_nobody_started_cannot_end(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no job execution 5"):
        ledger.finish_job(JobExecution(id=5, **NAMES, status=BatchStatus.COMPLETED))
    with pytest.raises(LedgerError, match="no step execution 5"):
        ledger.finish_step(5, ended())
    with pytest.raises(LedgerError, match="refused a row"):
        ledger.start_step(5, **STEP, total=None, started=MOMENT)
    assert ledger.executions() == []


def test_a_moment_without_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="without time zone"):
        ledger.start_job(**NAMES, parameters={}, started=datetime(2026, 1, 1))  # noqa: DTZ001
    assert ledger.executions() == []


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE cf_job_execution SET status = 'DONE'",
        "UPDATE cf_job_execution SET failures = 'x'",
        "UPDATE cf_step_execution SET counts = '{'",
    ],
)
def test_rows_that_contraflow_did_not_write_are_named(ledger: Ledger, begin: Begin, tamper: str) -> None:
    begin(ledger)
    with ledger._database.write() as connection:
        connection.exec_driver_sql(tamper)
    with pytest.raises(LedgerError, match="did not write"):
        ledger.executions()


def test_a_checkpoint_that_contraflow_did_not_write_is_named(ledger: Ledger, begin: Begin) -> None:
    begin(ledger)
    with ledger._database.write() as connection:
        connection.exec_driver_sql("UPDATE cf_step_execution SET checkpoint = '[{\"os\": 1}]'")
    with pytest.raises(LedgerError, match="did not write"):
        ledger.checkpoint(**STEP)
