"""The connector under test, and a look at what its remote then holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import attrs
import pytest

from contraflow.testing.conformance.driver import Driver
from contraflow.testing.conformance.outcome import Outcome, expect, fail
from contraflow.testing.conformance.same import holds
from contraflow.testing.faults import Fault, FaultInjector, FaultKind
from contraflow_hookspecs import Change, Key, Operation


class RemoteView(Protocol):
    """What the suite must be able to see of the remote, beside the connector. Written by the connector's author."""

    def read(self, key: Key) -> Mapping[str, Any] | None:
        """What the remote holds for the item with this key, under the payload's names; ``None`` if nothing.

        It may hold more than was sent, and numbers and moments as text.
        """

    def count(self, key: Key) -> int:
        """How many records the remote holds for this key. More than one are doubles."""


@attrs.define(kw_only=True, eq=False, slots=False)
class Bench(Driver):
    """A connector and its remote; the other arguments are those of :class:`Driver`.

    Args:
        remote: Reads back.
        faults: Makes faults; ``None`` where none can be made.
        same: Whether the remote's value is the one that was sent; ``None`` for the usual.
    """

    remote: RemoteView
    faults: FaultInjector | None
    _same: Callable[[Any, Any], bool] | None = None

    @property
    def requests(self) -> int:
        """How many requests have come to the remote, as far as that can be seen."""
        return 0 if self.faults is None else self.faults.requests

    def written(self, changes: Sequence[Change]) -> Outcome:
        """Write a chunk that must succeed."""
        outcome = self.write(changes)
        for change in changes:
            expect(
                outcome.word(change.key) == "written",
                f"a sound item was not written: {outcome.results[change.key]!r}{outcome.because}",
            )
            self.expect_held(change)
        return outcome

    def holds(self, change: Change) -> bool:
        """Whether the remote holds a change as it was sent; of a removal, whether nothing is there any more."""
        held = self.remote.read(change.key)
        if change.operation is Operation.DELETE:
            return held is None
        return held is not None and not holds(change.payload, held, self._same)

    def expect_held(self, change: Change) -> None:
        """Fail unless the remote holds a change as it was sent."""
        held = self.remote.read(change.key)
        if change.operation is Operation.DELETE:
            expect(held is None, f"{change.key!r} was reported as deleted, and the remote still holds it")
            return
        if held is None:
            fail(f"{change.key!r} was reported as written, and the remote holds nothing under it")
        wrong = holds(change.payload, held, self._same)
        expect(not wrong, f"{change.key!r} was reported as written, but {'; '.join(wrong)}")
        doubles = self.count(change.key)
        expect(doubles in (1, None), f"the remote holds {doubles} records for {change.key!r}")

    def count(self, key: Key) -> int | None:
        """How many records the remote holds for a key; ``None`` if its view cannot say."""
        count = getattr(self.remote, "count", None)
        return None if count is None else int(count(key))

    # Faults

    @contextmanager
    def fault(self, kind: FaultKind, *, may_miss: bool = False, **fields: Any) -> Iterator[FaultInjector]:
        """Let a fault happen; skips the test where it cannot be made.

        Args:
            kind: What goes wrong.
            may_miss: Whether it is all right if no request met it.
            **fields: Of :class:`~contraflow.testing.faults.Fault`.
        """
        faults = self.faults
        if faults is None:
            pytest.skip(
                "no faults can be made here: the settings hold no URL, and the fixture 'faults' is not overridden"
            )
        if kind not in faults.kinds:
            pytest.skip(f"the fixture 'faults' makes no faults of the kind {kind.value}")
        _ = self.context  # opened before, so that the fault meets the writing
        faults.inject(Fault(kind=kind, **fields))
        try:
            yield faults
        finally:
            faults.clear()
        expect(
            not faults.overdue, "the connector waits for an answer without end: give it a timeout, and a short one here"
        )
        if not faults.hits and not may_miss:
            fail("the fault met no request: override is_write, so that it knows the connector's writing requests")

    @contextmanager
    def fault_for_all(self, kind: FaultKind) -> Iterator[None]:
        """Let a fault meet every request, also those that only read."""
        if self.faults is None or kind not in self.faults.kinds:
            pytest.skip(f"no faults of the kind {kind.value} can be made here")
        _ = self.context
        self.faults.inject(Fault(kind=kind, reads=True))
        try:
            yield
        finally:
            self.faults.clear()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let the remote take no connection; skips the test where that cannot be done."""
        if self.faults is None or FaultKind.REFUSE not in self.faults.kinds:
            pytest.skip("the remote cannot be made to refuse connections here: override the fixture 'faults'")
        self.faults.inject(Fault(kind=FaultKind.REFUSE))
        try:
            yield
        finally:
            self.faults.clear()

    def expect_truth(self, changes: Sequence[Change], outcome: Outcome) -> None:
        """Fail if an item is said to be written that the remote does not hold, or to be not written though it does."""
        for change in changes:
            word, held = outcome.word(change.key), self.holds(change)
            if word == "written" and not held:
                fail(f"{change.key!r} is reported as written, and the remote does not hold it{outcome.because}")
            if word in ("rejected", "deferred", "systemic") and held:
                fail(
                    f"{change.key!r} is reported as {word}, which says that it was surely not written, and the remote "
                    f"holds it{outcome.because}. Where nobody can know, answer Unknown or raise another exception"
                )

    def expect_words(self, changes: Sequence[Change], outcome: Outcome, *allowed: str) -> None:
        """Fail unless every item's outcome is among those allowed, and true."""
        for change in changes:
            word = outcome.word(change.key)
            expect(
                word in allowed,
                f"{change.key!r} is reported as {word}; expected {' or '.join(allowed)}{outcome.because}",
            )
        self.expect_truth(changes, outcome)
