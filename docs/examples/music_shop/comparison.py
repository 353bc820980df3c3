"""What the remote should hold, said in plain SQL, and how that is compared with what it does hold.

The three queries repeat on purpose what ``contraflow.yaml`` and ``jobs.yml`` declare: they are the second opinion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

Record = Mapping[str, Any]

EXPECTED: Mapping[str, str] = {
    "customers": """
        SELECT CAST(customer.id AS TEXT) AS record_id,
               customer.first_name, customer.last_name, customer.company, customer.email, customer.phone,
               customer.address, customer.city, customer.state, customer.country, customer.postal_code,
               employee.email AS support_rep
          FROM customer LEFT JOIN employee ON employee.id = customer.support_rep_id
    """,
    "tracks": """
        SELECT CAST(track.id AS TEXT) AS record_id,
               track.name, track.composer, track.milliseconds, printf('%.2f', track.unit_price) AS unit_price,
               album.title AS album, artist.name AS artist, genre.name AS genre, media_type.name AS media_type
          FROM track
          JOIN media_type ON media_type.id = track.media_type_id
          LEFT JOIN album ON album.id = track.album_id
          LEFT JOIN artist ON artist.id = album.artist_id
          LEFT JOIN genre ON genre.id = track.genre_id
    """,
    "playlist_entries": """
        SELECT playlist_id || '-' || track_id AS record_id, playlist_id, track_id FROM playlist_track
    """,
}
"""For each collection of the remote, a query for its records; the first column is the record's id."""

EXAMPLES = 3
"""How many differences of a kind are told."""


@attrs.frozen(kw_only=True)
class Comparison:
    """One collection beside what the database says."""

    collection: str
    expected: int
    found: int
    missing: tuple[str, ...] = ()
    """Ids of records that the remote lacks."""
    unexpected: tuple[str, ...] = ()
    """Ids of records that only the remote has."""
    different: tuple[str, ...] = ()
    """One line for each field whose values differ."""

    @property
    def equal(self) -> bool:
        """Whether the remote holds these records, all of them, and no others."""
        return not (self.missing or self.unexpected or self.different)

    def explain(self) -> list[str]:
        """Lines that say what differs, with a few examples of each kind; none where all is equal."""
        kinds = (("missing", self.missing), ("not expected", self.unexpected), ("different", self.different))
        return [
            f"{self.collection}: {len(found)} {kind}: {'; '.join(found[:EXAMPLES])}{' ...' if found[EXAMPLES:] else ''}"
            for kind, found in kinds
            if found
        ]


def expected_records(shop: Path, collection: str) -> dict[str, Record]:
    """What the remote's collection should hold, by record id, by a query on the SQLite file ``shop``."""
    with closing(sqlite3.connect(shop)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            row["record_id"]: {name: row[name] for name in row.keys() if name != "record_id"}  # noqa: SIM118  (a Row)
            for row in connection.execute(EXPECTED[collection])
        }


def compare(collection: str, expected: Mapping[str, Record], found: Mapping[str, Record]) -> Comparison:
    """Hold the remote's records against the expected ones, by id and field by field.

    Values are equal if type and value are: ``1``, ``1.0`` and ``"1"`` are three different things to a remote.
    """
    different = [
        f"record {record_id}, field {name}: expected {_shown(record, name)}, found {_shown(found[record_id], name)}"
        for record_id, record in expected.items()
        if record_id in found
        for name in sorted(record.keys() | found[record_id].keys())
        if _shown(record, name) != _shown(found[record_id], name)
    ]
    return Comparison(
        collection=collection,
        expected=len(expected),
        found=len(found),
        missing=tuple(sorted(expected.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - expected.keys())),
        different=tuple(different),
    )


def _shown(record: Record, name: str) -> str:
    """A field's value as Python writes it, which tells its type as well."""
    return repr(record[name]) if name in record else "nothing"
