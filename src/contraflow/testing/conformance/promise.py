"""The delivery promise: what is shown of a connector, and which class that earns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import pytest

from contraflow.engine.promise import Promise
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import expect
from contraflow.testing.faults import FaultKind
from contraflow_hookspecs import Deferred, Idempotency, Written

PROPERTY = "contraflow."
"""Begins the names of the properties by which the test of the promise tells what it found."""

_UNSEEN = "doubles cannot be seen: give the fixture 'remote' a method count(key)"


@attrs.frozen(kw_only=True)
class Shown:
    """One thing that was tried on the connector, and whether it came out well."""

    good: bool
    words: str


class PromiseChecks(ConformanceBase):
    """Each ingredient of a promise, where it is declared; and in the end the class that all of them earn."""

    def test_the_same_key_has_one_effect(self, bench: Bench) -> None:
        """Class A by key: a change that is sent again under its idempotency key has no second effect."""
        self._declared(bench, Idempotency.KEY)
        self._holds(same_key_one_effect(self, bench))

    def test_a_late_repetition_changes_nothing(self, bench: Bench) -> None:
        """Class A: an old change that arrives once more, late, does not overwrite a newer one."""
        self._declared(bench, Idempotency.KEY, Idempotency.VERSIONED)
        self._holds(late_repetition(self, bench))

    def test_an_old_version_is_refused(self, bench: Bench) -> None:
        """Class A by version: a change made against an older version than the remote holds is refused, also when the old
        content is back."""
        self._declared(bench, Idempotency.VERSIONED)
        self._holds(old_version_refused(self, bench))

    def test_a_second_sending_leaves_the_same_state(self, bench: Bench) -> None:
        """Class B: a change that is sent again, under whatever key, leaves the remote as it was."""
        self._declared(bench, Idempotency.UPSERT)
        self._holds(second_sending_same_state(self, bench))

    def test_confirm_items_tells_what_was_not_written(self, bench: Bench) -> None:
        """Class C: of what was never sent, ``confirm_items`` says so."""
        self._confirms(bench)
        self._holds(confirm_before(self, bench))

    def test_confirm_items_tells_what_was_written(self, bench: Bench) -> None:
        """Class C: of what was written, also where the answer was lost, ``confirm_items`` says so."""
        self._confirms(bench)
        self._holds(confirm_after(self, bench))

    def test_confirm_items_tells_a_change_from_the_one_before(self, bench: Bench) -> None:
        """Class C: that there is a record is not that it holds this change."""
        self._confirms(bench)
        if not bench.capabilities.upsert:
            pytest.skip("capabilities declare upsert=False")
        self._holds(confirm_change(self, bench))

    def test_confirm_items_only_reads(self, bench: Bench) -> None:
        """Asking changes nothing."""
        self._confirms(bench)
        (item,) = bench.items(1)
        change, other = bench.change(item), bench.new(1)[0]
        bench.written([change])
        bench.confirm([bench.change(attrs.evolve(item, entity=self.changed(item.data, 1))), other])
        bench.expect_held(change)
        expect(bench.remote.read(other.key) is None, "confirm_items wrote the item that it was asked about")

    def test_confirm_items_tells_a_removal(self, bench: Bench) -> None:
        """A removal is confirmed when the record is gone, and not before."""
        self._confirms(bench)
        if not bench.capabilities.delete:
            pytest.skip("capabilities declare delete=False")
        (change,) = bench.new(1)
        bench.written([change])
        removal = bench.delete(change.key)
        before = bench.confirm([removal]).results[change.key]
        expect(
            not isinstance(before, Written), "confirm_items says of a removal that was not sent that it was carried out"
        )
        bench.written([removal])
        after = bench.confirm([removal]).results[change.key]
        expect(not isinstance(after, Deferred), "confirm_items says of a removal that was carried out that it was not")

    def test_confirm_items_does_not_guess(self, bench: Bench) -> None:
        """While the remote is away or fails, the answer is "unknown", or an error: never "surely not"."""
        self._confirms(bench)
        changes = bench.new(2)
        bench.written(changes)
        if bench.faults is None:
            pytest.skip("no faults can be made here")
        for fault in (FaultKind.REFUSE, FaultKind.RESET):
            with bench.fault_for_all(fault):
                outcome = bench.confirm(changes)
            for change in changes:
                result = outcome.results[change.key]
                guess = isinstance(result, Deferred) and not outcome.errors
                expect(
                    not guess, f"confirm_items could not reach the remote, and answered {result!r}; expected Unknown"
                )

    def test_doubt_is_told(self, bench: Bench) -> None:
        """Every class: what was carried out although its answer was lost is never said to be surely not."""
        self._holds(doubt_is_told(self, bench))

    def test_the_claimed_promise_is_earned(self, bench: Bench, against: str, request: pytest.FixtureRequest) -> None:
        """What the capabilities claim is shown."""
        evidence = {name: probe(self, bench) for name, probe in _PROBES.items() if _possible(name, bench)}
        earned = earned_by(evidence)
        told = {
            "connector": bench.job.name,
            "against": against,
            "faults": type(bench.faults).__name__ if bench.faults is not None else "",
            "claimed": bench.claimed.value,
            "earned": earned.value if earned else "",
            "shown": [shown.words for shown in evidence.values() if shown.good],
            "missing": [shown.words for shown in evidence.values() if not shown.good],
        }
        # Not by record_property, which warns where JUnit's newer format is asked for.
        request.node.user_properties += [(f"{PROPERTY}{name}", value) for name, value in told.items()]
        missing = "; ".join(shown.words for shown in evidence.values() if not shown.good)
        expect(
            earned is not None and earned.value <= bench.claimed.value,
            f"the connector claims class {bench.claimed.value}, and has earned "
            f"{f'class {earned.value}' if earned else 'none'}: {missing or 'nothing was shown'}",
        )

    def _declared(self, bench: Bench, *wanted: Idempotency) -> None:
        declared = bench.capabilities.idempotency
        if declared not in wanted:
            pytest.skip(f"capabilities declare idempotency={declared.name}")

    def _confirms(self, bench: Bench) -> None:
        if not bench.capabilities.confirm:
            pytest.skip("capabilities declare confirm=False")

    def _holds(self, shown: Shown) -> None:
        expect(shown.good, shown.words)


Probe = Callable[[ConformanceBase, Bench], Shown]


def earned_by(evidence: Mapping[str, Shown]) -> Promise | None:
    """The best class that was shown; ``None`` if doubt is not even told.

    Class E is not earned: who runs the job chooses it, by ``in_doubt: resend``.
    """
    good = {name for name, shown in evidence.items() if shown.good}
    if "doubt" not in good and "doubt" in evidence:
        return None
    if {"key", "late"} <= good or {"version", "late"} <= good:
        return Promise.EFFECTIVELY_ONCE
    if "state" in good:
        return Promise.STATE_SAFE
    if {"before", "after"} <= good and ("change" in good or "change" not in evidence):
        return Promise.CONFIRMED_ONCE
    return Promise.REPORTED


def _possible(name: str, bench: Bench) -> bool:
    """Whether a probe makes sense: what is not declared is not tried, but for a second sending, which costs nothing."""
    declared = bench.capabilities
    match name:
        case "key":
            return declared.idempotency is Idempotency.KEY
        case "version":
            return declared.idempotency is Idempotency.VERSIONED
        case "late":
            return declared.idempotency in (Idempotency.KEY, Idempotency.VERSIONED) and declared.upsert
        case "state":
            return declared.upsert and declared.idempotency in (Idempotency.UPSERT, Idempotency.NONE)
        case "before" | "after":
            return declared.confirm
        case "change":
            return declared.confirm and declared.upsert
        case "doubt":
            return bench.faults is not None and FaultKind.RESET in bench.faults.kinds
    raise ValueError(name)


def same_key_one_effect(suite: ConformanceBase, bench: Bench) -> Shown:
    """Send new records twice under their keys, as the engine does after a crash: without what the first answer told."""
    changes = bench.new(2)
    bench.written(changes)
    outcome = bench.write([attrs.evolve(change, attempt=2) for change in changes])
    counts = [bench.count(change.key) for change in changes]
    if None in counts:
        return Shown(good=False, words=_UNSEEN)
    once = all(count == 1 for count in counts) and all(map(bench.holds, changes))
    accepted = all(isinstance(result, Written) for result in outcome.results.values())
    return _shown(
        once and accepted,
        "one idempotency key sent twice had one effect",
        f"one idempotency key sent twice had more than one effect, or was refused: {max(c or 0 for c in counts)} records, "
        f"{', '.join(outcome.words)}",
    )


def late_repetition(suite: ConformanceBase, bench: Bench) -> Shown:
    """Send a first change, a second one, and the first once more."""
    (item,) = bench.items(1)
    bench.written([bench.change(item)])
    first = bench.change(attrs.evolve(item, entity=suite.changed(item.data, 1)))
    bench.written([first])
    second = bench.change(attrs.evolve(item, entity=suite.changed(item.data, 2)))
    bench.written([second])
    bench.write([attrs.evolve(first, attempt=2)])
    return _shown(
        bench.holds(second),
        "an old change that came once more did not overwrite a newer one",
        "an old change that came once more overwrote a newer one",
    )


def old_version_refused(suite: ConformanceBase, bench: Bench) -> Shown:
    """Send a change made against a version that is no longer the remote's."""
    (item,) = bench.items(1)
    bench.written([bench.change(item)])
    stale = bench.change(attrs.evolve(item, entity=suite.changed(item.data, 1)))
    if stale.remote_version is None:
        return Shown(good=False, words="Written tells no remote_version, by which an old change could be told")
    newer = bench.change(attrs.evolve(item, entity=suite.changed(item.data, 2)))
    bench.written([newer])
    outcome = bench.write([stale])
    refused = outcome.word(item.key) in ("conflict", "rejected") and bench.holds(newer)
    if refused:
        back = bench.change(item)
        bench.written([back])
        late = bench.write([stale]).word(item.key)
        if late not in ("conflict", "rejected") or not bench.holds(back):
            return Shown(
                good=False, words="a version came back with its content, and an old change against it was written"
            )
    return _shown(
        refused,
        "a change against an old version was refused",
        f"a change against an old version was reported as {outcome.word(item.key)}",
    )


def second_sending_same_state(suite: ConformanceBase, bench: Bench) -> Shown:
    """Send new records twice, the second time as if nothing were known of the first, and under other keys."""
    changes = bench.new(2)
    bench.written(changes)
    again = [attrs.evolve(change, attempt=2, idempotency_key=f"{change.idempotency_key[:36]}-x") for change in changes]
    outcome = bench.write(again)
    counts = [bench.count(change.key) for change in changes]
    if None in counts:
        return Shown(good=False, words=_UNSEEN)
    good = all(map(bench.holds, changes)) and all(count == 1 for count in counts)
    good = good and all(isinstance(result, Written) for result in outcome.results.values())
    return _shown(
        good,
        "a second sending left the same state",
        f"a second sending did not leave the same state: {', '.join(outcome.words)}, "
        f"{max(count or 0 for count in counts)} records for one key",
    )


def confirm_before(suite: ConformanceBase, bench: Bench) -> Shown:
    """Ask for what was never sent."""
    changes = bench.new(2)
    outcome = bench.confirm(changes)
    return _shown(
        all(isinstance(result, Deferred) for result in outcome.results.values()) and not outcome.errors,
        "confirm_items knew what was not written",
        f"confirm_items said of what was never written: {', '.join(outcome.words)}; expected Deferred",
    )


def confirm_after(suite: ConformanceBase, bench: Bench) -> Shown:
    """Ask for what was written, as the engine does after a crash: without what the answer told."""
    changes = bench.new(2)
    bench.written(changes)
    outcome = bench.confirm(changes)
    return _shown(
        all(isinstance(result, Written) for result in outcome.results.values()),
        "confirm_items knew what was written",
        f"confirm_items said of what was written: {', '.join(outcome.words)}; expected Written",
    )


def confirm_change(suite: ConformanceBase, bench: Bench) -> Shown:
    """Ask for a change of a record that is there, before and after it is written."""
    (item,) = bench.items(1)
    bench.written([bench.change(item)])
    change = bench.change(attrs.evolve(item, entity=suite.changed(item.data, 1)))
    before = bench.confirm([change]).results[item.key]
    bench.written([change])
    after = bench.confirm([change]).results[item.key]
    return _shown(
        isinstance(before, Deferred) and isinstance(after, Written),
        "confirm_items told a change from the one before",
        f"confirm_items said of a change {type(before).__name__} before it was written and {type(after).__name__} after; "
        f"expected Deferred and Written",
    )


def doubt_is_told(suite: ConformanceBase, bench: Bench) -> Shown:
    """Let a chunk be carried out, and its answer be lost."""
    changes = bench.new(2)
    with bench.fault(FaultKind.RESET, apply=True):
        outcome = bench.write(changes)
    lies = [
        outcome.word(change.key)
        for change in changes
        if bench.holds(change) and outcome.word(change.key) not in ("written", "unknown")
    ]
    return _shown(
        not lies,
        "what was carried out although its answer was lost was told as in doubt",
        f"what was carried out although its answer was lost was told as {', '.join(lies)}",
    )


def _shown(good: bool, well: str, badly: str) -> Shown:
    return Shown(good=good, words=well if good else badly)


_PROBES: Mapping[str, Probe] = {
    "doubt": doubt_is_told,
    "key": same_key_one_effect,
    "late": late_repetition,
    "version": old_version_refused,
    "state": second_sending_same_state,
    "before": confirm_before,
    "after": confirm_after,
    "change": confirm_change,
}
