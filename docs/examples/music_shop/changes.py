"""One day in the shop: three rows change, and each is to be sent on by its id."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class RowChange:
    """A change of one row, and where it should arrive."""

    title: str
    sql: str
    step: str
    """The job's step, and the remote's collection of the same name."""
    id: str
    """The row's id as ``--id`` takes it."""
    record_id: str
    """The id of its record at the remote."""
    also: tuple[str, ...] = ()
    """Ids of rows that did not change but are asked for too."""
    planned: bool = False
    """Whether a plan is looked at before."""


DAY = (
    RowChange(
        title="Stanisław Wójcik has a new e-mail address",
        sql="UPDATE customer SET email = 'stanisław@wójcik.example' WHERE id = 49",
        step="customers",
        id="49",
        record_id="49",
        also=("50",),
        planned=True,
    ),
    RowChange(
        title="Bohemian Rhapsody now costs 1.29",
        sql="UPDATE track SET unit_price = 1.29 WHERE id = 2254",
        step="tracks",
        id="2254",
        record_id="2254",
    ),
    RowChange(
        title="... and is put on the playlist On-The-Go 1",
        sql="INSERT INTO playlist_track (playlist_id, track_id) VALUES (18, 2254)",
        step="playlist_entries",
        id="playlist_id=18,track_id=2254",
        record_id="18-2254",
    ),
)


def carry_out(shop: Path, change: RowChange) -> None:
    """Change the row in the SQLite file ``shop``.

    Raises:
        sqlite3.Error: The database refuses it.
    """
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(change.sql)
