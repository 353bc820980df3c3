"""The values that cross the contract. All are frozen; all but ``StepContext`` are plain data.

They stand in the order of a run: what a connector declares, what a reader yields, what a writer receives and answers, and
what observers are told.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import attrs

Key = tuple[Any, ...]
"""An item's identity: its key columns' values, in the order of the key columns. Always a tuple, also for one column."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Idempotency(enum.Enum):
    """What happens at the remote when the same change arrives twice."""

    KEY = "key"
    """The remote recognises ``Change.idempotency_key`` and carries the change out once."""
    VERSIONED = "versioned"
    """The remote refuses a change made against an older version than it holds (``If-Match``, a version column), and no
    version comes back: one that is a digest of the content does."""
    UPSERT = "upsert"
    """The remote ends in the same state."""
    NONE = "none"
    """A second sending is a second effect."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a remote can do. The engine derives the delivery promise from it, and the conformance suite its tests."""

    upsert: bool = True
    """Items can be created and updated."""
    delete: bool = False
    """Items can be deleted."""
    idempotency: Idempotency = Idempotency.NONE
    """What a second sending does."""
    confirm: bool = False
    """``confirm_items`` is implemented and its answer is authoritative."""
    per_item_results: bool = True
    """One call reports each item's fate; otherwise a call succeeds or fails as a whole."""
    max_batch: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """Most items in one ``write_items`` call; ``None`` for no limit."""
    request_lifetime: float | None = None
    """Seconds after which a request that was sent can no longer take effect; ``None`` if unknown."""


@attrs.frozen(kw_only=True)
class ExportJob:
    """What a connector offers: the name of its job, and what the engine must know to run it."""

    name: str = attrs.field(validator=attrs.validators.min_len(1))
    """The job's name, as in the job files."""
    entity: str | None = None
    """The project's entity that is exported, for steps that do not name one."""
    label: str = ""
    """For people: one line."""
    settings: type[Any] | None = None
    """The connector's settings: an attrs class into which the integration's ``settings:`` are structured and validated."""
    capabilities: Capabilities | Callable[[Any], Capabilities] = attrs.field(factory=Capabilities)
    """What the remote can do, or a function of the settings that says so."""
    definition: str | Traversable | Mapping[str, Any] | None = None
    """The job's definition: the name of a YAML file beside the plugin's module, an ``importlib.resources`` file, a
    mapping as in a job file, or ``None`` when the project's job files define it."""
    open_resources: Callable[[Any], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]] | None = None
    """``settings -> context manager``: opens clients and connections once a run; always closed again. One of ``async with``
    is opened and closed in the event loop in which the ``async def`` hooks run."""


class Operation(enum.Enum):
    """What is to happen at the remote."""

    UPSERT = "upsert"
    DELETE = "delete"


@attrs.frozen(kw_only=True)
class Item:
    """One entity as read."""

    key: Key
    """Its identity: the key columns' values in their order."""
    entity: Any = None
    """The mapped instance or the row; ``None`` for a delete."""
    operation: Operation = Operation.UPSERT
    position: Key | None = None
    """Where to read on behind this item, for readers that do not read in the order of the key; ``None`` for its key. A run
    that was killed resumes behind the position of the last item that is settled, and the last position of a complete run is
    the next run's ``cursor``."""
    parents: Mapping[str, str] = _EMPTY
    """Remote ids of the items that this one refers to, by the names of the step's ``references``. Set by the engine."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The entity as a mapping of names to values: the same code serves rows, mappings and mapped instances."""
        entity = self.entity
        if entity is None:
            return _EMPTY
        if isinstance(entity, Mapping):
            return entity
        row = getattr(entity, "_mapping", None)
        if row is not None:
            return {str(name): value for name, value in row.items()}
        return {name: value for name, value in vars(entity).items() if not name.startswith("_")}


@attrs.frozen(kw_only=True)
class Skip:
    """``process_item``'s way to say that an item is not to be exported. The item counts as *filtered*."""

    reason: str
    code: str = "filtered"


@attrs.frozen(kw_only=True)
class Change:
    """One item ready to be written."""

    key: Key
    operation: Operation = Operation.UPSERT
    payload: Mapping[str, Any] = _EMPTY
    """What ``process_item`` returned: what the remote should hold. Empty for a delete."""
    previous: Mapping[str, Any] | None = None
    """What the remote last had from us, where the ledger keeps it."""
    changed: frozenset[str] | None = None
    """Names of the payload's fields that differ from what the remote last had; ``None`` where unknown."""
    remote_id: str | None = None
    """The remote's id, as an earlier ``Written`` told it; ``None`` before the first."""
    remote_version: str | None = None
    """The remote's version (an ETag, a revision), as an earlier ``Written`` told it."""
    idempotency_key: str = ""
    """The same for every sending of this very change, different for any other: at most 40 characters of ``[a-z0-9-]``."""
    attempt: int = 1
    """1 for the first sending."""


class Action(enum.Enum):
    """What the remote did with a written item."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


@attrs.frozen(kw_only=True)
class Written:
    """The remote holds the change."""

    key: Key
    action: Action | None = None
    """``None`` where the remote does not tell: the ledger's memory then decides between created and updated."""
    remote_id: str | None = None
    """``None`` keeps the id known before."""
    remote_version: str | None = None


@attrs.frozen(kw_only=True)
class Rejected:
    """The remote refused this item, and would refuse it again as it is. It becomes a dead letter."""

    key: Key
    code: str
    reason: str


@attrs.frozen(kw_only=True)
class Deferred:
    """The item was surely not written, and may be later: locked, rate-limited, its parent missing."""

    key: Key
    reason: str
    retry_after: float | None = None
    """Seconds to wait, where known."""


@attrs.frozen(kw_only=True)
class Unknown:
    """Nobody can say whether the item was written: it is *in doubt*."""

    key: Key
    reason: str


@attrs.frozen(kw_only=True)
class Conflict:
    """The remote's record was changed by somebody else, and the remote refused ours for that."""

    key: Key
    remote: Mapping[str, Any] | None = None
    """The remote's record, where it was told."""


@attrs.frozen(kw_only=True)
class Gone:
    """The remote's record, which we had written, is no longer there."""

    key: Key


@attrs.frozen(kw_only=True)
class RemoteItem:
    """A record as the remote holds it, read and not written."""

    key: Key | None
    """Whose record it is; ``None`` if that cannot be told (``list_items``)."""
    remote_id: str | None = None
    remote_version: str | None = None
    payload: Mapping[str, Any] | None = None
    """Its content, under the names that ``process_item`` gives to the fields; ``None`` where it was not read."""
    modified: datetime | None = None
    """When it was last changed there, aware, where the remote tells."""


WriteResult = Written | Rejected | Deferred | Unknown | Conflict | Gone
"""What ``write_items`` answers for one change."""


@attrs.frozen(kw_only=True)
class IdFilter:
    """Which entities a run is about: all, or those with the given ids. No ids is none, never all."""

    ids: tuple[Key, ...] | None = None
    """``None`` for all; otherwise the keys, each once, in the order of the request."""
    changed: bool = False
    """Only what may have changed since the context's ``cursor``; a reader that cannot tell reads all. With ids: items that
    the run owes a look although nothing says that they changed. What a reader of changes yields anyhow it leaves out of
    these, and one that is not there is nobody's mistake."""


class Advice(str):
    """A sentence of ``check_step`` that keeps nothing from running: ``contraflow check`` shows it as a warning."""


@attrs.frozen(kw_only=True)
class StepContext:
    """What a stage may know of the run it serves. New fields may be added; none is taken away."""

    integration: str
    job: str
    step: str
    execution_id: int
    """The job execution's number in the ledger."""
    parameters: Mapping[str, Any] = _EMPTY
    """The step's parameters: the job file's, under the run's."""
    services: Mapping[str, str] = _EMPTY
    """The names under the step's ``services:``."""
    settings: Any = None
    """The integration's settings, an instance of ``ExportJob.settings``."""
    resource: Any = None
    """What ``ExportJob.open_resources`` yielded."""
    filter: IdFilter = IdFilter()
    """Which entities are asked for."""
    checkpoint: Key | None = None
    """For readers: the position (by default the key) up to which an interrupted execution has settled everything; read on
    behind it."""
    cursor: str | None = None
    """For readers of changes: the last ``Item.position`` of the execution that completed last, spelt as a JSON array
    (:func:`contraflow.ledger.decode_key` reads it); ``None`` before the first, and where everything is to be read."""
    source: Any = None
    """For readers: the project's source database (``contraflow.source.Source``)."""
    attempt: int = 1
    """Of the current ``write_items`` call."""
    dry_run: bool = False
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("contraflow"))
    deadline: datetime | None = None
    """The moment (UTC) by which the current call should end."""


class BatchStatus(enum.Enum):
    """The state of an execution, with the names of Spring Batch and its descendants."""

    COMPLETED = "COMPLETED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"
    UNKNOWN = "UNKNOWN"


@attrs.frozen(kw_only=True)
class StepExecution:
    """One run of one step, as it stands at the moment of the notification."""

    integration: str
    job: str
    step: str
    status: BatchStatus
    counts: Mapping[str, int] = _EMPTY
    """Items by outcome: ``read`` is the sum of ``written``, ``unchanged``, ``filtered``, ``coalesced``, ``rejected``,
    ``conflict``, ``deferred``, ``in_doubt``, ``gone`` and ``stale``. ``created``, ``updated``, ``deleted`` and ``archived``
    split ``written``. Beside them ``missing``, ids that were asked for and not found, ``recovered``, items of an earlier
    execution whose fate is now known, and ``foreign``, items that somebody else had changed at the remote."""
    total: int | None = None
    """How many items the reader expects; ``None`` if it cannot say."""
    exit_code: str = "UNKNOWN"
    exit_description: str = ""
    errors: Sequence[str] = ()
    """What went wrong, the first cause first."""
    notes: Sequence[str] = ()
    """What is worth knowing, and nothing that went wrong."""
    in_summary: bool = True
    """Whether the step's counts belong to the job's headline."""
    started: datetime | None = None
    ended: datetime | None = None


@attrs.frozen(kw_only=True)
class JobExecution:
    """One run of one job."""

    id: int
    """Its number in the ledger."""
    integration: str
    job: str
    status: BatchStatus
    steps: Sequence[StepExecution] = ()
    exit_code: str = "UNKNOWN"
    exit_description: str = ""
    failures: Sequence[str] = ()
    """What went wrong outside of the steps."""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """The job's headline: the counts of its steps, of those that belong to it, added up."""
        total: dict[str, int] = {}
        for step in self.steps:
            for name, number in step.counts.items() if step.in_summary else ():
                total[name] = total.get(name, 0) + number
        return total

    @property
    def notes(self) -> Sequence[str]:
        """The steps' notes."""
        return tuple(note for step in self.steps for note in step.notes)

    @property
    def errors(self) -> Sequence[str]:
        """The job's own failures, then the steps' errors in the order in which they happened."""
        return (*self.failures, *(error for step in self.steps for error in step.errors))
