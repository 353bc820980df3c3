"""What all parts of a ledger share: the database, the clocks, and how it is closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

from contraflow.ledger.boot_clock import BootMoment
from contraflow.ledger.database import Database
from contraflow.ledger.items import item_store
from contraflow.ledger.witness import Witness


class LedgerCore:
    """An open ledger.

    Args:
        database: Belongs to this object from now on.
        identity: The ledger's id.
        path: The file of an SQLite ledger.
        witness: Remembers how far this ledger had come.
        clock: Tells the current moment, with a time zone.
        boot_clock: Tells the time since the machine was started.
    """

    def __init__(
        self,
        database: Database,
        identity: str,
        *,
        path: Path | None,
        witness: Witness | None,
        clock: Callable[[], datetime],
        boot_clock: Callable[[], BootMoment],
    ) -> None:
        self.id = identity
        """Random text, made with the ledger: two ledgers never have the same."""
        self.display_url = database.display
        """Where the ledger lies, without password."""
        self._database = database
        self._path = path
        self._witness = witness
        self._clock = clock
        self._boot_clock = boot_clock
        self._items = item_store(database.dialect)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Closing twice does no harm."""
        self._database.close()
