"""What is told of a record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from contraflow.ledger import DeadLetter
from contraflow_hookspecs import Key


@attrs.frozen(kw_only=True)
class Place:
    """What is known of the record in one step into one integration."""

    integration: str
    job: str
    step: str
    key: Key
    status: str | None
    """The ledger's; ``in_flight`` if it was sent and no outcome is on record; ``None`` if it was never seen."""
    words: str
    """The status in plain words."""
    execution: int | None = None
    """The job execution that last changed it ..."""
    since: datetime | None = None
    """... and when that began."""
    confirmed: str | None = None
    """The fingerprint of what the remote last confirmed, shortened; ``None`` for nothing, or where nobody can say."""
    values: Mapping[str, Any] | None = None
    """What the remote last confirmed, where that was asked for and is remembered."""
    sent: tuple[str, ...] | None = None
    """The fields that were sent last; ``None`` for all of them, or where nothing was."""
    kept: tuple[str, ...] = ()
    """Fields that were left to the remote."""
    changes: int = 0
    """How many changes were sent."""
    remote_id: str | None = None
    remote_version: str | None = None
    dead_letter: DeadLetter | None = None
    conflict: int | None = None
    """The number in the review list."""
    held: bool = False
    """Whether no run resolves it by itself."""
    retry_at: datetime | None = None
    due: bool | None = None
    """Whether the next run sends it; ``None`` if that cannot be told."""
    why: str
    """Why, or why not."""
    fields: tuple[str, ...] = ()
    """The fields that differ."""
    next: str
    """What comes next."""


@attrs.frozen(kw_only=True)
class Explanation:
    """All places that a record may have gone to."""

    subject: str
    id: str
    places: tuple[Place, ...]
