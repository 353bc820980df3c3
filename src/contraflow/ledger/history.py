"""Job and step executions: begun, ended, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from contraflow.errors import LedgerError
from contraflow.ledger.failures import foreign_row
from contraflow.ledger.keys import decode_key, encode_position
from contraflow.ledger.records import Lease, StepRecord
from contraflow.ledger.schema import job_execution, step_execution, stream
from contraflow.ledger.text import message
from contraflow.ledger.upsert import insert_into
from contraflow_hookspecs import BatchStatus, JobExecution, Key, StepExecution

_BEGUN = {"status": BatchStatus.STARTED.value, "exit_code": "UNKNOWN", "exit_description": "", "ended": None}


def begin_job(
    connection: Connection,
    *,
    integration: str,
    job: str,
    parameters: Mapping[str, Any],
    started: datetime,
    epoch: int | None,
) -> int:
    """Record that a job began; its number."""
    statement = job_execution.insert().values(
        **_BEGUN,
        integration=integration,
        job=job,
        failures=[],
        parameters=dict(parameters),
        started=started,
        epoch=epoch,
    )
    return int(connection.execute(statement.returning(job_execution.c.id)).scalar_one())


def end_job(connection: Connection, execution: JobExecution) -> None:
    """Record how a job ended."""
    statement = job_execution.update().where(job_execution.c.id == execution.id)
    values = {**_outcome(execution), "failures": [message(failure) for failure in execution.failures]}
    if connection.execute(statement.values(values)).rowcount != 1:
        raise LedgerError(f"the ledger knows no job execution {execution.id}")


def begin_step(
    connection: Connection,
    *,
    execution_id: int,
    names: tuple[str, str, str],
    total: int | None,
    started: datetime,
    checkpoint: Key | None,
    request: str | None,
) -> StepRecord:
    """Record that a step began. ``names`` are those of integration, job and step; ``request`` is what it was asked."""
    stream_id = make_stream(connection, names)
    statement = step_execution.insert().values(
        **_BEGUN,
        execution_id=execution_id,
        stream_id=stream_id,
        step=names[2],
        errors=[],
        counts={},
        total=total,
        in_summary=True,
        checkpoint=None if checkpoint is None else encode_position(checkpoint),
        started=started,
        request=request,
    )
    number = connection.execute(statement.returning(step_execution.c.id)).scalar_one()
    restored = connection.execute(select(stream.c.restored).where(stream.c.id == stream_id)).scalar_one()
    return StepRecord(number, stream_id, bool(restored))


def end_step(connection: Connection, step_execution_id: int, execution: StepExecution) -> None:
    """Record how a step ended. Its checkpoint stays."""
    statement = step_execution.update().where(step_execution.c.id == step_execution_id)
    values = {
        **_outcome(execution),
        "errors": [message(error) for error in execution.errors],
        "notes": [message(note) for note in execution.notes],
        "counts": dict(execution.counts),
        "total": execution.total,
        "in_summary": execution.in_summary,
    }
    _one(connection.execute(statement.values(values)).rowcount, step_execution_id)


def interrupt(connection: Connection, lease: Lease, *, exit_code: str, reason: str, ended: datetime) -> list[int]:
    """End the executions that former holders of the lease left open, and their steps; their numbers."""
    outcome = {
        "status": BatchStatus.FAILED.value,
        "exit_code": exit_code,
        "exit_description": message(reason),
        "ended": ended,
    }
    left = (
        job_execution.update()
        .where(job_execution.c.integration == lease.integration, job_execution.c.job == lease.job)
        .where(job_execution.c.ended.is_(None), func.coalesce(job_execution.c.epoch, 0) < lease.epoch)
    )
    numbers = sorted(connection.execute(left.values(outcome).returning(job_execution.c.id)).scalars())
    for number in numbers:
        steps = step_execution.update().where(step_execution.c.execution_id == number, step_execution.c.ended.is_(None))
        connection.execute(steps.values(outcome))
    return numbers


def advance_step(
    connection: Connection, step_execution_id: int, *, checkpoint: Key | None, counts: Mapping[str, int]
) -> None:
    """Record how far a running step has come."""
    values: dict[str, Any] = {"counts": dict(counts)}
    if checkpoint is not None:
        values["checkpoint"] = encode_position(checkpoint)
    statement = step_execution.update().where(step_execution.c.id == step_execution_id)
    _one(connection.execute(statement.values(values)).rowcount, step_execution_id)


def resume_point(connection: Connection, names: tuple[str, str, str], request: str | None) -> Key | None:
    """The checkpoint of the latest execution of a step that was asked the same, if that did not complete."""
    query = (
        select(step_execution.c.status, step_execution.c.checkpoint)
        .join(stream)
        .where(stream.c.integration == names[0], stream.c.job == names[1], stream.c.step == names[2])
        .where(step_execution.c.request.is_not_distinct_from(request))
        .order_by(step_execution.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None or row.checkpoint is None or row.status == BatchStatus.COMPLETED.value:
        return None
    return read_key(row.checkpoint)


def latest_executions(connection: Connection, *, integration: str | None, limit: int) -> list[JobExecution]:
    """The latest job executions with their steps, newest first."""
    query = select(job_execution).order_by(job_execution.c.id.desc()).limit(limit)
    if integration is not None:
        query = query.where(job_execution.c.integration == integration)
    jobs = connection.execute(query).all()
    if not jobs:
        return []
    rows = connection.execute(
        select(step_execution)
        .where(step_execution.c.execution_id.in_([job.id for job in jobs]))
        .order_by(step_execution.c.id)
    )
    steps: dict[int, list[Row[Any]]] = {}
    for row in rows:
        steps.setdefault(row.execution_id, []).append(row)
    return [_job(job, steps.get(job.id, ())) for job in jobs]


def read_key(text: str) -> Key:
    """A key out of a row; the ledger's content is not trusted."""
    try:
        return decode_key(text)
    except ValueError as error:
        raise foreign_row(str(error)) from None


def find_stream(connection: Connection, names: tuple[str, str, str]) -> int | None:
    """The number of a step's stream, if it ever began."""
    integration, job, step = names
    query = select(stream.c.id).where(stream.c.integration == integration, stream.c.job == job, stream.c.step == step)
    return connection.execute(query).scalar_one_or_none()


def make_stream(connection: Connection, names: tuple[str, str, str]) -> int:
    """The number of a step's stream, which is made when first asked for."""
    integration, job, step = names
    connection.execute(
        insert_into(stream, connection.dialect.name)
        .values(integration=integration, job=job, step=step)
        .on_conflict_do_nothing()
    )
    found = find_stream(connection, names)
    assert found is not None  # noqa: S101 - for the type checker: it was just made
    return found


def _outcome(execution: JobExecution | StepExecution) -> dict[str, Any]:
    return {
        "status": execution.status.value,
        "exit_code": execution.exit_code,
        "exit_description": message(execution.exit_description),
        "ended": execution.ended,
    }


def _one(rowcount: int, step_execution_id: int) -> None:
    if rowcount != 1:
        raise LedgerError(f"the ledger knows no step execution {step_execution_id}")


def _job(row: Row[Any], steps: Sequence[Row[Any]]) -> JobExecution:
    return JobExecution(
        id=row.id,
        integration=row.integration,
        job=row.job,
        failures=tuple(row.failures),
        steps=tuple(
            StepExecution(
                integration=row.integration,
                job=row.job,
                step=step.step,
                counts=step.counts,
                total=step.total,
                in_summary=step.in_summary,
                errors=tuple(step.errors),
                notes=tuple(step.notes or ()),
                **_common(step),
            )
            for step in steps
        ),
        **_common(row),
    )


def _common(row: Row[Any]) -> dict[str, Any]:
    try:
        status = BatchStatus(row.status)
    except ValueError:
        raise foreign_row(f"status {row.status!r}") from None
    return {
        "status": status,
        "exit_code": row.exit_code,
        "exit_description": row.exit_description,
        "started": row.started,
        "ended": row.ended,
    }
