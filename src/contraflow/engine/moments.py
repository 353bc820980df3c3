"""When an entity was changed last, by the attribute that a step names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from contraflow.errors import ConfigError, Problem, near_match
from contraflow_hookspecs import Item

_MILLISECONDS = 1e11
"""Larger numbers of seconds lie in the year 5138: such moments are told in milliseconds."""


def moment_of(item: Item, column: str) -> datetime | None:
    """The moment that an attribute of an entity tells; ``None`` if it is empty, or no moment.

    A moment without a zone is one in UTC. Text is read as ISO 8601, a number as seconds or milliseconds since 1970.

    Raises:
        ConfigError: The entity has no such attribute.
    """
    data = item.data
    if column in data:
        return as_moment(data[column])
    if not isinstance(item.entity, Mapping) and hasattr(item.entity, column):
        return as_moment(getattr(item.entity, column))
    raise ConfigError(
        Problem(
            message=f"parameter 'modified_column': the entity has no attribute '{column}'",
            expected="the attribute that tells when it was changed last",
            hint=near_match(column, [str(name) for name in data]),
        )
    )


def as_moment(value: Any) -> datetime | None:
    """A value as a moment."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value if value.utcoffset() is not None else value.replace(tzinfo=UTC)
