"""Bring a database to the newest revision of the ledger's tables, in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from contraflow.errors import LedgerError, LedgerMissingError
from contraflow.ledger.database import Database
from contraflow.ledger.schema import HEAD, PREFIX, VERSION_TABLE, ledger

_MIGRATIONS = Path(__file__).parent / "migrations"

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'cf[_]*'",
    "postgresql": (
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname ^@ 'cf_' AND pg_table_is_visible(oid)"
    ),
}

# An arbitrary number that only the ledger's migration uses: the second of two processes waits and finds all done.
_ADVISORY_LOCK = "SELECT pg_advisory_xact_lock(4841370250)"


def bring_up_to_date(database: Database, *, create: bool, clock: Callable[[], datetime]) -> str:
    """Create or migrate the tables where needed, and see that the ledger can be written.

    Returns:
        The ledger's id.

    Raises:
        LedgerError: There is no ledger and ``create`` is false; the tables are of a newer contraflow, or not contraflow's;
            or the database is not writable.
    """
    with database.read() as connection:
        revision = _revision(connection, database.display)
    if revision is None and not create:
        raise LedgerMissingError(f"there is no ledger in {database.display}")
    if revision not in (None, HEAD):
        _refuse_newer(revision, database.display)
    if revision != HEAD:
        with database.write() as connection:
            _upgrade(connection, database.display, clock)
    _prove_writable(database)
    with database.read() as connection:
        identity = connection.execute(select(ledger.c.id)).scalars().all()
    if len(identity) != 1:
        raise LedgerError(f"the ledger {database.display} has lost its identity (cf_ledger holds {len(identity)} rows)")
    return str(identity[0])


def _revision(connection: Connection, display: str) -> str | None:
    """The revision of the tables, or ``None`` where there are none; in plain SQL, as Alembic is slow to import."""
    tables = sorted(connection.exec_driver_sql(_TABLES[connection.dialect.name]).scalars())
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise LedgerError(
            f"{display} holds tables whose names begin with {PREFIX} and that are not contraflow's ({', '.join(tables)}); "
            "name another database for the ledger"
        )
    revisions = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
    if len(revisions) != 1:
        raise LedgerError(
            f"the ledger {display} does not tell its version ({VERSION_TABLE} holds {len(revisions)} rows)"
        )
    return str(revisions[0])


def _refuse_newer(revision: str | None, display: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory(_MIGRATIONS).walk_revisions()}
    if revision not in known:
        raise LedgerError(
            f"the ledger {display} was made by a newer contraflow (revision {revision}); this one knows up to {HEAD}: "
            "upgrade contraflow"
        )


def _upgrade(connection: Connection, display: str, clock: Callable[[], datetime]) -> None:
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_ADVISORY_LOCK)
    if _revision(connection, display) == HEAD:  # another process was quicker
        return
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.execute(select(ledger.c.id)).first() is None:
        connection.execute(ledger.insert().values(id=secrets.token_hex(16), created=clock()))


class _Undo(Exception):  # noqa: N818 - not an error
    """Leaves a transaction without a trace."""


def _prove_writable(database: Database) -> None:
    """Change a row and undo it: only a write finds a read-only file, directory, user or standby server."""
    try:
        with database.write() as connection:
            connection.execute(ledger.update().values(id=ledger.c.id))
            raise _Undo
    except _Undo:
        pass
