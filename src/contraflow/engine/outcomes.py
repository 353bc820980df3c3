"""What can become of an item, and that something does of each."""

from __future__ import annotations

from collections import Counter

from contraflow.errors import ContraflowError

OUTCOMES = (
    "written",
    "unchanged",
    "filtered",
    "coalesced",
    "rejected",
    "conflict",
    "deferred",
    "in_doubt",
    "gone",
    "stale",
)
"""Every item read has exactly one of these at the end."""


class InvariantError(ContraflowError):
    """The outcomes do not add up to what was read: an error in contraflow itself."""

    exit_code = 70


def check_sum(counts: Counter[str], came_in: int) -> None:
    """See that each item that came in has exactly one outcome.

    Raises:
        InvariantError: The numbers differ.
    """
    outcomes = sum(counts[each] for each in OUTCOMES)
    if outcomes != came_in:
        raise InvariantError(f"{came_in} items came in, but {outcomes} have an outcome")
