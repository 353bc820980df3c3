"""The ledger: the SQL database in which contraflow remembers executions, leases, intents, item states and dead letters."""

from __future__ import annotations

from contraflow.ledger.boot_clock import BootMoment, boot_moment
from contraflow.ledger.keys import decode_key, display_key, encode_key
from contraflow.ledger.ledger import Ledger
from contraflow.ledger.liveness import Liveness
from contraflow.ledger.opening import open_ledger
from contraflow.ledger.records import (
    ITEM_STATUSES,
    UNKNOWN_CONTENT,
    DeadLetter,
    Intent,
    IntentItem,
    ItemRef,
    ItemsInFlight,
    ItemState,
    ItemStatus,
    Lease,
    LeaseState,
    NewDeadLetter,
    Request,
    Settlement,
    StatusCount,
    StepRecord,
)
from contraflow.ledger.reporting import Verdict

__all__ = [
    "ITEM_STATUSES",
    "UNKNOWN_CONTENT",
    "BootMoment",
    "DeadLetter",
    "Intent",
    "IntentItem",
    "ItemRef",
    "ItemState",
    "ItemStatus",
    "ItemsInFlight",
    "Lease",
    "LeaseState",
    "Ledger",
    "Liveness",
    "NewDeadLetter",
    "Request",
    "Settlement",
    "StatusCount",
    "StepRecord",
    "Verdict",
    "boot_moment",
    "decode_key",
    "display_key",
    "encode_key",
    "open_ledger",
]
