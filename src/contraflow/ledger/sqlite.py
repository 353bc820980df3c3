"""The ledger in an SQLite file.

A rollback journal, not WAL: SQLite before 3.51.3 can corrupt a WAL database that two processes write, and deleted content
stays readable in the WAL for long. The price is about 1 ms for a settle of 1,000 rows (1.8 ms against 0.8 ms to commit).
TRUNCATE is the quickest rollback journal that keeps no old content (DELETE 2.1 ms; PERSIST keeps it).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event

from contraflow.errors import LedgerError, LedgerMissingError
from contraflow.ledger.database import LOCK_TIMEOUT, Database
from contraflow.ledger.location import Location
from contraflow.ledger.mounts import network_file_system

_HEADER = b"SQLite format 3\0"

LARGEST_CHECKED = 256 * 2**20
"""Bytes. A larger file is not read through at every start, which would take longer than a second."""

# temp_store: every upsert that meets an existing row opens a statement journal; in memory that is ten times quicker.
_PRAGMAS = {
    "busy_timeout": round(LOCK_TIMEOUT * 1000),
    "foreign_keys": 1,
    "synchronous": 2,  # FULL: a settled chunk survives a power loss
    "secure_delete": 1,
    "trusted_schema": 0,
    "temp_store": 2,
}


def open_sqlite(location: Location) -> Database:
    """Connect to the file, which exists.

    Raises:
        LedgerError: The file cannot be opened, or SQLite did not accept a setting on which the ledger's safety rests.
    """
    engine = create_engine(location.url, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    database = Database(engine, location.display, begin_read="BEGIN", begin_write="BEGIN IMMEDIATE")
    try:
        with database.read() as connection:
            effective = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in _PRAGMAS}
            _require(effective, location.display)
            _check_pages(connection, location)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def database_file(location: Location, *, create: bool) -> Iterator[None]:
    """Make the file, readable by its owner alone, unless it exists; take it away again if the body fails.

    Raises:
        LedgerError: The file is missing and ``create`` is false, or it cannot be made, or it is no SQLite database; or it
            lies where it is not safe: behind a symbolic link, or on a network file system.
    """
    path = location.path
    assert path is not None  # noqa: S101 - for the type checker: locate() gives every SQLite ledger a path
    try:
        _refuse_what_is_no_safe_place(path, location.display)
        made = _make(path, location.display, create=create)
        if not made:
            _check_header(path, location.display)
    except OSError as error:
        raise LedgerError(f"the ledger {location.display} cannot be opened: {error.strerror}") from None
    try:
        yield
    except BaseException:
        if made and path.exists() and path.stat().st_size == 0:  # otherwise another process has made its ledger there
            path.unlink(missing_ok=True)
            path.with_name(path.name + "-journal").unlink(missing_ok=True)
        raise


def _refuse_what_is_no_safe_place(path: Path, display: str) -> None:
    if path.is_symlink():
        # By two names one ledger would have two lock files, and in a folder of everybody's a link leads where it likes.
        raise LedgerError(f"the ledger {display} is a symbolic link; name the file itself: {path.resolve()}")
    kind = network_file_system(path)
    if kind is not None:
        raise LedgerError(
            f"the ledger {display} lies on a network file system ({kind}), on which the locks that keep it whole cannot be "
            "trusted; keep it on a local disk, or in PostgreSQL"
        )


def _make(path: Path, display: str, *, create: bool) -> bool:
    """Whether this call made the file."""
    if path.exists():
        return False
    if not path.parent.is_dir():
        raise LedgerError(f"the ledger {display} cannot be made: there is no directory {path.parent}")
    if not create:
        raise LedgerMissingError(f"there is no ledger {display}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:  # another process was quicker, and is making the ledger
        return False
    return True


def _check_header(path: Path, display: str) -> None:
    """Look before SQLite does: it would take whatever follows an empty beginning for its own."""
    if not path.is_file():
        raise LedgerError(f"the ledger {display} is not a file")
    with path.open("rb") as file:
        beginning = file.read(len(_HEADER))
    if beginning not in (b"", _HEADER):
        raise LedgerError(f"the ledger {display} is not an SQLite database")


def _check_pages(connection: Connection, location: Location) -> None:
    """Find a file that was cut, overwritten or copied while it was written, before anything is built upon it."""
    assert location.path is not None  # noqa: S101 - for the type checker
    if location.path.stat().st_size > LARGEST_CHECKED:
        return
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise LedgerError(f"the ledger {location.display} is damaged; restore it from a backup ({found})")


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    """Settings of every new connection. ``isolation_level`` None leaves BEGIN to us, on all versions of Python."""
    try:
        connection.isolation_level = None
        for name, value in _PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {value}")
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode == "delete":  # anything else was chosen by somebody, and WAL is kept in the file itself
            connection.execute("PRAGMA journal_mode = TRUNCATE")
    except BaseException:
        connection.close()
        raise


def _require(effective: dict[str, Any], display: str) -> None:
    wrong = [f"{name} is {value}, not {_PRAGMAS[name]}" for name, value in effective.items() if value != _PRAGMAS[name]]
    if wrong:
        raise LedgerError(f"the ledger {display} cannot be kept safely by this SQLite: " + "; ".join(wrong))
