"""What the ledger is to remember of the fields of an item, and what it therefore knows of a change.

``remember: fingerprint`` keeps a digest of each field: enough to name those that differ. ``remember: payload`` keeps their
values as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import attrs

from contraflow.errors import LedgerError
from contraflow.field_digests import differing, digests_of, emptied, field_digests, salt_of, spell
from contraflow.ledger import ItemState
from contraflow.payloads import decode_payload


class Remembered(NamedTuple):
    """What the ledger keeps of a payload that the remote confirms, and how it differs from the one before."""

    digests: str | None
    payload: str | None
    changed: frozenset[str] | None
    """Names of the fields that differ; ``None`` where nobody can say."""


NOTHING = Remembered(None, None, None)
"""Of a removal."""


@attrs.frozen
class Memory:
    """How a step remembers.

    Args:
        ledger_id: Salts the digests.
        keeps_payloads: Whether values are kept, too.
    """

    ledger_id: str
    keeps_payloads: bool = False
    _salt: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_salt", salt_of(self.ledger_id))

    def of(
        self,
        key_text: str,
        canonical: str,
        prior: ItemState | None,
        own_values: Mapping[str, Any] | None = None,
    ) -> Remembered:
        """What is to be remembered of a payload.

        Args:
            key_text: The item's key.
            canonical: The payload in canonical form.
            prior: What the ledger knows of the item so far.
            own_values: The payload itself, if its canonical form spells its very own values.
        """
        digests = field_digests(key_text, canonical, self._salt, own_values)
        changed = None if prior is None else _differing(prior, digests)
        return Remembered(spell(digests), canonical if self.keeps_payloads else None, changed)

    def spelled(self, payloads: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> list[str]:
        """The digests of many payloads' fields, as the ledger keeps them.

        Args:
            payloads: Of each the item's key, its canonical form, and the payload itself if that spells its very own values.
        """
        return list(map(spell, digests_of(payloads, self._salt)))

    def emptied(self, key_text: str, canonical: str, prior: ItemState | None) -> frozenset[str]:
        """Names of the fields that the remote has and that a payload would empty, as far as anybody knows."""
        if prior is None or prior.digests is None or not prior.fingerprint or prior.status == "in_doubt":
            return frozenset()
        return emptied(prior.digests, key_text, canonical, self._salt)

    def digests(self, key_text: str, canonical: str | bytes) -> dict[str, int]:
        """The digest of each field of a payload in canonical form."""
        return field_digests(key_text, canonical, self._salt)

    def learn(self, state: ItemState, canonical: str) -> ItemState | None:
        """A state that knows more of an item that was found unchanged; ``None`` if it knows all already.

        A ledger of an earlier contraflow has no digests, and a step may begin to remember payloads.
        """
        if state.digests is not None and (state.payload is not None or not self.keeps_payloads):
            return None
        remembered = self.of(state.key, canonical, None)
        return state._replace(digests=remembered.digests, payload=remembered.payload)


def _differing(prior: ItemState, digests: Mapping[str, int]) -> frozenset[str] | None:
    if prior.digests is None or not prior.fingerprint or prior.status == "in_doubt":
        return None  # nobody can say what the remote holds
    return differing(prior.digests, digests)


def previous_of(state: ItemState | None) -> Mapping[str, Any] | None:
    """What the remote last had from us, where that is kept.

    Raises:
        LedgerError: The ledger's row is none that contraflow wrote.
    """
    if state is None or state.payload is None or not state.fingerprint or state.status == "in_doubt":
        return None
    try:
        return decode_payload(state.payload)
    except ValueError as error:
        raise LedgerError(f"the ledger holds a row that contraflow did not write: a payload: {error}") from None
