"""What the remote answers instead of success, and what the connector makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from contraflow.engine.promise import Promise
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import Outcome, expect
from contraflow.testing.faults import FaultKind
from contraflow_hookspecs import Change, Deferred, Rejected, SystemicError, TransientError

_DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
_SEVEN_SECONDS_LATER = "Wed, 21 Oct 2026 07:28:07 GMT"


class AnswerChecks(ConformanceBase):
    """Statuses of HTTP. Each item's outcome is the right one, and true."""

    def test_401_stops_the_step(self, bench: Bench) -> None:
        """Credentials that are refused are nobody's fault among the items: the step stops, and none is blamed."""
        self._answered(bench, 401, "systemic")

    def test_404_is_a_refusal(self, bench: Bench) -> None:
        """What is not found is refused, gone, or an address that is wrong for all."""
        self._answered(bench, 404, "rejected", "gone", "systemic")

    def test_409_is_a_conflict_or_a_refusal(self, bench: Bench) -> None:
        """A conflict is told as such, or as a refusal, or put off where the remote means a lock."""
        self._answered(bench, 409, "conflict", "rejected", "deferred")

    def test_413_is_met_with_smaller_chunks(self, bench: Bench) -> None:
        """A chunk that is too large for the remote comes in parts: at most one item is refused for it."""
        changes = bench.new(4)
        with bench.fault(FaultKind.STATUS, status=413, times=1):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "written", "rejected")
        refused = outcome.words.count("rejected")
        expect(
            refused <= 1,
            f"one answer of 413 rejected {refused} items of {len(changes)}; raise PermanentError for the chunk, and "
            f"contraflow halves it",
        )

    def test_422_is_a_refusal_with_a_reason(self, bench: Bench) -> None:
        """An item that is not valid is rejected, with the remote's reason."""
        _, outcome = self._answered(bench, 422, "rejected")
        for result in outcome.results.values():
            if isinstance(result, Rejected):
                expect(result.reason.strip() and result.code.strip(), f"rejected without a reason: {result!r}")

    def test_one_422_leaves_the_neighbours_alone(self, bench: Bench) -> None:
        """One refusal costs at most one item."""
        changes = bench.new(4)
        with bench.fault(FaultKind.STATUS, status=422, times=1):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "written", "rejected")
        expect(outcome.words.count("rejected") <= 1, "one answer of 422 rejected more than one item")

    def test_429_with_retry_after(self, bench: Bench) -> None:
        """The remote's own wish is passed on: the seconds, and nothing is lost."""
        _, outcome = self._answered(bench, 429, "deferred", headers={"Retry-After": "7"})
        self._asks_for(outcome, 7)

    def test_429_with_a_date(self, bench: Bench) -> None:
        """``Retry-After`` may be a date. It counts from the answer's own ``Date``, or from now."""
        headers = {"Retry-After": _SEVEN_SECONDS_LATER, "Date": _DATE}
        _, outcome = self._answered(bench, 429, "deferred", headers=headers)
        wait = _wait(outcome)
        expect(wait is None or wait >= 0, f"a Retry-After with a date became {wait} seconds")

    def test_429_without_retry_after(self, bench: Bench) -> None:
        """Without a wish, contraflow's own backoff decides."""
        self._answered(bench, 429, "deferred")

    def test_500_leaves_it_in_doubt(self, bench: Bench) -> None:
        """A server error does not say whether the work was done. Where a second sending is harmless, it may be put off."""
        changes = bench.new(2)
        with bench.fault(FaultKind.STATUS, status=500, apply=True):
            outcome = bench.write(changes)
        if bench.claimed in (Promise.EFFECTIVELY_ONCE, Promise.STATE_SAFE):
            for change in changes:
                expect(
                    outcome.word(change.key) in ("unknown", "deferred", "written"),
                    f"a 500 is reported as {outcome.word(change.key)}; expected unknown",
                )
        else:
            bench.expect_words(changes, outcome, "unknown", "written", "deferred", "systemic")

    def test_503_is_put_off(self, bench: Bench) -> None:
        """A remote that is not available is tried again, as late as it asks."""
        _, outcome = self._answered(bench, 503, "deferred", headers={"Retry-After": "3"})
        self._asks_for(outcome, 3)

    def test_207_with_good_and_bad(self, bench: Bench) -> None:
        """An answer that is mixed is taken apart: each item has its own outcome."""
        changes = bench.new(3)
        if not self.refuse([changes[1].key]):
            pytest.skip("the remote cannot be made to refuse one item within an answer: override refuse(keys)")
        outcome = bench.write(changes)
        expect(
            [outcome.word(change.key) for change in changes] == ["written", "rejected", "written"],
            f"an answer that refused the second item of three is reported as {', '.join(outcome.words)}",
        )
        bench.expect_truth(changes, outcome)

    def test_a_page_of_html_is_no_success(self, bench: Bench) -> None:
        """200 with a page of HTML (a proxy's, a login's) says nothing of the items."""
        changes = bench.new(2)
        with bench.fault(FaultKind.PAGE):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "unknown", "deferred", "systemic")

    def test_an_answer_that_is_no_json_leaves_it_in_doubt(self, bench: Bench) -> None:
        """The same page, behind which the work was done."""
        changes = bench.new(2)
        with bench.fault(FaultKind.PAGE, apply=True):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "unknown", "written", "deferred", "systemic")

    @pytest.mark.parametrize("status", [302, 307])
    def test_a_redirect_to_another_host_is_not_followed(self, bench: Bench, status: int) -> None:
        """Neither credentials nor records go to a host that the settings do not name."""
        changes = bench.new(2)
        with bench.fault(FaultKind.REDIRECT, status=status) as faults:
            outcome = bench.write(changes)
        strangers = getattr(faults, "strangers", ())
        expect(
            not strangers,
            f"the connector followed a redirect ({status}) to another host, with "
            f"{'; '.join(f'{each.method} and {len(each.body)} bytes' for each in strangers)}",
        )
        bench.expect_words(changes, outcome, "systemic", "unknown", "deferred")

    def test_credentials_expire_in_mid_run(self, bench: Bench) -> None:
        """A token that expires is renewed, or the step stops; what was written stays reported, and no item is blamed."""
        first = bench.new(2)
        bench.written(first)
        changes = bench.new(2)
        with bench.fault(FaultKind.STATUS, status=401, times=1):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "systemic", "written")
        for change in first:
            bench.expect_held(change)

    def _answered(self, bench: Bench, status: int, *allowed: str, **fault: Any) -> tuple[list[Change], Outcome]:
        changes = bench.new(2)
        with bench.fault(FaultKind.STATUS, status=status, **fault):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, *allowed)
        if "systemic" in outcome.words:
            expect(isinstance(outcome.stop, SystemicError), "the step is to stop")
        return changes, outcome

    def _asks_for(self, outcome: Outcome, seconds: float) -> None:
        wait = _wait(outcome)
        expect(
            wait == seconds,
            f"the remote asked for a pause of {seconds} seconds (Retry-After), and the connector passes on {wait}",
        )


def _wait(outcome: Outcome) -> float | None:
    """The longest pause that the connector passes on."""
    waits = [result.retry_after for result in outcome.results.values() if isinstance(result, Deferred)]
    waits += [error.retry_after for error in outcome.errors if isinstance(error, TransientError)]
    return max((wait for wait in waits if wait is not None), default=None)
