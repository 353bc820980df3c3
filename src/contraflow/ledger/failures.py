"""What a database's error means for the ledger, in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from contraflow.errors import LedgerError

# By the beginning of SQLite's error name, the most telling first.
_SQLITE = {
    "SQLITE_NOTADB": "is not an SQLite database",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup",
    "SQLITE_READONLY": "is not writable",
    "SQLITE_CANTOPEN": "cannot be opened, or its directory is not writable",
    "SQLITE_PERM": "may not be opened",
    "SQLITE_FULL": "cannot grow: the disk is full",
    "SQLITE_BUSY": "is locked by another process; try again when that has ended",
    "SQLITE_LOCKED": "is locked by another connection",
    "SQLITE_IOERR": "cannot be read or written: input/output error of the disk",
    "SQLITE_CONSTRAINT": "refused a row",
}

# By the beginning of PostgreSQL's SQLSTATE.
_POSTGRESQL = {
    "25006": "is not writable",
    "42501": "may not be used by this user",
    "53100": "cannot grow: the disk is full",
    "55P03": "is locked by another process; try again when that has ended",
    "28": "refused the user",
    "3D000": "does not exist",
    "08": "cannot be reached",
    "57P": "cannot be reached",
    "23": "refused a row",
}


def foreign_row(what: str) -> LedgerError:
    """The error of a row that cannot be contraflow's: what the ledger holds is not trusted."""
    return LedgerError(f"the ledger holds a row that contraflow did not write: {what}")


@contextmanager
def as_ledger_error(display: str) -> Iterator[None]:
    """Turn an error of the database into a :class:`LedgerError` that names the ledger."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
        raise LedgerError(f"the ledger {display} {_meaning(error)}") from error
    except StatementError as error:  # a value that a column's type refused, before the database saw it
        raise (error.orig or error) from None


def is_connection_lost(error: DBAPIError) -> bool:
    """Whether the connection broke, so that the fate of a COMMIT may be unknown."""
    return error.connection_invalidated or (getattr(error.orig, "sqlstate", None) or "").startswith("08")


def _meaning(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        return _sentence(_SQLITE, name, f"{cause}" + (f"; {name}" if name else ""))
    if isinstance(cause, PoolTimeoutError):
        return "cannot be reached: too many connections at once"
    return _postgresql_meaning(error, cause)


def _postgresql_meaning(error: Exception, cause: BaseException | None) -> str:
    """The meaning of an error of psycopg. Only the primary message is repeated: the details quote whole rows."""
    state: str = getattr(cause, "sqlstate", None) or ""
    primary = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    if not state and (type(cause).__name__ == "OperationalError" or getattr(error, "connection_invalidated", False)):
        state = "08"  # the connection was refused or broke, before a server could say anything
    return _sentence(_POSTGRESQL, state, " ".join(primary.split())[:500])


def _sentence(meanings: dict[str, str], code: str, detail: str) -> str:
    meaning = next((text for start, text in meanings.items() if code.startswith(start)), "failed")
    return f"{meaning} ({detail})"
