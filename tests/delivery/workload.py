"""The source of a delivery test: records whose versions rise, and a history of everything that was ever due."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

FIELDS = {"rising": ("id", "version", "value"), "cycling": ("id", "value"), "flipping": ("id", "value")}
"""The payload's fields. ``cycling`` payloads come back (red, green, blue, red), as those of real records do, and
``flipping`` ones at the second change."""
_COLOURS = {"cycling": ("red", "green", "blue"), "flipping": ("red", "green")}


@attrs.define(kw_only=True)
class Workload:
    """A table ``item`` in an SQLite file, and its history.

    Args:
        path: The file, which does not exist yet.
        seed: What makes the choice of records repeatable.
        style: One of :data:`FIELDS`.
    """

    path: Path
    seed: int
    style: str = "rising"
    _random: random.Random = attrs.field(init=False)
    _records: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        with self._transaction() as database:
            database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, version INTEGER, value TEXT)")
            database.execute(
                "CREATE TABLE history (id INTEGER, number INTEGER, payload TEXT, PRIMARY KEY (id, number))"
            )

    @property
    def records(self) -> int:
        """How many there are: their ids count from 1."""
        return self._records

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA synchronous = OFF")  # this process is not the one that is killed
            with database:
                yield database

    def insert(self, number: int) -> None:
        """Add so many records."""
        with self._transaction() as database:
            for _ in range(number):
                self._records += 1
                self._put(database, self._records, 1)

    def touch(self, number: int) -> list[int]:
        """Give so many records, chosen by chance, a new version each; those are returned."""
        chosen = self._random.sample(range(1, self._records + 1), min(number, self._records))
        with self._transaction() as database:
            for record in chosen:
                (version,) = database.execute("SELECT version FROM item WHERE id = ?", (record,)).fetchone()
                self._put(database, record, version + 1)
        return chosen

    def _put(self, database: sqlite3.Connection, record: int, version: int) -> None:
        colours = _COLOURS.get(self.style)
        value = f"{record}.{version}" if colours is None else colours[version % len(colours)]
        row: dict[str, Any] = {"id": record, "version": version, "value": value}
        database.execute("REPLACE INTO item VALUES (:id, :version, :value)", row)
        payload = json.dumps({name: row[name] for name in FIELDS[self.style]})
        database.execute("INSERT INTO history VALUES (?, ?, ?)", (record, version, payload))
