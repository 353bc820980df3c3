"""Requests to run a job that came while it was running: recorded, joined, and carried out afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, text

from contraflow.ledger.records import Lease, Request
from contraflow.ledger.schema import WAITING, request
from contraflow.ledger.upsert import insert_into

_COLUMNS = [request.c[name] for name in Request._fields]


def add(connection: Connection, integration: str, job: str, body: Mapping[str, Any], moment: datetime) -> bool:
    """Record a request; ``False`` if the same is waiting already."""
    statement = insert_into(request, connection.dialect.name).values(
        integration=integration, job=job, body=dict(body), digest=_digest(body), requested=moment
    )
    statement = statement.on_conflict_do_nothing(
        index_elements=["integration", "job", "digest"], index_where=text(WAITING)
    )
    return connection.execute(statement.returning(request.c.id)).one_or_none() is not None


def find(connection: Connection, integration: str | None, job: str | None) -> list[Request]:
    """The requests that are not finished, oldest first."""
    query = select(*_COLUMNS).order_by(request.c.id)
    for column, name in ((request.c.integration, integration), (request.c.job, job)):
        if name is not None:
            query = query.where(column == name)
    return [Request._make(row) for row in connection.execute(query)]


def take(connection: Connection, lease: Lease) -> list[Request]:
    """Make those that wait, and those that a dead run had taken, requests of ``lease``; of equals the latest is kept."""
    theirs = (request.c.integration == lease.integration, request.c.job == lease.job)
    free = or_(request.c.epoch.is_(None), request.c.epoch != lease.epoch)
    latest = select(func.max(request.c.id)).where(*theirs, free).group_by(request.c.digest)
    connection.execute(delete(request).where(*theirs, free, request.c.id.not_in(latest)))
    taken = request.update().where(*theirs, free).values(epoch=lease.epoch).returning(*_COLUMNS)
    return sorted(map(Request._make, connection.execute(taken)))


def finish(connection: Connection, lease: Lease, request_id: int) -> None:
    """Forget a request that has been carried out; one that is not this run's is left."""
    connection.execute(
        delete(request).where(
            request.c.id == request_id,
            request.c.integration == lease.integration,
            request.c.job == lease.job,
            request.c.epoch == lease.epoch,
        )
    )


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(dict(body), default=str, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
