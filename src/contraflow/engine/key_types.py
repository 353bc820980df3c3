"""See that a step's keys are of the types that they had before.

A key column that changes from numbers to text makes every key another one. All records would be sent once more as new ones,
and those that the ledger knows would be removed, or stay as doubles.
"""

from __future__ import annotations

from contraflow.errors import ContraflowError
from contraflow.ledger import Ledger, decode_key

LOOKED_AT = 1000


class KeyTypeChangedError(ContraflowError):
    """The keys that are read are of other types than all those that the ledger knows."""


def check_key_type(ledger: Ledger, stream_id: int, key_text: str, step: str) -> None:
    """Hold the first key that a step reads against those that the ledger knows of the step.

    Args:
        ledger: The ledger.
        stream_id: Its number for the step into its integration.
        key_text: The key, as the ledger spells it.
        step: The step's name, for messages.

    Raises:
        KeyTypeChangedError: None of them has the types of this one. Nothing was sent.
    """
    known = {_types(each.key) for each in ledger.known_keys(stream_id, after="", limit=LOOKED_AT)}
    found = _types(key_text)
    if known and found not in known:
        raise KeyTypeChangedError(
            f"step '{step}' reads keys of type {found}, and the ledger knows its items by keys of type "
            f"{' or '.join(sorted(known))}: they would all be new ones, and the old ones be removed or stay as doubles. "
            f"Nothing was sent. Let it read keys of the former type; or give the step another name, which begins anew, and "
            f"say `adopt: true`, which links what the remote has already"
        )


def _types(key_text: str) -> str:
    names = [type(value).__name__ for value in decode_key(key_text)]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
