"""From the URL to an engine whose connections are strict, bounded in their waiting, and silent about secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import NoSuchModuleError

from contraflow_hookspecs import SystemicError
from contraflow_sql.faults import raise_fault
from contraflow_sql.settings import SqlSettings, parse_url

READ_ONLY = "contraflow_sql_read_only"
"""Execution option of connections that will not write: on SQLite they do not take the write lock."""

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def label(url: URL) -> str:
    """The URL for people: without password and without query, where drivers take passwords too."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{unquote((url.database or '').removeprefix('file:'))}"
    return url._replace(password=None).set(query={}).render_as_string(hide_password=True)


@contextmanager
def open_engine(settings: SqlSettings) -> Iterator[Engine]:
    """Yield an engine for the settings' URL; dispose of it at the end.

    Nothing is connected yet.

    Raises:
        SystemicError: A driver is missing, or a SQLite file does not exist.
    """
    url = _with_driver(parse_url(settings.url))
    backend = url.get_backend_name()
    if backend == "sqlite":
        url = _existing_file(url)
    engine = _create(url, _connect_arguments(url, settings))
    if engine.dialect.is_async:
        raise SystemicError(f"url: expected a synchronous driver, found {url.drivername}")
    sa.event.listen(engine, "connect", _preparation(backend, settings.lock_timeout))
    if backend == "sqlite":
        sa.event.listen(engine, "begin", _begin_sqlite)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def connect(engine: Engine, *, read_only: bool = False) -> Iterator[Connection]:
    """Yield a connection in a transaction that the caller commits; otherwise it is rolled back.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us.
    """
    try:
        connection = engine.connect()
    except driver_errors(engine) as error:
        raise_fault(error, engine.url, f"cannot connect to {label(engine.url)}")
    with connection.execution_options(**{READ_ONLY: read_only}):
        yield connection


def driver_errors(engine: Engine) -> tuple[type[Exception], ...]:
    """What a call of the database can raise: SQLAlchemy's errors, and the driver's own (out of connect events)."""
    return (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error)


def _with_driver(url: URL) -> URL:
    if "+" in url.drivername:
        return url
    backend = url.get_backend_name()
    return url.set(drivername=f"{backend}+{_DRIVERS[backend]}")


def _existing_file(url: URL) -> URL:
    """Open the file with ``mode=rw``, so that SQLite never creates one."""
    if not url.database or url.database == ":memory:":
        raise SystemicError("url: an in-memory SQLite database would vanish with the run; expected the path of a file")
    path = Path(url.database)
    if not path.is_file():
        raise SystemicError(f"url: no SQLite file at '{path}'; it is never created, since a new one has no tables")
    query = {**url.query, "mode": "rw", "uri": "true"}
    return url.set(database=f"file:{quote(str(path.resolve()))}", query=query)


def _create(url: URL, arguments: dict[str, Any]) -> Engine:
    backend = url.get_backend_name()
    try:
        # hide_parameters keeps the values out of every message; the ping tells a dead connection from a dead chunk.
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ImportError as error:
        extra = _EXTRAS.get(backend)
        remedy = f'install "contraflow-sql[{extra}]"' if extra and url.drivername.endswith(_DRIVERS[backend]) else ""
        raise SystemicError(
            f"url: the driver of {url.drivername} is not installed ({error.name}); {remedy or 'install it'}"
        ) from None
    except NoSuchModuleError:
        expected = f"{backend}+{_DRIVERS[backend]}"
        raise SystemicError(f"url: SQLAlchemy has no driver '{url.drivername}'; expected {expected}") from None


def _connect_arguments(url: URL, settings: SqlSettings) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite" or "connect_timeout" in url.query:
        return {}
    return {"connect_timeout": settings.connect_timeout}


def _preparation(backend: str, lock_timeout: int) -> Any:
    """The listener that prepares each new connection of the backend."""

    def prepare(connection: Any, _record: object) -> None:
        if backend == "sqlite":
            # The driver would begin transactions late and by guess; _begin_sqlite begins them instead.
            connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for statement in _session_statements(backend, lock_timeout):
                cursor.execute(statement)
        finally:
            cursor.close()
        if backend != "sqlite":
            connection.commit()

    return prepare


def _session_statements(backend: str, lock_timeout: int) -> tuple[str, ...]:
    if backend == "sqlite":
        return ("PRAGMA foreign_keys = ON", f"PRAGMA busy_timeout = {lock_timeout * 1000}")
    if backend == "postgresql":
        return (f"SET lock_timeout = '{lock_timeout}s'",)
    return (
        # Strict: no value is ever cut silently. A key of 0 is a key, not a wish for the next number.
        "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), "
        "'STRICT_ALL_TABLES', 'NO_AUTO_VALUE_ON_ZERO')",
        # TIMESTAMP columns convert from the session's zone; aware values are sent as UTC.
        "SET SESSION time_zone = '+00:00'",
        f"SET SESSION innodb_lock_wait_timeout = {lock_timeout}",
    )


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a lock taken after a read could only be refused, never waited for."""
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
