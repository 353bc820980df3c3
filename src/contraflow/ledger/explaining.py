"""All that the ledger knows of one item."""

from __future__ import annotations

from datetime import datetime

import attrs
from sqlalchemy import select

from contraflow.ledger import conflicts, dead_letters, intents
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import DeadLetter, ItemConflict, ItemState
from contraflow.ledger.schema import conflict, dead_letter, item_state, job_execution


@attrs.frozen(kw_only=True)
class ItemRecord:
    """What is known of one item of one stream."""

    state: ItemState
    execution_id: int
    """The job execution that last changed the item."""
    since: datetime | None
    """When that began; ``None`` if it is no longer on record."""
    dead_letter: DeadLetter | None
    conflict: ItemConflict | None


class Explaining(LedgerCore):
    """One item, from every table."""

    def item_record(self, stream_id: int, key: str) -> ItemRecord | None:
        """What is known of the item with the canonical text ``key``; ``None`` if it was never seen."""
        found = select(item_state.c.execution_id, job_execution.c.started).join_from(
            item_state, job_execution, job_execution.c.id == item_state.c.execution_id, isouter=True
        )
        mine = (item_state.c.stream_id == stream_id, item_state.c.key == key)
        letters = select(dead_letter.c.id).where(dead_letter.c.stream_id == stream_id, dead_letter.c.key == key)
        waiting = select(conflict.c.id).where(conflict.c.stream_id == stream_id, conflict.c.key == key)
        with self._database.read() as connection:
            states = self._items.read(connection, stream_id, [key])
            if key not in states:
                return None
            row = connection.execute(found.where(*mine)).one()
            letter = connection.execute(letters).scalar_one_or_none()
            number = connection.execute(waiting).scalar_one_or_none()
            return ItemRecord(
                state=states[key],
                execution_id=row.execution_id,
                since=row.started,
                dead_letter=None if letter is None else dead_letters.get(connection, letter),
                conflict=None if number is None else conflicts.get(connection, number),
            )

    def in_flight_since(self, stream_id: int, key: str) -> int | None:
        """The job execution that sent an item of which no outcome is on record; ``None`` if there is none."""
        with self._database.read() as connection:
            for each in intents.find(connection, stream_id):
                if any(item.key == key for item in each.items):
                    return each.execution_id
        return None
