"""Connections and transactions: short read transactions, and write transactions that own the database from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from contraflow.ledger.failures import as_ledger_error, is_connection_lost

LOCK_TIMEOUT = 30.0
"""Seconds to wait for somebody else's lock before giving up."""

_BEGIN = "contraflow_begin"

_T = TypeVar("_T")


class Database:
    """An engine whose transactions begin as the ledger needs it, and whose errors name the ledger.

    Args:
        engine: Belongs to this object from now on.
        display: The ledger's URL for people.
        begin_read: SQL at the begin of a read transaction, if any.
        begin_write: SQL at the begin of a write transaction, if any.
    """

    def __init__(self, engine: Engine, display: str, *, begin_read: str | None, begin_write: str | None) -> None:
        self.display = display
        self.dialect = engine.dialect
        event.listen(engine, "begin", _begin)
        self._engine = engine
        self._reader = engine.execution_options(**{_BEGIN: begin_read})
        self._writer = engine.execution_options(**{_BEGIN: begin_write})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the ledger. Fetch everything within; keep it short."""
        with as_ledger_error(self.display), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or undone if anything is raised within."""
        with as_ledger_error(self.display), self._writer.begin() as connection:
            yield connection

    def repeatably(self, work: Callable[[Connection], _T]) -> _T:
        """Do ``work`` in a write transaction, and once more if the connection is lost, even at the COMMIT.

        Nobody can say then whether the server carried the transaction out. So ``work`` must be harmless when repeated.
        """
        with as_ledger_error(self.display):
            try:
                with self._writer.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not is_connection_lost(error):
                    raise
            with self._writer.begin() as connection:
                return work(connection)

    def session(self) -> Connection:
        """A connection of its own, outside of all transactions. Closing it ends the session."""
        with as_ledger_error(self.display):
            session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()
            return session

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN)
    if statement:
        connection.exec_driver_sql(statement)
