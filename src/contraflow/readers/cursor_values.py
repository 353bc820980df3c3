"""The values of a cursor column: how far one lies behind another, and which lie in the future.

They are taken as the driver gives them, not as the column's type makes them: SQLite keeps moments as text, of which several
spell the same moment, and its order is that of the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from contraflow.source.keys import python_type

_TEMPORAL = (datetime, date)


def is_temporal(column: sa.ColumnElement[Any]) -> bool:
    """Whether a column holds moments or days."""
    return python_type(column.type) in _TEMPORAL


def has_overlap(column: sa.ColumnElement[Any]) -> bool:
    """Whether the values of a column can be counted back from."""
    return python_type(column.type) in (*_TEMPORAL, int, float, Decimal, None)


def reaching_back(value: Any, overlap: float, *, temporal: bool) -> Any:
    """The value that lies ``overlap`` seconds, or units, before another; the same where that means nothing."""
    if isinstance(value, str):
        return _text_reaching_back(value, overlap) if temporal else value
    try:
        if isinstance(value, datetime):
            return value - timedelta(seconds=overlap)
        if isinstance(value, date):
            return value - timedelta(days=math.ceil(overlap / 86400))
    except OverflowError:
        return value
    if isinstance(value, int):
        return value - math.ceil(overlap)
    if isinstance(value, Decimal):
        return value - Decimal(overlap)
    return value - overlap if isinstance(value, float) else value


def lies_ahead(value: Any, now: Callable[[], datetime], *, temporal: bool) -> bool:
    """Whether a value is a moment in the future. One without time zone may be UTC or local: the later of the two counts."""
    moment = _parsed(value) if isinstance(value, str) and temporal else value
    present = now()
    if isinstance(moment, datetime):
        if moment.tzinfo is not None:
            return moment > present
        return moment > max(present.astimezone(UTC).replace(tzinfo=None), present.astimezone().replace(tzinfo=None))
    if isinstance(moment, date):
        return moment > max(present.astimezone(UTC).date(), present.astimezone().date())
    return False


def _parsed(text: str) -> datetime | date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-01-31") else datetime.fromisoformat(text)
    except ValueError:
        return None


def _text_reaching_back(text: str, overlap: float) -> str:
    moment = _parsed(text)
    if moment is None:
        return text
    earlier = reaching_back(moment, overlap, temporal=True)
    if not isinstance(earlier, datetime):
        return str(earlier)
    # Without fraction and zone: no longer spelling of this second or of a later one sorts before it.
    return earlier.replace(microsecond=0, tzinfo=None).isoformat(sep=text[10])
