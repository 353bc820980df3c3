"""Optional hooks: what is read of the remote, put away and forgotten there. Each is tested where it is implemented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import expect
from contraflow.testing.conformance.same import holds
from contraflow.testing.faults import FaultKind
from contraflow_hookspecs import Change, Gone, Key, Operation, Rejected, RemoteItem, Written


class ReadingChecks(ConformanceBase):
    """``fetch_items``, ``find_items``, ``list_items`` read and tell the truth; ``archive_items``, ``forget_items`` act."""

    def archived(self, key: Key) -> bool | None:
        """Whether the remote shows a record as put away; ``None``, the default: if it reads otherwise than before."""
        return None

    def test_fetch_items_tells_what_is_held(self, bench: Bench) -> None:
        """What was written is fetched as it was sent, each record once."""
        self._needs(bench, "fetch_items")
        changes = bench.new(2)
        bench.written(changes)
        found = {each.key: each for each in bench.ask("fetch_items", [bench.known(change) for change in changes])}
        for change in changes:
            each = found.get(change.key)
            expect(
                isinstance(each, RemoteItem), f"fetch_items says of what was written: {each!r}; expected a RemoteItem"
            )
            if isinstance(each, RemoteItem):
                wrong = holds(change.payload, each.payload or {}, self.same)
                expect(not wrong, f"fetch_items gives another record than is held: {'; '.join(wrong)}")

    def test_fetch_items_tells_what_is_gone(self, bench: Bench) -> None:
        """Of what was deleted it says so."""
        self._needs(bench, "fetch_items")
        if not bench.capabilities.delete:
            pytest.skip("capabilities declare delete=False")
        (change,) = bench.new(1)
        bench.written([change])
        known = bench.known(change)
        bench.written([bench.delete(change.key)])
        found = bench.ask("fetch_items", [known])
        expect(
            [type(each) for each in found] == [Gone], f"fetch_items says of what was deleted: {found!r}; expected Gone"
        )

    def test_fetch_items_does_not_guess(self, bench: Bench) -> None:
        """While the remote cannot be reached, nothing is gone: it raises, or leaves out what it could not read."""
        self._needs(bench, "fetch_items")
        changes = bench.new(2)
        bench.written(changes)
        known = [bench.known(change) for change in changes]
        answer = self._while_broken(bench, lambda: bench.ask("fetch_items", known))
        expect(
            not any(isinstance(each, Gone) for each in answer), "fetch_items could not reach the remote, and said Gone"
        )

    def test_find_items_finds_what_is_there(self, bench: Bench) -> None:
        """Records are found without what the ledger knows of them, and what is not there is not."""
        self._needs(bench, "find_items")
        there, new = bench.new(2)
        bench.written([there])
        known = bench.known(there)
        found = bench.ask("find_items", [there, new])
        expect(
            [each.key for each in found] == [there.key],
            f"find_items found records for {[each.key for each in found]}; expected them for {[there.key]}",
        )
        (record,) = found
        expect(
            isinstance(record, RemoteItem)
            and record.remote_id is not None
            and record.remote_id == (known.remote_id or record.remote_id),
            f"find_items found {record!r}; expected the remote's id {known.remote_id!r}",
        )

    def test_find_items_does_not_guess(self, bench: Bench) -> None:
        """While the remote cannot be reached, it raises: "there is none" would make doubles."""
        self._needs(bench, "find_items")
        changes = bench.new(2)
        bench.written(changes)
        bench.ask("find_items", changes)
        self._raises(bench, "find_items", lambda: bench.ask("find_items", changes))

    def test_list_items_lists_what_is_held(self, bench: Bench) -> None:
        """Every record that was written is in the list, once, with its id."""
        self._needs(bench, "list_items")
        changes = bench.new(3)
        bench.written(changes)
        listed = bench.all()
        for change in changes:
            remote_id = bench.known(change).remote_id
            ours = [
                each
                for each in listed
                if each.key == change.key or (remote_id is not None and each.remote_id == remote_id)
            ]
            expect(len(ours) == 1, f"list_items lists {change.key!r} {len(ours)} times; expected once")
            wrong = holds(change.payload, ours[0].payload, self.same) if ours[0].payload is not None else []
            expect(not wrong, f"list_items gives another record than is held: {'; '.join(wrong)}")

    def test_list_items_does_not_end_early(self, bench: Bench) -> None:
        """While the remote cannot be reached, it raises: a list that ends early would show records as missing."""
        self._needs(bench, "list_items")
        bench.written(bench.new(2))
        bench.all()
        self._raises(bench, "list_items", bench.all)

    @pytest.mark.parametrize("hook", ["fetch_items", "find_items", "list_items"])
    def test_reading_changes_nothing(self, bench: Bench, hook: str) -> None:
        """Who reads, writes nothing: neither what is there nor what is not."""
        self._needs(bench, hook)
        there, new = bench.new(2)
        bench.written([there])
        if hook == "list_items":
            bench.all()
        else:
            bench.ask(hook, [bench.known(there), new])
        bench.expect_held(there)
        expect(bench.remote.read(new.key) is None, f"{hook} wrote the item that it was asked about")

    def test_archive_items_puts_away(self, bench: Bench) -> None:
        """A record that is archived is so at the remote, its neighbour is not, and archiving again does nothing."""
        self._needs(bench, "archive_items")
        gone, kept = bench.new(2)
        bench.written([gone, kept])
        before = bench.remote.read(gone.key)
        self._done_twice(bench, "archive_items", gone)
        shown = self.archived(gone.key)
        effective = bench.remote.read(gone.key) != before if shown is None else shown
        expect(effective, "archive_items said that a record was put away, and the remote holds it as before")
        bench.expect_held(kept)

    def test_forget_items_forgets(self, bench: Bench) -> None:
        """Of a record that is forgotten no text is left, its neighbour stays, and forgetting again does nothing."""
        self._needs(bench, "forget_items")
        gone, kept = bench.new(2)
        bench.written([gone, kept])
        self._done_twice(bench, "forget_items", gone)
        left: Mapping[str, Any] = bench.remote.read(gone.key) or {}
        texts = {value for value in gone.payload.values() if isinstance(value, str) and value not in map(str, gone.key)}
        shown = [name for name, value in left.items() if value in texts]
        expect(
            not shown,
            f"forget_items said that a record was forgotten, and the remote still holds its {', '.join(shown)}",
        )
        bench.expect_held(kept)

    def _needs(self, bench: Bench, hook: str) -> None:
        if not bench.implements(hook):
            pytest.skip(f"the connector has no {hook}")

    def _done_twice(self, bench: Bench, hook: str, change: Change) -> None:
        known = bench.known(change)
        removal = attrs.evolve(known, operation=Operation.DELETE, payload={})
        for attempt in (1, 2):
            outcome = bench.carry_out(hook, [attrs.evolve(removal, attempt=attempt)])
            result = outcome.results[change.key]
            if isinstance(result, Rejected) and result.code == "not_supported":
                pytest.skip(f"{hook}: not supported with these settings: {result.reason}")
            good = isinstance(result, Written) or (attempt == 2 and isinstance(result, Gone))
            expect(
                good,
                f"{hook}, called the {'first' if attempt == 1 else 'second'} time, answered {result!r}; expected Written",
            )

    def _while_broken(self, bench: Bench, ask: Callable[[], list[Any]]) -> list[Any]:
        """What is answered while every connection breaks; nothing if an error is raised."""
        with bench.fault_for_all(FaultKind.RESET):
            try:
                return ask()
            except Exception:  # noqa: BLE001 - any error is an honest answer here
                return []

    def _raises(self, bench: Bench, hook: str, ask: Callable[[], list[Any]]) -> None:
        with bench.fault_for_all(FaultKind.RESET):
            try:
                answer = ask()
            except Exception:  # noqa: BLE001 - as above
                return
        expect(False, f"{hook} could not reach the remote, and answered {answer!r}; expected an error")
