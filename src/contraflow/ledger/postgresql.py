"""The ledger in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import create_engine

from contraflow.errors import LedgerError
from contraflow.ledger.database import LOCK_TIMEOUT, Database
from contraflow.ledger.failures import as_ledger_error
from contraflow.ledger.location import Location

_CONNECT_TIMEOUT = 10
_BEGIN_WRITE = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT:g}s'"
_SURE_COMMIT = "; SET LOCAL synchronous_commit = on"


def open_postgresql(location: Location) -> Database:
    """Connect to the server.

    Where ``synchronous_commit`` is off, it is switched on for the ledger's own transactions: what has been settled may not
    be forgotten by a crash of the server.

    Raises:
        LedgerError: The driver is missing, the server cannot be reached, or the database cannot hold all text.
    """
    display = location.display
    arguments = {} if "connect_timeout" in location.url.query else {"connect_timeout": _CONNECT_TIMEOUT}
    try:
        engine = create_engine(location.url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ImportError:
        raise LedgerError(
            f"the ledger {display} needs the PostgreSQL driver: pip install 'contraflow[postgresql]'"
        ) from None
    try:
        with as_ledger_error(display), engine.connect() as connection:
            encoding, commit = connection.exec_driver_sql(
                "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')"
            ).one()
        if encoding != "UTF8":
            raise LedgerError(
                f"the ledger {display} must be a database with the encoding UTF8; this one has {encoding}"
            )
    except BaseException:
        engine.dispose()
        raise
    begin_write = _BEGIN_WRITE + (_SURE_COMMIT if commit == "off" else "")
    return Database(engine, display, begin_read=None, begin_write=begin_write)
