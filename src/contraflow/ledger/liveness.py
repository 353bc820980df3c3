"""Locks that the operating system or the database server takes from a process that dies: they tell that a holder is dead.

The lease alone decides who may write. A lock only spares the wait: whoever gets it while the lease says "held" need not
watch the holder's heartbeats first.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from contraflow.errors import LedgerError
from contraflow.ledger.database import Database

_PLAIN = re.compile(r"[a-z0-9_-]{1,60}")


class Liveness(Protocol):
    """A lock that lives as long as its holder, at most."""

    @property
    def proof(self) -> bool:
        """Whether getting the lock proves that the former holder's process has ended.

        If not, that is only likely: its connection is gone, and its heartbeats should be watched for a while.
        """

    def acquire(self) -> bool:
        """Get the lock without waiting; ``False`` if a living process, or another part of this one, has it.

        Raises:
            contraflow.errors.LedgerError: The file system cannot lock, or the server cannot be reached.
        """

    def release(self) -> None:
        """Give the lock back. Does no harm if it is not held, or has been lost."""


class JobLock:
    """A lock on a file, which stays when the lock is released: taking it away would split those who wait for it.

    Args:
        path: The file; made when first locked, readable by its owner alone.
    """

    proof = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path, timeout=0, mode=0o600, thread_local=False)

    def acquire(self) -> bool:
        """Get the lock without waiting; ``False`` if somebody has it."""
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire()
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            raise LedgerError(f"{self.path} cannot be locked: {getattr(error, 'strerror', None) or error}") from None
        if type(self._lock) is not FileLock:  # the library fell back to a lock that outlives its holder
            self._lock.release()
            raise LedgerError(f"{self.path} cannot be locked: its file system has no locks")
        return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        with suppress(OSError):
            self._lock.release(force=True)


class SessionLock:
    """An advisory lock of a PostgreSQL session of its own.

    Args:
        database: Where the session is opened.
        key: A signed 64-bit number.
    """

    proof = False  # a connection can break while its process lives

    def __init__(self, database: Database, key: int) -> None:
        self._database = database
        self._key = key
        self._session: Connection | None = None

    def acquire(self) -> bool:
        """Get the lock without waiting; ``False`` if another session has it."""
        if self._session is not None:
            return True
        session = self._database.session()
        try:
            got = bool(session.execute(select(func.pg_try_advisory_lock(self._key))).scalar_one())
        except BaseException:
            session.close()
            raise
        if got:
            self._session = session
        else:
            session.close()
        return got

    def release(self) -> None:
        """Give the lock back and end the session."""
        session, self._session = self._session, None
        if session is None:
            return
        with suppress(DBAPIError):  # the session is gone already, and the lock with it
            session.execute(select(func.pg_advisory_unlock(self._key)))
        session.close()


def lock_file(ledger: Path, integration: str, job: str) -> Path:
    """Where a job's lock file lies: beside the ledger. Names that a file system may refuse or confuse are digested."""
    ledger = ledger.resolve()
    plain = _PLAIN.fullmatch(integration) and _PLAIN.fullmatch(job)
    names = f"{integration}.{job}" if plain else _digest(integration, job).hex()[:32]
    return ledger.with_name(f"{ledger.name}.{names}.lock")


def session_key(ledger_id: str, integration: str, job: str) -> int:
    """The number of a job's advisory lock."""
    return int.from_bytes(_digest(ledger_id, integration, job)[:8], "big", signed=True)


def _digest(*names: str) -> bytes:
    return hashlib.sha256(json.dumps(names).encode()).digest()
