"""One item on its way from the reader to the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from contraflow.ledger import encode_key
from contraflow.options import Removal
from contraflow_hookspecs import Key, Operation, Rejected

DELETED = "deleted"
"""Stands for the fingerprint of an item that is to be removed."""
ARCHIVED = "archived"
"""The same of one that is to be archived."""
NO_KEY = ("?",)
"""Stands for the key of an item of which not even that can be told."""


class Prepared(NamedTuple):
    """One item read, on its way to the comparison."""

    key: Key
    key_text: str
    operation: Operation
    payload: Mapping[str, Any] | None
    """``None`` if the item was filtered or rejected."""
    fingerprint: str
    rejected: Rejected | None
    canonical: str = ""
    """The payload's canonical form, for the intent."""
    position: Key | None = None
    """Where to read on behind the item: ``None`` for its key, ``()`` if it does not stand in the order of reading."""
    modified: datetime | None = None
    """When the entity was changed last, where the step asks for it."""
    is_plain: bool = False
    """Whether the canonical form spells the payload's very own values."""
    waits: str | None = None
    """Why the item has to wait for another one."""
    again: bool = False
    """Whether the item was read before, and had to wait."""
    archive: bool = False
    """Whether a removal means that the connector's ``archive_items`` puts the record away."""
    parents: str = ""
    """To which items of other steps it refers, as the ledger keeps that."""


def removal(key: Key, key_text: str, what: Removal) -> Prepared:
    """An item that is to be removed."""
    archive = what is Removal.ARCHIVE
    return Prepared(key, key_text, Operation.DELETE, {}, ARCHIVED if archive else DELETED, None, archive=archive)


def left_out(key: Key, key_text: str, rejected: Rejected | None = None) -> Prepared:
    """An item that is not to be sent: it was filtered, unless it is rejected."""
    return Prepared(key, key_text, Operation.UPSERT, None, "", rejected)


def refused(key: Key, reason: str, code: str) -> Prepared:
    """An item that is rejected, even if its key cannot be kept."""
    try:
        key_text = encode_key(key)
    except ValueError:
        key, key_text = NO_KEY, encode_key(NO_KEY)
    return left_out(key, key_text, Rejected(key=key, code=code, reason=reason))
