"""Writing, where all goes well: outcomes, order, repetitions, limits."""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

import attrs
import pytest

from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.driver import NAME
from contraflow.testing.conformance.outcome import expect, fail
from contraflow.testing.conformance.spy import watched
from contraflow_hookspecs import Idempotency, Item, Rejected

_LARGE = 1000
"""Most items of the test of the largest chunk, where the limit is larger or there is none."""


class WritingChecks(ConformanceBase):
    """What every writer does."""

    def test_an_empty_chunk_makes_no_call(self, bench: Bench) -> None:
        """Nothing to write is nothing to say."""
        context, before = bench.context, bench.requests
        with watched() as seen:
            answer: Any = bench.plugins.caller("write_items", NAME)(items=[], context=context)
        expect(answer is not None and len(answer) == 0, f"an empty chunk was answered with {answer!r}; expected []")
        expect(before == bench.requests and not seen, "an empty chunk made the connector talk to its remote")

    def test_one_outcome_an_item(self, bench: Bench) -> None:
        """Each item of a chunk has its outcome, and the remote holds each as it was sent."""
        bench.written(bench.new(3))

    def test_a_change_reaches_the_remote(self, bench: Bench) -> None:
        """What was written is written again with other content, in another run: the record is changed, not doubled."""
        if not bench.capabilities.upsert:
            pytest.skip("capabilities declare upsert=False")
        items = bench.items(2)
        bench.written([bench.change(item) for item in items])
        bench.close()
        bench.written([bench.change(self._changed(item, 1)) for item in items])

    def test_the_last_of_two_changes_wins(self, bench: Bench) -> None:
        """Two changes of one item, one after the other, leave the second."""
        if not bench.capabilities.upsert:
            pytest.skip("capabilities declare upsert=False")
        (item,) = bench.items(1)
        for each in (item, self._changed(item, 1), self._changed(item, 2)):
            bench.written([bench.change(each)])

    def test_a_removal_reaches_the_remote(self, bench: Bench) -> None:
        """A deleted item is gone, its neighbours are not, and what is gone already can be deleted."""
        if not bench.capabilities.delete:
            pytest.skip("capabilities declare delete=False")
        gone, kept = bench.new(2)
        bench.written([gone, kept])
        removal = bench.delete(gone.key)
        bench.written([removal])
        bench.expect_held(kept)
        outcome = bench.write([attrs.evolve(removal, attempt=2)])
        expect(
            outcome.word(gone.key) in ("written", "gone"),
            f"the removal of what is gone already is reported as {outcome.word(gone.key)}; expected written or gone",
        )

    def test_writing_twice(self, bench: Bench) -> None:
        """A chunk that is sent twice, as after a crash, is not refused where a second sending is declared harmless."""
        if bench.capabilities.idempotency is Idempotency.NONE:
            pytest.skip("capabilities declare idempotency=NONE: contraflow sends nothing twice by itself")
        changes = bench.new(3)
        bench.written(changes)
        outcome = bench.write([attrs.evolve(change, attempt=2) for change in changes])
        for change in changes:
            word = outcome.word(change.key)
            expect(
                word in ("written", "conflict"),
                f"{change.key!r} was sent a second time and is reported as {word}; expected written",
            )
            bench.expect_held(change)

    def test_one_bad_item_among_good_ones(self, bench: Bench) -> None:
        """An item that the remote refuses is rejected with a reason, and its neighbours are written."""
        first, bad, last = bench.items(3)
        entity = self.bad_entity(bench.number - 1)
        if entity is None:
            pytest.skip("no entity is known that the remote refuses: override bad_entity(number)")
        changes = [bench.change(first), bench.change(attrs.evolve(bad, entity=entity)), bench.change(last)]
        outcome = bench.write(changes)
        result = outcome.results[bad.key]
        expect(isinstance(result, Rejected), f"the bad item is reported as {result!r}; expected Rejected")
        if isinstance(result, Rejected):
            expect(
                result.reason.strip() and result.code.strip(), f"the bad item is rejected without a reason: {result!r}"
            )
        for good in (changes[0], changes[2]):
            expect(
                outcome.word(good.key) == "written",
                f"a good item beside a bad one is reported as {outcome.results[good.key]!r}; expected Written",
            )
            bench.expect_held(good)

    def test_order_does_not_matter(self, bench: Bench) -> None:
        """Items are told apart by their keys: new ones and changed ones, in any order."""
        old = bench.items(2)
        bench.written([bench.change(item) for item in old])
        chunk = bench.new(2)
        if bench.capabilities.upsert:
            chunk += [bench.change(self._changed(item, 1)) for item in old]
        bench.written(chunk[::-1])

    def test_changes_are_left_alone(self, bench: Bench) -> None:
        """The writer does not change the payloads that it is given."""
        changes = bench.new(2)
        before = copy.deepcopy([dict(change.payload) for change in changes])
        bench.written(changes)
        after = [dict(change.payload) for change in changes]
        expect(before == after, f"write_items changed a payload: {before!r} became {after!r}")

    def test_the_largest_chunk(self, bench: Bench) -> None:
        """A chunk as large as ``max_batch`` allows (without a limit: of 250 items) is written whole."""
        size = min(bench.capabilities.max_batch or 250, _LARGE)
        bench.written(bench.new(size))

    def test_nothing_is_sent_after_the_answer(self, bench: Bench) -> None:
        """When ``write_items`` has returned, its work is done: no thread goes on sending."""
        threads = set(threading.enumerate())
        bench.written(bench.new(2))
        before = bench.requests
        time.sleep(0.2)
        expect(before == bench.requests, "requests were sent after write_items had returned")
        if bench.faults is None:  # a proxy has threads of its own
            late = [each.name for each in set(threading.enumerate()) - threads if not each.daemon]
            expect(not late, f"threads of the connector are still at work: {', '.join(late)}")

    def _changed(self, item: Item, round_: int) -> Item:
        entity = self.changed(item.data, round_)
        if dict(entity) == dict(item.data):
            fail("changed(entity, round) returned the entity as it was")
        return attrs.evolve(item, entity=entity)
