"""The ledger's review list: items that wait for a person to say which version of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contraflow.ledger import conflicts, dead_letters
from contraflow.ledger.conflicts import Decided
from contraflow.ledger.core import LedgerCore
from contraflow.ledger.records import ItemConflict


class Reviewing(LedgerCore):
    """Conflicts, as people and runs ask for them."""

    def conflicts(
        self, *, integration: str | None = None, job: str | None = None, limit: int = 100, after: int = 0
    ) -> list[ItemConflict]:
        """Up to ``limit`` conflicts by id, those with an id above ``after``."""
        with self._database.read() as connection:
            return conflicts.find(connection, integration=integration, job=job, limit=limit, after=after)

    def conflict(self, number: int) -> ItemConflict | None:
        """The conflict with that id, or ``None``."""
        with self._database.read() as connection:
            return conflicts.get(connection, number)

    def decide_conflict(self, seen: ItemConflict, sides: Mapping[str, str]) -> bool:
        """Note what somebody decided of a conflict; the next run that reads the item carries it out.

        Args:
            seen: The conflict as that person saw it.
            sides: Field to ``local`` or ``remote``; under the name ``""`` what holds of all others.

        Returns:
            ``False`` if the conflict is no longer what that person saw; nothing was changed.
        """
        with self._database.write() as connection:
            return conflicts.decide(connection, seen, sides)

    def refused_for_conflict(self, stream_id: int, keys: Sequence[str]) -> list[str]:
        """Those of these items (canonical texts) that are dead letters since the remote refused them for a conflict."""
        if not keys:
            return []
        with self._database.read() as connection:
            return dead_letters.keys_of(connection, stream_id, dead_letters.CONFLICT, keys, self._items)

    def decided_conflicts(self, stream_id: int, keys: Sequence[str]) -> dict[str, Decided]:
        """What was decided, and not yet carried out, of the conflicts of these items (canonical texts)."""
        if not keys:
            return {}
        with self._database.read() as connection:
            return conflicts.decided(connection, stream_id, keys, self._items)
