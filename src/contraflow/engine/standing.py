"""How an item stands with the remote, as far as the ledger knows."""

from __future__ import annotations

from datetime import datetime

from contraflow.ledger import AWAY, ItemState

LONGEST_PAUSE = 7 * 86400.0
"""Seconds after which an item that was put off is tried again, whatever the remote asked for."""
_CLOCK_ERROR = 86400.0
"""Seconds by which a clock may have gone back since a pause was recorded."""


def is_new(state: ItemState | None) -> bool:
    """Whether the remote has no record yet, as far as is known."""
    return state is None or (state.fingerprint is None and state.remote_id is None)


def is_ours(state: ItemState | None) -> bool:
    """Whether the remote holds, or may hold, a record that we sent: no other is ours to remove."""
    if state is None or state.status in AWAY:
        return False
    return state.fingerprint is not None or state.status == "in_doubt"


def pause_of(state: ItemState, now: datetime) -> float | None:
    """The moment (seconds since 1970) before which the remote wants to be left alone with an item; ``None`` if it is over.

    No pause is as long as one that lies further ahead: that was recorded while a clock was wrong.
    """
    if state.retry_at is None or not 0 < state.retry_at - now.timestamp() <= LONGEST_PAUSE + _CLOCK_ERROR:
        return None
    return state.retry_at
