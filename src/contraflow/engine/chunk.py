"""A chunk: the items that are written and settled together, and what is known of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from datetime import datetime
from typing import NamedTuple

import attrs

from contraflow.ledger import ItemState, NewConflict, Referring
from contraflow_hookspecs import Change, Key, Rejected, WriteResult


class Intended(NamedTuple):
    """A change that is about to be sent, with what the ledger must remember of it."""

    change: Change
    key_text: str
    fingerprint: str
    generation: int
    prior: ItemState | None
    canonical: str = ""
    """The payload's canonical form, for the intent."""
    digests: str | None = None
    """Of the payload's fields, as the ledger keeps them once the remote has confirmed it."""
    payload: str | None = None
    """The payload, where the ledger keeps that, too."""
    kept: str | None = None
    """Digests of what was left to the remote of fields that we have otherwise."""
    modified: datetime | None = None
    """When the entity was changed last, where that is known."""
    archive: bool = False
    """Whether the connector's ``archive_items`` is to carry it out."""
    parents: str = ""
    """To which items of other steps it refers, as the ledger keeps that."""


class Refused(NamedTuple):
    """An item that the reader, the processor or its values kept from being sent."""

    rejected: Rejected
    key_text: str
    prior: ItemState | None


class Waiting(NamedTuple):
    """An item that a person has to decide about."""

    state: ItemState
    conflict: NewConflict
    key: Key
    was_rejected: bool


@attrs.define(kw_only=True)
class Chunk:
    """Items that are written and settled together."""

    intended: dict[str, Intended] = attrs.field(factory=dict)
    """What is to be sent, by key text."""
    rejected: list[Refused] = attrs.field(factory=list)
    """What was refused before it was sent."""
    restored: list[ItemState] = attrs.field(factory=list)
    """Items that are not sent, and of which the ledger must know better: those that turned back to what the remote holds,
    after a later version of them had not arrived, and those whose fields it does not know yet."""
    answered: list[tuple[Intended, WriteResult]] = attrs.field(factory=list)
    """What is not sent after all, since a look at the remote told its fate."""
    waiting: list[Waiting] = attrs.field(factory=list)
    """Items that a person has to decide about."""
    not_due: list[tuple[Key, float]] = attrs.field(factory=list)
    """Deferred items whose time has not come, and when it does (seconds since 1970)."""
    referring: list[Referring] = attrs.field(factory=list)
    """To what items refer that were read by id, whether they are sent or not: they were looked at for that."""
    aside: list[tuple[str, str, str]] = attrs.field(factory=list)
    """Items that differ and are not sent: the outcome in a plan, the key's text, and why."""
    noted: set[str] = attrs.field(factory=set)
    """Keys of items that are not sent, and of which the ledger learns something all the same."""
    counts: Counter[str] = attrs.field(factory=Counter)
    """Outcomes that are already certain."""
    size: int = 0
    """Items in the chunk."""
    position: Key | None = None
    """Where to read on behind the chunk."""

    def distrust(self) -> None:
        """Tell the connector nothing of what differs: somebody does not trust what is known of the remote."""
        for key, each in self.intended.items():
            self.intended[key] = each._replace(change=attrs.evolve(each.change, changed=None))

    @property
    def changes(self) -> list[Change]:
        """What ``write_items`` receives."""
        return [each.change for each in self.intended.values()]

    def restore(self, state: ItemState) -> None:
        """Let the ledger know better of an item that is not sent."""
        self.restored.append(state)
        self.noted.add(state.key)

    def concerns(self, keys: Set[str]) -> bool:
        """Whether the ledger is to learn something of any of these items when the chunk is settled."""
        return not (keys.isdisjoint(self.intended) and keys.isdisjoint(self.noted))
