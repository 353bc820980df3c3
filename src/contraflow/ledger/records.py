"""The values that go into the ledger and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import attrs

from contraflow_hookspecs import Key

ItemStatus = Literal["written", "deleted", "archived", "rejected", "deferred", "in_doubt", "gone", "conflict"]
"""What is known of an item at the remote. ``in_doubt``: a change was sent and nobody can say whether it arrived. ``gone``:
somebody else removed it there. ``conflict``: somebody else changed it there, and a person has to say which version holds."""

ITEM_STATUSES: tuple[ItemStatus, ...] = (
    "written",
    "deleted",
    "archived",
    "rejected",
    "deferred",
    "in_doubt",
    "gone",
    "conflict",
)


AWAY: tuple[ItemStatus, ...] = ("deleted", "archived", "gone")
"""The statuses of items of which the remote holds nothing any more that would be ours to remove."""

UNKNOWN_CONTENT = ""
"""In the place of a fingerprint, which it never equals: the remote holds something of ours, and nobody can say what."""


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
    digests: str | None = None
    """Of the fields of what the remote last confirmed: JSON, field name to digest; ``None`` where unknown."""
    payload: str | None = None
    """What the remote last confirmed, in canonical form, where the step remembers it."""
    changed: str | None = None
    """Names of the fields that were sent last, as a JSON array; ``None`` where the whole item was."""
    retry_at: float | None = None
    """When a deferred item is due again, in seconds since 1970 (UTC); ``None`` for at once."""
    kept: str | None = None
    """Digests of the remote's values of fields that were left to it: JSON, as ``digests``, which has those of ours."""


class KnownKey(NamedTuple):
    """An item that the ledger knows, and of which the remote may hold something."""

    key: str
    """Canonical text."""
    sent: bool
    """Whether the remote holds, or may hold, a record that we sent."""


class StepRecord(NamedTuple):
    """The numbers under which a running step writes to the ledger."""

    id: int
    """Of the step execution."""
    stream_id: int
    """Of the items of this step into this integration, the same in every run."""
    restored: bool = False
    """Whether the ledger is an older copy of itself, and no run has been through all items of the stream since."""


class StreamState(NamedTuple):
    """How far a step's items were read into an integration."""

    id: int
    """Of the items of this step into this integration, the same in every run."""
    mapping: Any
    """What turned entities into payloads when all of them were last compared."""
    cursor: str | None
    """The text of the position that the last complete run came to, where its reader tells."""
    swept: int | None
    """The last job execution that compared all of the source with the ledger."""
    swept_at: datetime | None
    """When that began (UTC); ``None`` also if the history of it is gone."""
    restored: bool | None
    """Whether the ledger is an older copy, and no run has been through all items since."""
    renumbered: int | None
    """The last job execution in which the remote gave an item another id than before."""


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


class ItemsInFlight(NamedTuple):
    """Items of one intent that may have been sent, and have no outcome."""

    integration: str
    job: str
    step: str
    execution_id: int
    """The job execution that recorded the intent."""
    keys: tuple[Key, ...]


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


class NewConflict(NamedTuple):
    """An item that waits for a person, since somebody changed it at the remote."""

    key: str
    """Canonical text."""
    fields: Sequence[str]
    """Names of the fields that have to be decided; none where the question is whether the record is to be removed."""
    base: str | None
    """What the remote last confirmed, in canonical form, where the step remembers it."""
    local: str | None
    """Ours, in canonical form; ``None`` if the record is to be removed."""
    remote: str
    """The remote's, in canonical form."""


@attrs.frozen(kw_only=True)
class ItemConflict:
    """An item that waits for a person, as it is kept."""

    id: int
    integration: str
    job: str
    step: str
    key: Key
    fields: Sequence[str]
    base: str | None
    local: str | None
    remote: str
    decision: Mapping[str, str] | None
    """What was decided and has not been carried out: field to ``local`` or ``remote``."""
    execution_id: int
    """The job execution that found it."""
    recorded: datetime
    """When (UTC)."""


class LeaseState(NamedTuple):
    """Who holds, or last held, the right to run a job. ``(epoch, beat)`` changes as long as the holder lives."""

    integration: str
    job: str
    epoch: int
    """Counts the holders, from 1."""
    beat: int
    """Counts the holder's heartbeats."""
    owner: str | None
    """``None``: nobody holds it; the other values are those of the last holder."""
    host: str
    pid: int
    since: datetime
    execution_id: int | None
    """The holder's latest job execution, once it has begun one."""
    stop_requested: bool


@attrs.frozen(kw_only=True)
class Lease:
    """The right to run a job, until somebody takes it over under a higher epoch."""

    integration: str
    job: str
    epoch: int
    owner: str


class IntentItem(NamedTuple):
    """One change that is about to be sent, with all that is needed to send the very same again."""

    key: str
    """Canonical text."""
    operation: str
    generation: int
    fingerprint: str
    idempotency_key: str
    payload: str
    remote_id: str | None = None
    remote_version: str | None = None
    changed: Sequence[str] | None = None
    """Names of the fields that differ from what the remote last confirmed; ``None`` where nobody can say."""
    digests: str | None = None
    """Where some fields of the payload are the remote's: the digests of ours ..."""
    kept: str | None = None
    """... and of those that were left to the remote."""
    parents: str = ""
    """The items of other steps to which the payload refers, as :class:`Referring` has them."""


@attrs.frozen(kw_only=True)
class Intent:
    """Changes that may have been sent, and whose outcome is not recorded."""

    id: int
    stream_id: int
    execution_id: int
    """The job execution that recorded it."""
    epoch: int
    """Of the run that last sent it, or began to recover it."""
    attempt: int
    parts: int
    """How many times it has been settled in part."""
    recoveries: int
    """How many runs in a row died over it, less one; -1 after one that did not."""
    returned: bool
    """Whether the call has returned: then the moment is that of its end, otherwise that before it."""
    boot_id: str | None
    """Where ``boot_time`` counts from; ``None`` where the system does not tell."""
    boot_time: float | None
    """:class:`contraflow.ledger.boot_clock.BootMoment` of the sender."""
    recorded: datetime
    """The same by the sender's wall clock (UTC)."""
    items: tuple[IntentItem, ...]
    """Those still without outcome."""


class Request(NamedTuple):
    """A request to run a job that came while the job was running."""

    id: int
    integration: str
    job: str
    body: dict[str, Any]
    requested: datetime
    epoch: int | None
    """Of the run that is carrying it out; ``None`` while it waits."""


class Referring(NamedTuple):
    """To which items of other steps one item refers at the remote."""

    key: str
    """Canonical text."""
    parents: str
    """By the names of the step's references: JSON, name to the parent's key (canonical text), and whether its remote id was
    sent; empty for none."""
    replaces: bool = True
    """Whether the item refers to no others, as far as is known."""


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
    renumbered: bool = False
    """Whether the remote gave some item another id than it had before."""
    resolved: Sequence[str] = ()
    """Keys (canonical text) whose dead letter, or conflict, goes away; keys without one are passed over."""
    conflicts: Sequence[NewConflict] = ()
    references: Sequence[Referring] = ()
    """Of two for one key both are recorded, in their order."""
    checkpoint: Key | None = None
    """The reader's position after this chunk; ``None`` leaves the one recorded before."""
    counts: Mapping[str, int] = MappingProxyType({})
    """The step's counts so far, this chunk included."""
    intent_id: int | None = None
    """The intent whose items these are the outcomes of."""
    unsettled: Sequence[IntentItem] = ()
    """The intent's items that have no certain outcome yet. The checkpoint may pass them, since the intent keeps them."""
    parts: int = 0
    """How many times the intent has been settled in part before: tells this settlement from a repetition of the last."""

    def __attrs_post_init__(self) -> None:
        if self.unsettled and self.intent_id is None:
            raise ValueError("only an intent can be settled in part")
