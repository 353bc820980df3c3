"""The right to run a job: taken by compare-and-set, proven in every transaction of a run.

No clocks of two machines are compared. Whoever wants the lease of a holder that does not release it watches
``(epoch, beat)`` for as long as it thinks fit, and takes it over under the next epoch if neither has moved. A former holder
that wakes up finds its epoch gone.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select

from contraflow.errors import FencedError
from contraflow.ledger.records import Lease, LeaseState
from contraflow.ledger.schema import lease as table
from contraflow.ledger.schema import request
from contraflow.ledger.text import storable
from contraflow.ledger.upsert import insert_into

_COLUMNS = [table.c[name] for name in LeaseState._fields]
_HELD = (  # made once: it is asked twice a chunk
    select(table.c.epoch)
    .where(and_(*(table.c[name] == bindparam(name) for name in ("integration", "job", "epoch", "owner"))))
    .with_for_update()
)


def find(connection: Connection, integration: str, job: str) -> LeaseState | None:
    """The state of a job's lease, or ``None`` if nobody ever held it."""
    query = select(*_COLUMNS).where(table.c.integration == integration, table.c.job == job)
    row = connection.execute(query).one_or_none()
    return None if row is None else LeaseState._make(row)


def take(
    connection: Connection,
    integration: str,
    job: str,
    *,
    owner: str,
    host: str,
    pid: int,
    since: datetime,
    seen: LeaseState | None,
) -> Lease | None:
    """Take the lease if it is free, or still as it was ``seen``; one statement, so that one contender wins."""
    holder = {
        "beat": 0,
        "owner": owner,
        "host": storable(host),
        "pid": pid,
        "since": since,
        "execution_id": None,
        "stop_requested": False,
    }
    takeable: ColumnElement[bool] = table.c.owner.is_(None)
    if seen is not None:
        takeable = or_(takeable, and_(table.c.epoch == seen.epoch, table.c.beat == seen.beat))
    statement = (
        insert_into(table, connection.dialect.name)
        .values(integration=integration, job=job, epoch=1, **holder)
        .on_conflict_do_update(
            index_elements=["integration", "job"], set_={**holder, "epoch": table.c.epoch + 1}, where=takeable
        )
        .returning(table.c.epoch)
    )
    epoch = connection.execute(statement).scalar_one_or_none()
    return None if epoch is None else Lease(integration=integration, job=job, epoch=epoch, owner=owner)


def prove(connection: Connection, lease: Lease | None) -> None:
    """See that ``lease`` still holds, and keep it from being taken over until the transaction ends.

    Raises:
        FencedError: Somebody else has it.
    """
    if lease is None:
        return
    # On PostgreSQL this locks the row; on SQLite a write transaction owns the whole file.
    mine = {"integration": lease.integration, "job": lease.job, "epoch": lease.epoch, "owner": lease.owner}
    if connection.execute(_HELD, mine).one_or_none() is None:
        raise FencedError(_lost(lease, find(connection, lease.integration, lease.job)))


def beat(connection: Connection, lease: Lease) -> bool:
    """Count a heartbeat; whether the lease still holds."""
    return connection.execute(table.update().where(_mine(lease)).values(beat=table.c.beat + 1)).rowcount == 1


def release(connection: Connection, lease: Lease, *, only_if_idle: bool) -> bool:
    """Give the lease back, if it still holds; with ``only_if_idle``, not while a request waits. Whether it is gone."""
    lock = select(table.c.epoch).where(_mine(lease)).with_for_update()
    if connection.execute(lock).one_or_none() is None:
        return True
    if only_if_idle:
        waiting = select(request.c.id).where(
            request.c.integration == lease.integration, request.c.job == lease.job, request.c.epoch.is_(None)
        )
        if connection.execute(waiting.limit(1)).first() is not None:
            return False
    connection.execute(table.update().where(_mine(lease)).values(owner=None, stop_requested=False))
    return True


def ask_to_stop(connection: Connection, integration: str, job: str) -> LeaseState | None:
    """Ask the holder to stop; the lease, or ``None`` if nobody holds it."""
    held = and_(table.c.integration == integration, table.c.job == job, table.c.owner.is_not(None))
    statement = table.update().where(held).values(stop_requested=True)
    row = connection.execute(statement.returning(*_COLUMNS)).one_or_none()
    return None if row is None else LeaseState._make(row)


def is_asked_to_stop(connection: Connection, lease: Lease) -> bool:
    """Whether somebody asked this holder to stop."""
    return bool(connection.execute(select(table.c.stop_requested).where(_mine(lease))).scalar_one_or_none())


def note_execution(connection: Connection, lease: Lease, execution_id: int) -> None:
    """Tell whoever asks for the holder which execution it runs."""
    connection.execute(table.update().where(_mine(lease)).values(execution_id=execution_id))


def hold_still(connection: Connection, integration: str, job: str) -> None:
    """Keep the lease from changing hands until the transaction ends."""
    query = select(table.c.epoch).where(table.c.integration == integration, table.c.job == job)
    connection.execute(query.with_for_update())


def _mine(lease: Lease) -> ColumnElement[bool]:
    return and_(
        table.c.integration == lease.integration,
        table.c.job == lease.job,
        table.c.epoch == lease.epoch,
        table.c.owner == lease.owner,
    )


def _lost(lease: Lease, now: LeaseState | None) -> str:
    lost = f"this run of '{lease.job}' into '{lease.integration}' (epoch {lease.epoch}) may record nothing more"
    if now is None or now.owner is None:
        return f"{lost}: it has given up the job"
    return f"{lost}: process {now.pid} on {now.host} has taken the job over (epoch {now.epoch})"
