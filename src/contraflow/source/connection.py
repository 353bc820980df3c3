"""From a database URL to a SQLAlchemy engine that reads, and only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, Engine, make_url

from contraflow.errors import ConfigError, Problem, SourceError, near_match

_CONNECT_TIMEOUT = 10  # seconds
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_SCHEMES = ("sqlite", *_DRIVERS, "oracle", "mssql")


def create_source_engine(url: str | URL, directory: Path | None = None) -> Engine:
    """An engine for reading; nothing is connected yet.

    Args:
        url: A SQLAlchemy URL. ``postgresql://`` and ``mysql://`` mean the drivers that contraflow's extras install.
        directory: The folder from which the path of a SQLite file is relative; the working directory by default.

    Raises:
        ConfigError: The URL is no database URL, or its driver is not installed.
        SourceError: The SQLite file does not exist.
    """
    parsed = _with_driver(_parse(url))
    backend = parsed.get_backend_name()
    options: dict[str, Any] = {"hide_parameters": True}
    if backend == "sqlite":
        parsed = _read_only_file(parsed, directory)
    else:
        # A run may be busy with the remote for long: the server may have closed the connection meanwhile.
        options |= {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 2}
        options |= _server_options(parsed)
    engine = _create(parsed, options)
    if backend == "sqlite":
        _begin_explicitly(engine)
    return engine


def printable(url: URL) -> str:
    """The URL for people: without password and without options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def _parse(url: str | URL) -> URL:
    try:
        return make_url(url)
    except (exc.ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise ConfigError(
            Problem(
                message="the source is not a database URL",
                expected="a SQLAlchemy URL such as sqlite:///shop.db or postgresql://user@host/name",
            )
        ) from None


def _with_driver(url: URL) -> URL:
    driver = _DRIVERS.get(url.drivername)
    return url if driver is None else url.set(drivername=driver)


def _read_only_file(url: URL, directory: Path | None) -> URL:
    """Open the file read-only: SQLite would otherwise create the one that does not exist."""
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        return url
    path = (directory or Path.cwd()) / Path(name).expanduser()
    if not path.is_file():
        raise SourceError(f"the source database {path} does not exist")
    return url.set(database=path.resolve().as_uri()).update_query_dict({"mode": "ro", "uri": "true"})


def _server_options(url: URL) -> dict[str, Any]:
    if url.drivername == "postgresql+psycopg":
        # The statements of one page (rows, then their relations) see one state of the database.
        options: dict[str, Any] = {
            "isolation_level": "REPEATABLE READ",
            "execution_options": {"postgresql_readonly": True},
        }
        if "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": _CONNECT_TIMEOUT}
        return options
    if url.drivername.endswith("+pymysql") and "init_command" not in url.query:
        return {"connect_args": {"init_command": "SET SESSION TRANSACTION READ ONLY"}}
    return {}


def _create(url: URL, options: dict[str, Any]) -> Engine:
    backend = url.get_backend_name()
    try:
        return sa.create_engine(url, **options)
    except exc.NoSuchModuleError:
        raise ConfigError(
            Problem(
                message=f"the source names an unknown kind of database '{url.drivername}'",
                expected="such as sqlite, postgresql or mysql",
                hint=near_match(url.drivername, _SCHEMES),
            )
        ) from None
    except ImportError as error:
        extra = _EXTRAS.get(backend)
        raise ConfigError(
            Problem(
                message=f"the driver '{error.name or url.drivername}' for {backend} is not installed",
                hint=f"pip install 'contraflow[{extra}]'" if extra else f"pip install {error.name or 'it'}",
            )
        ) from error


def _begin_explicitly(engine: Engine) -> None:
    """Let a page be one transaction: the standard library's driver begins none for a SELECT."""

    @sa.event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Straight to the driver: this happens once a page, and costs a tenth so.
        connection.connection.cursor().execute("BEGIN")
