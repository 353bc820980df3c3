"""What happens on the way: connections that break, answers that do not come, resources that are left open."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import Outcome, expect
from contraflow.testing.faults import FaultKind
from contraflow_hookspecs import Change


class TransportChecks(ConformanceBase):
    """A connection may break before or after the remote has done the work, and only sometimes can the connector know."""

    def test_no_connection(self, bench: Bench) -> None:
        """Where no connection comes about, surely nothing was sent: it is tried again later."""
        changes = bench.new(2)
        bench.close()
        with bench.away():
            outcome = bench.write_from_start(changes)
        bench.expect_words(changes, outcome, "deferred", "systemic")

    def test_a_timeout_before_it_was_carried_out(self, bench: Bench) -> None:
        """No answer comes, and nothing was done: the connector cannot know, and must not say written or rejected."""
        changes, outcome = self._lost(bench, FaultKind.SILENCE)
        bench.expect_words(changes, outcome, "unknown", "deferred")

    def test_a_timeout_after_it_was_carried_out(self, bench: Bench) -> None:
        """No answer comes, and the work was done: whoever says "surely not" has it done twice."""
        changes, outcome = self._lost(bench, FaultKind.SILENCE, apply=True)
        self._in_doubt(bench, changes, outcome)

    def test_a_reset_before_it_was_carried_out(self, bench: Bench) -> None:
        """The connection breaks, and nothing was done."""
        changes, outcome = self._lost(bench, FaultKind.RESET)
        bench.expect_words(changes, outcome, "unknown", "deferred")

    def test_a_reset_after_it_was_carried_out(self, bench: Bench) -> None:
        """The connection breaks, and the work was done."""
        changes, outcome = self._lost(bench, FaultKind.RESET, apply=True)
        self._in_doubt(bench, changes, outcome)

    def test_half_an_answer(self, bench: Bench) -> None:
        """An answer that ends in the middle: the work was done."""
        changes, outcome = self._lost(bench, FaultKind.TRUNCATED)
        self._in_doubt(bench, changes, outcome)

    @pytest.mark.parametrize("kind", ["status", "reset"])
    def test_a_failure_in_the_middle_of_a_chunk(self, bench: Bench, kind: str) -> None:
        """Where a chunk takes several requests, and the second one fails: what was written before it stays written."""
        changes = bench.new(3)
        with bench.fault(FaultKind(kind), status=429, after=1, may_miss=True):
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "written", "deferred", *(["unknown"] if kind == "reset" else []))

    def test_it_recovers_in_the_same_run(self, bench: Bench) -> None:
        """After a broken connection the same resource serves the next chunk, or the next run does."""
        self._lost(bench, FaultKind.RESET)
        changes = bench.new(2)
        outcome = bench.write(changes)
        if any(word in ("deferred", "unknown", "systemic") for word in outcome.words):
            bench.close()
            changes = bench.new(2)
            outcome = bench.write(changes)
        bench.expect_words(changes, outcome, "written")

    def test_resources_are_closed_after_a_run(self, bench: Bench) -> None:
        """What ``open_resources`` opens is closed at the end of a run."""
        with _nothing_left(bench):
            bench.written(bench.new(1))
            bench.close()

    def test_resources_are_closed_after_a_failure(self, bench: Bench) -> None:
        """And at the end of one that failed in the middle, on either side."""
        with _nothing_left(bench):
            self._lost(bench, FaultKind.RESET)
            bench.close()
        with _nothing_left(bench):
            bench.interrupt(KeyboardInterrupt())

    def test_resources_are_closed_when_they_cannot_be_opened(self, bench: Bench) -> None:
        """And where the remote is away, and they open half."""
        changes = bench.new(1)
        bench.close()
        with _nothing_left(bench), bench.away():
            bench.write_from_start(changes)
            bench.close()

    def _lost(self, bench: Bench, kind: FaultKind, *, apply: bool = False) -> tuple[list[Change], Outcome]:
        changes = bench.new(2)
        with bench.fault(kind, apply=apply):
            outcome = bench.write(changes)
        return changes, outcome

    def _in_doubt(self, bench: Bench, changes: list[Change], outcome: Outcome) -> None:
        bench.expect_words(changes, outcome, "unknown", "written", "deferred", "systemic")


@contextmanager
def _nothing_left(bench: Bench) -> Iterator[None]:
    """Fail if connections, files or threads of the block are left open at its end."""
    bench.written(bench.new(1))  # what is opened once and for all, by whomever, is open now
    bench.close()
    gc.collect()
    before, threads = _open_files(), threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    unclosed = [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]
    expect(not unclosed, f"left to the garbage collector: {'; '.join(unclosed)}")
    end = time.monotonic() + 3.0
    while (left := _left(bench, before, threads)) and time.monotonic() < end:
        time.sleep(0.02)
    expect(
        not left, f"after the run there are still open: {left}. open_resources must close what it opened on every path"
    )


def _left(bench: Bench, files: int | None, threads: int) -> str:
    connections = getattr(bench.faults, "connections", 0)
    if connections:
        return f"{connections} connections to the remote"
    now = _open_files()
    if files is not None and now is not None and now > files:
        return f"{now - files} files or sockets"
    more = threading.active_count() - threads
    return f"{more} threads" if more > 0 else ""


def _open_files() -> int | None:
    """How many files and sockets this process has open; ``None`` where the system does not tell."""
    folder = Path("/dev/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else None
