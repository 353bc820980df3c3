"""A digest for each top-level field of a payload, so that the ledger can tell which fields differ without keeping them.

XXH3, 64 bits: half the time of BLAKE2b, for every field of every item that is sent. It is no cryptographic hash, and need
not be one: whether an item is sent at all is decided by its fingerprint, which is BLAKE2b. What digests give away to
somebody who has the ledger would be the same with either: a value that can be guessed, such as a birthday, can be tried.
The salt keeps digests of two ledgers, and of two items of one ledger, from being held against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import xxhash

from contraflow.errors import LedgerError

_digest = xxhash.xxh3_64_intdigest
_EMPTY = frozenset({b"null", b'""', b"[]", b"{}", b'{"\\u0000set":[]}'})
"""Values, in canonical form, that are as good as none."""


def salt_of(ledger: str) -> int:
    """The salt of everything in the ledger of that id."""
    return _digest(ledger.encode())


def field_digests(
    key_text: str, data: str | bytes, salt: int, own_values: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """The digest of each field.

    Args:
        key_text: Canonical text of the item's key.
        data: The payload in canonical form (:func:`contraflow.fingerprint.canonical_form`).
        salt: From :func:`salt_of`.
        own_values: The payload itself, if its canonical form spells its very own values.
    """
    (digests,) = digests_of([(key_text, data, own_values)], salt)
    return digests


def digests_of(
    payloads: Iterable[tuple[str, str | bytes, Mapping[str, Any] | None]], salt: int
) -> Iterator[dict[str, int]]:
    """The digests of the fields of each of many payloads, told as :func:`field_digests` is told of one."""
    digest, dumps = _digest, orjson.dumps
    for key_text, data, own_values in payloads:
        item_salt = digest(key_text.encode(), salt)
        # Nested mappings come out of the canonical form in its order, and go back in the same.
        values = orjson.loads(data) if own_values is None else own_values
        yield {name: digest(dumps(value), item_salt) for name, value in values.items()}


def emptied(before: str, key_text: str, data: str | bytes, salt: int) -> frozenset[str]:
    """The names of the fields that held something, and are empty or missing now.

    Args:
        before: What :func:`spell` made of the digests of the former payload.
        key_text: As for :func:`field_digests`, like the others.

    Raises:
        LedgerError: ``before`` is not such a text.
    """
    item_salt = _digest(key_text.encode(), salt)
    nothing = {_digest(value, item_salt) for value in _EMPTY}
    filled = {name for name, value in orjson.loads(data).items() if orjson.dumps(value) not in _EMPTY}
    return frozenset(name for name, digest in _parse(before).items() if name not in filled and digest not in nothing)


def spell(digests: Mapping[str, int]) -> str:
    """Digests as the ledger keeps them."""
    return orjson.dumps(digests).decode()


def differing(before: str, digests: Mapping[str, int]) -> frozenset[str]:
    """The names of the fields that differ, vanished and new ones included.

    Args:
        before: What :func:`spell` made of the digests of the former payload.
        digests: Those of the payload now.

    Raises:
        LedgerError: ``before`` is not such a text.
    """
    return frozenset(name for name, _ in _parse(before).items() ^ digests.items())


def _parse(spelled: str) -> dict[str, int]:
    try:
        digests = orjson.loads(spelled)
    except ValueError:
        digests = None
    if not isinstance(digests, dict):
        raise LedgerError("the ledger holds a row that contraflow did not write: the digests of an item")
    return digests
