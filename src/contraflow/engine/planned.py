"""Apply a plan: let through what it names, as it names it, and nothing else."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import attrs

from contraflow.engine.chunk import Chunk
from contraflow.engine.comparison import Comparison
from contraflow.engine.prepared import ARCHIVED, Prepared, removal
from contraflow.engine.spool import Planned
from contraflow.ledger import ItemState, decode_key
from contraflow.options import Removal
from contraflow_hookspecs import Operation


@attrs.define(kw_only=True)
class PlannedComparison(Comparison):
    """Cuts chunks of the changes that a plan names. An item that is no longer as the plan saw it is left out: it is *stale*.

    Args:
        plan: What is to be done, by key text.
    """

    plan: Mapping[str, Planned]
    stale: dict[str, str] = attrs.field(factory=dict, init=False)
    """What was left out, by key text, and why."""
    _seen: set[str] = attrs.field(factory=set, init=False)

    @property
    def _may_pass(self) -> bool:
        """Also of such an item it must be known that it was read: the plan may say that it is in the source no longer."""
        return False

    def unseen(self) -> list[str]:
        """Keys of the plan that were not read."""
        return [key for key in self.plan if key not in self._seen]

    def removals(self) -> Generator[Prepared, None, None]:
        """The deletions of the plan whose entities were not read, as they are to be in the source no longer."""
        for key in self.unseen():
            planned = self.plan[key]
            if planned.operation == "delete":
                what = Removal.ARCHIVE if planned.fingerprint == ARCHIVED else Removal.DELETE
                yield removal(decode_key(key), key, what)._replace(position=())

    def _add(self, chunk: Chunk, item: Prepared) -> None:
        if item.key_text not in self.plan:
            chunk.counts["filtered"] += 1  # the reader gives more than it was asked for
            return
        self._seen.add(item.key_text)
        if item.rejected is not None:
            self._leave_out(chunk, item, f"it would be rejected now: {item.rejected.code}: {item.rejected.reason}")
            return
        if item.waits is not None:
            self._leave_out(chunk, item, f"it would have to wait now: {item.waits}")
            return
        filtered = chunk.counts["filtered"]
        super()._add(chunk, item)
        if chunk.counts["filtered"] > filtered:
            chunk.counts["filtered"] = filtered
            self._leave_out(chunk, item, "it would be filtered now")

    def _place(self, chunk: Chunk, item: Prepared, state: ItemState | None) -> None:
        planned = self.plan[item.key_text]
        confirmed = None if state is None else state.fingerprint
        if (item.operation is Operation.DELETE) != (planned.operation == "delete"):
            gone = item.operation is Operation.DELETE
            self._leave_out(chunk, item, "it is no longer in the source" if gone else "it is in the source again")
        elif item.fingerprint != planned.fingerprint:
            self._leave_out(chunk, item, "its content has changed since")
        elif state is not None and confirmed == item.fingerprint and state.generation >= planned.generation:
            chunk.counts["unchanged"] += 1  # an earlier run of this very plan has done it
        elif confirmed != planned.prior and not _is_removed(item, state):
            self._leave_out(chunk, item, "another run has sent it since")
        else:
            super()._place(chunk, item, state)
            intended = chunk.intended.get(item.key_text)
            if intended is not None and intended.generation != planned.generation:
                del chunk.intended[item.key_text]
                self._leave_out(chunk, item, "another run has tried to send it since")

    def _leave_out(self, chunk: Chunk, item: Prepared, reason: str) -> None:
        chunk.counts["stale"] += 1
        self.stale[item.key_text] = reason


def _is_removed(item: Prepared, state: ItemState | None) -> bool:
    """Whether the very run that is gone on with has removed it."""
    return item.operation is Operation.DELETE and state is not None and state.fingerprint is None
