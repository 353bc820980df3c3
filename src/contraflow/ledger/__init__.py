"""The ledger: the SQL database in which contraflow remembers executions, leases, intents, item states and dead letters."""

from __future__ import annotations

from contraflow.ledger.boot_clock import BootMoment, boot_moment
from contraflow.ledger.keys import decode_key, display_key, encode_key, encode_position
from contraflow.ledger.ledger import Ledger
from contraflow.ledger.liveness import Liveness
from contraflow.ledger.opening import open_ledger
from contraflow.ledger.records import (
    AWAY,
    ITEM_STATUSES,
    UNKNOWN_CONTENT,
    DeadLetter,
    Intent,
    IntentItem,
    ItemConflict,
    ItemRef,
    ItemsInFlight,
    ItemState,
    ItemStatus,
    KnownKey,
    Lease,
    LeaseState,
    NewConflict,
    NewDeadLetter,
    Referring,
    Request,
    Settlement,
    StatusCount,
    StepRecord,
    StreamState,
)
from contraflow.ledger.reporting import Verdict
from contraflow.ledger.restoring import StreamName

__all__ = [
    "AWAY",
    "ITEM_STATUSES",
    "UNKNOWN_CONTENT",
    "BootMoment",
    "DeadLetter",
    "Intent",
    "IntentItem",
    "ItemConflict",
    "ItemRef",
    "ItemState",
    "ItemStatus",
    "ItemsInFlight",
    "KnownKey",
    "Lease",
    "LeaseState",
    "Ledger",
    "Liveness",
    "NewConflict",
    "NewDeadLetter",
    "Referring",
    "Request",
    "Settlement",
    "StatusCount",
    "StepRecord",
    "StreamName",
    "StreamState",
    "Verdict",
    "boot_moment",
    "decode_key",
    "display_key",
    "encode_key",
    "encode_position",
    "open_ledger",
]
