"""Open a ledger, and make or migrate it on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from contraflow.ledger.boot_clock import BootMoment, boot_moment
from contraflow.ledger.database import Database
from contraflow.ledger.ledger import Ledger
from contraflow.ledger.location import Location, locate
from contraflow.ledger.migrate import bring_up_to_date
from contraflow.ledger.witness import Witness


def _now() -> datetime:
    return datetime.now(UTC)


def open_ledger(
    url: str,
    *,
    create: bool = True,
    witness: Path | None = None,
    clock: Callable[[], datetime] = _now,
    boot_clock: Callable[[], BootMoment] = boot_moment,
) -> Ledger:
    """Open the ledger at ``url``; make its tables, or bring them up to date, in one transaction.

    Args:
        url: ``sqlite:///FILE`` (relative to the working directory) or ``postgresql://USER@HOST/DATABASE``.
        create: Whether to make a ledger where there is none.
        witness: The directory in which is remembered how far the ledger had come; ``None`` remembers nothing. A ledger that
            has come less far is opened, too: :meth:`~contraflow.ledger.Ledger.contradiction` tells.
        clock: Tells the current moment, with a time zone.
        boot_clock: Tells the time since the machine was started.

    Raises:
        contraflow.errors.LedgerError: It cannot be reached, written or trusted. Nothing was changed then. The message holds
            no password.
    """
    location = locate(url)
    if location.path is None:
        file: AbstractContextManager[None] = nullcontext()
    else:
        from contraflow.ledger.sqlite import database_file

        file = database_file(location, create=create)
    with file:
        database = _connect(location)
        try:
            identity = bring_up_to_date(database, create=create, clock=clock)
        except BaseException:
            database.close()
            raise
    return Ledger(
        database,
        identity,
        path=location.path,
        witness=None if witness is None else Witness(witness),
        clock=clock,
        boot_clock=boot_clock,
    )


def _connect(location: Location) -> Database:
    """Import the one dialect that is needed."""
    if location.path is not None:
        from contraflow.ledger.sqlite import open_sqlite

        return open_sqlite(location)
    from contraflow.ledger.postgresql import open_postgresql

    return open_postgresql(location)
