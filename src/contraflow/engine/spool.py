"""What a rehearsal found, on disk and sorted: as much as there is, in little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Self

CHANGES = ("create", "update", "delete")
"""The operations that would be sent."""

_PAGE = 1000


class Planned(NamedTuple):
    """What a run would do with one item, or why it would not."""

    key: str
    """Canonical text."""
    operation: str
    """``create``, ``update`` or ``delete``; ``rejected``, ``held`` or ``deferred`` for what would not be sent."""
    fingerprint: str = ""
    generation: int = 0
    """The number that the change would have among those of its item."""
    prior: str | None = None
    """Fingerprint of what the remote last confirmed."""
    changed: str | None = None
    """Names of the fields that differ, as a JSON array; ``None`` where nobody can say."""
    emptied: str | None = None
    """Those of them that become empty and were not, as a JSON array."""
    values: str | None = None
    """Old and new values of fields, as JSON, without secrets; only where they are remembered, or asked for."""
    reason: str | None = None
    """Why it would not be sent, without secrets."""


_COLUMNS = ", ".join(f'"{name}"' for name in Planned._fields)
_ROOM = ", ".join("?" for _ in Planned._fields)


class Spool:
    """Keeps entries in a private temporary file, which is gone when it is closed. Of one key the last entry holds."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file, of which no name remains
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"CREATE TABLE planned ({_COLUMNS}, PRIMARY KEY (key)) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file. Closing twice does no harm."""
        self._db.close()

    def add(self, entries: Iterable[Planned]) -> None:
        """Keep entries."""
        self._db.executemany(f"INSERT OR REPLACE INTO planned VALUES ({_ROOM})", entries)  # noqa: S608 - no input

    def entries(self, *operations: str, most: int = -1) -> Iterator[Planned]:
        """Entries of these operations, by the text of their keys; all of them, or the first few."""
        wanted = ", ".join("?" for _ in operations)
        query = f"SELECT * FROM planned WHERE operation IN ({wanted}) ORDER BY key LIMIT ?"  # noqa: S608 - no input
        cursor = self._db.execute(query, [*operations, most])
        while page := list(islice(cursor, _PAGE)):
            yield from map(Planned._make, page)

    def count(self, operation: str) -> int:
        """How many entries are of an operation."""
        (number,) = self._db.execute("SELECT count(*) FROM planned WHERE operation = ?", [operation]).fetchone()
        return int(number)

    def examples(self, operation: str, most: int) -> list[str]:
        """Keys of the first few entries of an operation."""
        return [entry.key for entry in self.entries(operation, most=most)]

    def emptied(self) -> list[tuple[str, int]]:
        """How many records would lose each field, by the fields' names."""
        query = "SELECT each.value, count(*) FROM planned, json_each(planned.emptied) AS each GROUP BY 1 ORDER BY 1"
        return [(str(name), int(number)) for name, number in self._db.execute(query)]

    def emptying(self, field: str, most: int) -> list[str]:
        """Keys of some records that would lose a field."""
        query = "SELECT planned.key FROM planned, json_each(planned.emptied) AS each WHERE each.value = ? ORDER BY 1 LIMIT ?"
        return [key for (key,) in self._db.execute(query, [field, most])]
