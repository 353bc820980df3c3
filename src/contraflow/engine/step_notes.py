"""What people are told of a step's items at its end: the first of what was refused, left out or put off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from contraflow.ledger import decode_key, display_key
from contraflow.redaction import Redactor
from contraflow_hookspecs import Rejected

_MOST_ERRORS = 20
_MOST_NOTES = 5
_MOST_STALE = 100


@attrs.define(kw_only=True)
class StepNotes:
    """Collects them, and keeps only so many.

    Args:
        redact: Keeps secrets out.
    """

    redact: Redactor
    _errors: list[str] = attrs.field(factory=list, init=False)
    _by_outcome: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    _stale: Sequence[tuple[str, str]] = attrs.field(default=(), init=False)

    def rejected(self, rejected: Rejected) -> None:
        """An item was refused."""
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(f"{'/'.join(map(str, rejected.key))}: {rejected.code}: {rejected.reason}")

    def settled(self, by_outcome: Mapping[str, Sequence[str]]) -> None:
        """Something is left to tell of items with these outcomes."""
        for outcome, notes in by_outcome.items():
            # An item may be in doubt first, and again after recovery.
            known = self._by_outcome.get(outcome, ())
            self._by_outcome[outcome] = list(dict.fromkeys((*known, *notes)))[:_MOST_NOTES]

    def looped(self, *, stale: Sequence[tuple[str, str]], waits: Sequence[str]) -> None:
        """The items were gone through: these were no longer as the plan saw them, and these wait for their parents."""
        self._stale = stale
        self._by_outcome["waiting"] = list(map(self.redact, waits))

    def lines(self, counts: Mapping[str, int], cause: str) -> Iterator[str]:
        """All that there is to tell.

        Args:
            counts: How many items have which outcome at the end.
            cause: Why the step ended before its time; empty if it did not.
        """
        if cause:
            yield cause
        yield from self._errors
        for key_text, reason in self._stale[:_MOST_STALE]:
            yield self.redact(f"{display_key(decode_key(key_text))}: stale: {reason}")
        if len(self._stale) > _MOST_STALE:
            yield f"and {len(self._stale) - _MOST_STALE:,} more stale"
        for outcome, notes in self._by_outcome.items():
            # What was resolved meanwhile is of no interest.
            if counts.get("deferred" if outcome == "waiting" else outcome):
                yield from (note for note in notes if not cause or not note.endswith(f": {cause}"))
