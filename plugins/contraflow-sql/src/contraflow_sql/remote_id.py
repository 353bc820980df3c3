"""The key of a target row as the text that the ledger keeps, and back.

One column: its text. Several: a JSON list of their texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from contraflow_sql.values import UnfitError, fit


def encode(key: Sequence[Any]) -> str:
    """The key's values as text."""
    texts = [_text(value) for value in key]
    return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)


def decode(text: str, columns: Sequence[sa.Column[Any]], backend: str) -> tuple[Any, ...]:
    """The values of the key columns out of the text.

    Raises:
        UnfitError: The text is no key of these columns (any more).
    """
    texts = [text] if len(columns) == 1 else _list(text)
    if len(texts) != len(columns):
        raise UnfitError(f"the remembered remote id is no key of {len(columns)} columns")
    return tuple(_value(part, column, backend) for part, column in zip(texts, columns, strict=True))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _list(text: str) -> list[str]:
    try:
        parts = json.loads(text)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UnfitError("the remembered remote id is no key of several columns")
    return parts


def _value(text: str, column: sa.Column[Any], backend: str) -> Any:
    if isinstance(column.type, sa.types._Binary):
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UnfitError("the remembered remote id is not the text of bytes") from None
    return fit(text, column, backend)
