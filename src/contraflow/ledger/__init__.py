"""The ledger: the SQL database in which contraflow remembers executions, checkpoints, item states and dead letters."""

from __future__ import annotations

from contraflow.ledger.keys import decode_key, display_key, encode_key
from contraflow.ledger.ledger import Ledger
from contraflow.ledger.opening import open_ledger
from contraflow.ledger.records import (
    ITEM_STATUSES,
    DeadLetter,
    ItemRef,
    ItemState,
    ItemStatus,
    NewDeadLetter,
    Settlement,
    StatusCount,
    StepRecord,
)

__all__ = [
    "ITEM_STATUSES",
    "DeadLetter",
    "ItemRef",
    "ItemState",
    "ItemStatus",
    "Ledger",
    "NewDeadLetter",
    "Settlement",
    "StatusCount",
    "StepRecord",
    "decode_key",
    "display_key",
    "encode_key",
    "open_ledger",
]
