"""The intent of one chunk while the engine works on it: what of it has no certain outcome yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from contraflow.engine.chunk import Intended
from contraflow.engine.memory import NOTHING, Memory, previous_of
from contraflow.errors import LedgerError
from contraflow.ledger import Intent, IntentItem, ItemState, decode_key
from contraflow.payloads import decode_payload
from contraflow_hookspecs import Change, Key, Operation, Unknown, WriteResult, Written

_IS_UPSERT = Operation.UPSERT  # looked up for each item it would take long
_UPSERT, _DELETE = Operation.UPSERT.value, Operation.DELETE.value
ARCHIVE = "archive"
"""The operation of an intent that ``archive_items`` carries out; the contract calls it a deletion."""


@attrs.define
class InFlight:
    """Follows which items of an intent are settled.

    Args:
        intent_id: The intent's number in the ledger.
        open: The items without a certain outcome, by key.
        execution_id: The job execution that recorded the intent.
        parts: How many times the intent has been settled in part.
        keeps_doubts: Whether an item whose fate is unknown stays in the intent, to be resolved by recovery; otherwise it is
            settled as held.
    """

    intent_id: int
    open: dict[Key, Intended]
    execution_id: int
    keeps_doubts: bool
    parts: int = 0

    def settled(self, intended: Iterable[Intended], results: Mapping[Key, WriteResult]) -> list[IntentItem]:
        """Take note of results.

        Returns:
            What the intent still holds.
        """
        if len(results) == len(self.open) and all(type(result) is Written for result in results.values()):
            self.open.clear()  # nearly always
            return []
        for each in intended:
            key = each.change.key
            if not (self.keeps_doubts and isinstance(results[key], Unknown)):
                self.open.pop(key, None)
        return [intent_item(each, with_payload=self.keeps_doubts) for each in self.open.values()]


def intent_item(intended: Intended, *, with_payload: bool) -> IntentItem:
    """What the ledger keeps of a change until its outcome is certain.

    Args:
        intended: The change.
        with_payload: Whether it may be sent or asked for again; otherwise its content is nobody's business.
    """
    change, kept = intended.change, intended.kept
    fields = (
        intended.key_text,
        _UPSERT if change.operation is _IS_UPSERT else ARCHIVE if intended.archive else _DELETE,
        intended.generation,
        intended.fingerprint,
        change.idempotency_key,
        intended.canonical if with_payload else "",
        change.remote_id,
        change.remote_version,
        None if change.changed is None else sorted(change.changed),
        None if kept is None else intended.digests,
        kept,
        intended.parents,
    )
    return tuple.__new__(IntentItem, fields)  # as IntentItem(…), in half of the time


def intended_of(intent: Intent, states: Mapping[str, ItemState], memory: Memory) -> Sequence[Intended]:
    """The changes of an intent that an earlier process left behind, as that process sent them.

    Raises:
        LedgerError: The ledger holds an intent that contraflow did not write.
    """
    try:
        return [_intended(item, intent.attempt + 1, states.get(item.key), memory) for item in intent.items]
    except ValueError as error:
        raise LedgerError(f"the ledger holds an intent that contraflow did not write: {error}") from None


def _intended(item: IntentItem, attempt: int, prior: ItemState | None, memory: Memory) -> Intended:
    # Without content it is not sent again, and what is not known of it is not remembered.
    kept = memory.of(item.key, item.payload, None) if item.payload else NOTHING
    change = Change(
        key=decode_key(item.key),
        operation=Operation.DELETE if item.operation == ARCHIVE else Operation(item.operation),
        payload=decode_payload(item.payload) if item.payload else {},
        previous=previous_of(prior),
        changed=None if item.changed is None else frozenset(item.changed),
        remote_id=item.remote_id,
        remote_version=item.remote_version,
        idempotency_key=item.idempotency_key,
        attempt=attempt,
    )
    digests = kept.digests if item.digests is None else item.digests
    return Intended(
        change,
        item.key,
        item.fingerprint,
        item.generation,
        prior,
        item.payload,
        digests,
        kept.payload,
        item.kept,
        archive=item.operation == ARCHIVE,
        parents=item.parents,
    )
