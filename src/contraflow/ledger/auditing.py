"""What the remote should hold, as far as it confirmed, page by page; and what a look at it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Select, func, select

from contraflow.ledger import leases
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import UNKNOWN_CONTENT, ItemState, Lease
from contraflow.ledger.schema import item_state

_PAGE = 1000
_HELD = ("written", "rejected", "deferred", "conflict")
"""Items with one of these and a fingerprint are at the remote; of those in doubt nobody can say what is there."""


class Auditing(LedgerCore):
    """Comparing the remote with what it confirmed."""

    def confirmed_items(self, stream_id: int) -> Iterator[list[ItemState]]:
        """What the remote confirmed of a stream's items, page by page."""
        after = ""
        while page := self._states(_confirmed(stream_id).where(item_state.c.key > after).order_by(item_state.c.key)):
            yield page
            after = page[-1].key

    def sampled_items(self, stream_id: int, number: int) -> list[ItemState]:
        """The same of so many items, chosen at random, in the order of their keys."""
        return sorted(self._states(_confirmed(stream_id).order_by(func.random()), limit=number))

    def remote_ids(self, stream_id: int) -> Iterator[str]:
        """The remote's ids of all items, whatever became of them."""
        query = select(item_state.c.key, item_state.c.remote_id).where(
            item_state.c.stream_id == stream_id, item_state.c.remote_id.is_not(None)
        )
        after = ""
        while True:
            with self._database.read() as connection:
                page = connection.execute(
                    query.where(item_state.c.key > after).order_by(item_state.c.key).limit(_PAGE)
                ).all()
            if not page:
                return
            yield from (row.remote_id for row in page)
            after = page[-1].key

    def note_drift(self, lease: Lease, stream_id: int, *, edited: Sequence[str], missing: Sequence[str]) -> None:
        """Make items due that were edited at the remote, and record that others are gone there (canonical texts)."""
        here = item_state.update().where(item_state.c.stream_id == stream_id, item_state.c.status.in_(_HELD))
        due = {"status": "deferred", "fingerprint": UNKNOWN_CONTENT, "pending": None, "retry_at": None}
        nothing = ("fingerprint", "pending", "remote_id", "remote_version", "digests", "payload", "changed", "kept")
        gone = {"status": "gone", "retry_at": None, **dict.fromkeys(nothing)}
        with self._database.write() as connection:
            leases.prove(connection, lease)
            for keys, values in ((edited, due), (missing, gone)):
                if keys:
                    # A conflict stays one: it is looked at again in any case.
                    kept = [item_state.c.status != "conflict"] if values is due else []
                    connection.execute(here.where(self._items.among(item_state.c.key, keys), *kept).values(values))

    def _states(self, query: Select[tuple[str, ...]], *, limit: int = _PAGE) -> list[ItemState]:
        with self._database.read() as connection:
            return [ItemState._make(row) for row in connection.execute(query.limit(limit))]


def _confirmed(stream_id: int) -> Select[tuple[str, ...]]:
    return select(*(item_state.c[name] for name in ItemState._fields)).where(
        item_state.c.stream_id == stream_id, item_state.c.status.in_(_HELD), item_state.c.fingerprint.is_not(None)
    )
