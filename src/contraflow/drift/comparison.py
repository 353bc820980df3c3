"""Hold items as they were confirmed against what the remote has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow.drift.found import FieldDrift, ItemDrift, Kind
from contraflow.engine.conflicts import edits_of
from contraflow.engine.fetching import Fetcher
from contraflow.engine.memory import Memory, previous_of
from contraflow.errors import HookContractError, LedgerError
from contraflow.ledger import ItemState, Ledger, decode_key
from contraflow.payloads import decode_payload
from contraflow_hookspecs import Change, Gone, ItemError, RemoteItem


@attrs.frozen(kw_only=True)
class RemoteComparison:
    """Compares the items of one step.

    Args:
        ledger: What was confirmed.
        stream_id: The ledger's number of the step.
        memory: Tells which fields differ.
        fetcher: Asks the remote.
        names: Of job and step.
    """

    ledger: Ledger
    stream_id: int
    memory: Memory
    fetcher: Fetcher
    names: tuple[str, str]

    def compare(self, states: Sequence[ItemState]) -> tuple[int, list[ItemDrift]]:
        """How many could not be read, and those that differ."""
        found = self.fetcher.fetch([_change(state) for state in states])
        drifted: dict[str, ItemDrift] = {}
        for state in states:
            record = found.get(decode_key(state.key))
            if isinstance(record, Gone):
                drifted[state.key] = self._drifted(state, "missing")
            elif record is not None and (fields := self._edited(state, record)):
                drifted[state.key] = self._drifted(state, "edited", fields)
        if drifted:
            self._forget_moving({state.key: state for state in states}, drifted)
        return len(states) - len(found), list(drifted.values())

    def _forget_moving(self, states: Mapping[str, ItemState], drifted: dict[str, ItemDrift]) -> None:
        """A run may have changed a record between our look at the ledger and that at the remote."""
        now = self.ledger.item_states(self.stream_id, list(drifted))
        sent = {item.key for intent in self.ledger.intents(self.stream_id) for item in intent.items}
        for key in list(drifted):
            if now.get(key) != states[key] or key in sent:
                del drifted[key]

    def _edited(self, state: ItemState, record: RemoteItem) -> tuple[FieldDrift, ...]:
        if state.digests is None:
            return ()  # nobody can say what was confirmed
        try:
            edits = edits_of(state, (), record, self.memory)
        except ItemError as error:
            plugin = self.fetcher.stage.plugin
            raise HookContractError(plugin, "fetch_items", error.reason, "values as process_item gives them") from error
        before = _confirmed(state)
        return tuple(
            FieldDrift(name=name, confirmed=before.get(name), remote=edits.remote[name])
            for name in sorted(edits.changed)
        )

    def _drifted(self, state: ItemState, kind: Kind, fields: tuple[FieldDrift, ...] = ()) -> ItemDrift:
        job, step = self.names
        return ItemDrift(
            job=job,
            step=step,
            kind=kind,
            key=decode_key(state.key),
            remote_id=state.remote_id,
            fields=fields,
            values_known=state.payload is not None,
        )


def _confirmed(state: ItemState) -> Mapping[str, Any]:
    """The values that the remote last confirmed, as far as they are kept: also of an item that was made due since.

    Raises:
        LedgerError: The ledger's row is none that contraflow wrote.
    """
    if state.payload is None:
        return {}
    try:
        return decode_payload(state.payload)
    except ValueError as error:
        raise LedgerError(f"the ledger holds a row that contraflow did not write: a payload: {error}") from None


def _change(state: ItemState) -> Change:
    return Change(
        key=decode_key(state.key),
        previous=previous_of(state),
        remote_id=state.remote_id,
        remote_version=state.remote_version,
    )
