"""What a rehearsal found, on disk and sorted: as much as there is, in little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

_PAGE = 1000


class Planned(NamedTuple):
    """What a run would do with one item."""

    key: str
    """Canonical text."""
    operation: str
    """``create``, ``update`` or ``delete``."""
    fingerprint: str


class Spool:
    """Keeps entries in a private temporary file, which is gone when it is closed. Of one key the last entry holds."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file, of which no name remains
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(
            "CREATE TABLE planned (key TEXT PRIMARY KEY, operation TEXT NOT NULL, fingerprint TEXT NOT NULL) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, entries: Iterable[Planned]) -> None:
        """Keep entries."""
        self._db.executemany("INSERT OR REPLACE INTO planned VALUES (?, ?, ?)", entries)

    def __iter__(self) -> Iterator[Planned]:
        """The entries by the text of their keys."""
        cursor = self._db.execute("SELECT * FROM planned ORDER BY key")
        while page := list(islice(cursor, _PAGE)):
            yield from map(Planned._make, page)

    def count(self, operation: str) -> int:
        """How many entries are of an operation."""
        (number,) = self._db.execute("SELECT count(*) FROM planned WHERE operation = ?", [operation]).fetchone()
        return int(number)

    def examples(self, operation: str, most: int) -> list[str]:
        """Some keys of an operation."""
        query = "SELECT key FROM planned WHERE operation = ? ORDER BY key LIMIT ?"
        return [key for (key,) in self._db.execute(query, [operation, most])]
