"""The values that go into the ledger and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

import attrs

from contraflow_hookspecs import Key

ItemStatus = Literal["written", "deleted", "rejected", "deferred", "in_doubt"]
"""What is known of an item at the remote. ``in_doubt``: a change was sent and nobody can say whether it arrived."""

ITEM_STATUSES: tuple[ItemStatus, ...] = ("written", "deleted", "rejected", "deferred", "in_doubt")


class ItemState(NamedTuple):
    """What the ledger knows of one item at one remote. A named tuple, because a run makes one for every row."""

    key: str
    """Canonical text (:func:`contraflow.ledger.keys.encode_key`)."""
    status: ItemStatus
    generation: int = 1
    """Counts the changes that were sent for this item, from 1."""
    fingerprint: str | None = None
    """Of what the remote last confirmed."""
    pending: str | None = None
    """Fingerprint last tried and not confirmed."""
    remote_id: str | None = None
    remote_version: str | None = None


class StepRecord(NamedTuple):
    """The numbers under which a running step writes to the ledger."""

    id: int
    """Of the step execution."""
    stream_id: int
    """Of the items of this step into this integration, the same in every run."""


class StatusCount(NamedTuple):
    """How many items of a step have a status."""

    integration: str
    job: str
    step: str
    status: ItemStatus
    items: int


class ItemRef(NamedTuple):
    """Where an item stands, for people."""

    integration: str
    job: str
    step: str
    key: Key
    status: ItemStatus
    execution_id: int
    """The job execution that last changed the item."""


class NewDeadLetter(NamedTuple):
    """A rejected item, to be kept with its reason."""

    key: str
    """Canonical text."""
    code: str
    reason: str
    """For people. NULs and lone surrogates are replaced; what is longer than 4,000 characters is cut."""


@attrs.frozen(kw_only=True)
class DeadLetter:
    """A rejected item, as it is kept."""

    id: int
    integration: str
    job: str
    step: str
    key: Key
    code: str
    reason: str
    attempts: int
    """How many times it has been rejected."""
    first_execution_id: int
    last_execution_id: int
    recorded: datetime
    """When it was last rejected (UTC)."""


@attrs.frozen(kw_only=True)
class Settlement:
    """All that is recorded of one chunk, in one transaction."""

    step_execution_id: int
    stream_id: int
    execution_id: int
    """The job execution."""
    states: Sequence[ItemState] = ()
    """New item states; of two for one key the later holds."""
    dead_letters: Sequence[NewDeadLetter] = ()
    resolved: Sequence[str] = ()
    """Keys (canonical text) whose dead letter goes away; keys without one are passed over."""
    checkpoint: Key | None = None
    """The reader's position after this chunk; ``None`` leaves the one recorded before."""
    counts: Mapping[str, int] = MappingProxyType({})
    """The step's counts so far, this chunk included."""
