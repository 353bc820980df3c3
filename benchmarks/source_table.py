"""The table that every contender exports, and the record that each makes of a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

TABLE = "customer"
BATCH = 1000
"""Rows that a contender reads, and hands to its writer, at once."""

_CREATE = f"""
CREATE TABLE {TABLE} (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    company TEXT,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    balance REAL NOT NULL,
    updated TEXT NOT NULL,
    active BOOLEAN NOT NULL
)
"""
_CITIES = (("Praha", "Česko"), ("Lisboa", "Portugal"), ("Oslo", "Norge"), ("Łódź", "Polska"), ("Graz", "Österreich"))


def make_source(path: Path, rows: int) -> None:
    """Make a SQLite database with the table, the same rows every time, unless it is there already."""
    if path.exists():
        return
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.execute(_CREATE)
        connection.executemany(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(rows))  # noqa: S608
        connection.commit()
    unfinished.rename(path)


def _rows(number: int) -> Iterator[tuple[Any, ...]]:
    for n in range(1, number + 1):
        city, country = _CITIES[n % len(_CITIES)]
        yield (
            n,
            f"Person.{n}@Example.org",
            f"First{n % 977}",
            f"Last{n % 4999}",
            f"Company {n % 313}" if n % 3 else None,
            city,
            country,
            n % 100_000 / 7,
            f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00",
            n % 5 > 0,
        )


def record(row: Any) -> dict[str, Any]:
    """What the remote gets of a row; the work that no contender can avoid."""
    return {
        "id": row.id,
        "name": f"{row.first_name} {row.last_name}",
        "email": row.email.lower(),
        "company": row.company,
        "place": f"{row.city}, {row.country}",
        "balance": row.balance,
        "updated": row.updated,
        "active": row.active,
    }
