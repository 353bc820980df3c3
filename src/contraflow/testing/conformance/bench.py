"""The connector under test, driven as the engine drives it, and a look at what the remote then holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn, Protocol

import attrs
import pytest

from contraflow.assembly import Stage
from contraflow.engine.delivery import Call, deliver
from contraflow.engine.promise import Promise, promise_of
from contraflow.errors import HookContractError, Location
from contraflow.fingerprint import canonical
from contraflow.plugins import Plugins
from contraflow.redaction import Redactor
from contraflow.settings import secret_values, structure_settings
from contraflow.testing.conformance.same import holds
from contraflow.testing.faults import Fault, FaultInjector, FaultKind
from contraflow_hookspecs import (
    Capabilities,
    Change,
    ConnectorError,
    Deferred,
    ExportJob,
    Gone,
    Item,
    Key,
    Operation,
    PermanentError,
    RemoteItem,
    Skip,
    StepContext,
    SystemicError,
    WriteResult,
    Written,
)

NAME = "under_test"
"""The connector's plugin name, and its integration's."""


class RemoteView(Protocol):
    """What the suite must be able to see of the remote, beside the connector. Written by the connector's author."""

    def read(self, key: Key) -> Mapping[str, Any] | None:
        """What the remote holds for the item with this key, under the payload's names; ``None`` if nothing.

        It may hold more than was sent, and numbers and moments as text.
        """

    def count(self, key: Key) -> int:
        """How many records the remote holds for this key. More than one are doubles."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of a chunk, as the engine understands the connector."""

    results: Mapping[Key, WriteResult]
    stop: BaseException | None
    """Why the engine would send nothing more."""
    errors: Sequence[BaseException]
    """What the connector raised."""

    def word(self, key: Key) -> str:
        """What became of one item: ``written``, ``rejected``, ``deferred``, ``unknown``, ``conflict``, ``gone``, or
        ``systemic`` if the step is to stop and no item is blamed."""
        word = type(self.results[key]).__name__.lower()
        return "systemic" if word == "deferred" and isinstance(self.stop, SystemicError) else word

    @property
    def words(self) -> Sequence[str]:
        """What became of each item, in the order of the results."""
        return [self.word(key) for key in self.results]


def fail(message: str) -> NoReturn:
    """Fail the test, with one clear message."""
    pytest.fail(message, pytrace=False)


def expect(condition: object, message: str) -> None:
    """Fail the test with a message unless the condition holds."""
    if not condition:
        fail(message)


class Bench:
    """A connector and its remote.

    Args:
        connector: The plugin.
        job: The name of its job, where it brings several.
        settings: As in a project file.
        parameters: The step's.
        step: The step's name.
        entity: The sample entities, by number.
        key: Their keys.
        remote: Reads back.
        faults: Makes faults; ``None`` where none can be made.
        connected: Opens anew whatever the resource needs; ``open_resources`` by default.
    """

    def __init__(
        self,
        *,
        connector: object,
        settings: Mapping[str, Any],
        entity: Callable[[int], Mapping[str, Any]],
        key: Callable[[int], Key],
        remote: RemoteView,
        faults: FaultInjector | None,
        job: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        step: str = "step",
        same: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self.plugins = Plugins(only=())
        self.plugins.register(connector, NAME, distribution="the conformance test")
        self.connector, self.remote, self.faults = connector, remote, faults
        self._entity, self._key, self._same = entity, key, same
        self.job = self._choose(job)
        self.raw_settings = dict(settings)
        self.settings = structure_settings(
            self.job.settings, settings, lambda path: Location(file="settings", path=f"settings{path}")
        )
        declared = self.job.capabilities
        self.capabilities: Capabilities = declared(self.settings) if callable(declared) else declared
        self.redact = Redactor(secret_values(self.settings))
        self.logger = logging.getLogger("contraflow.conformance")
        self._parameters, self._step = dict(parameters or {}), step
        self._stack = ExitStack()
        self._context: StepContext | None = None
        self._keys = 0
        self._known: dict[Key, Written] = {}
        self._number = 0

    def _choose(self, job: str | None) -> ExportJob:
        jobs = self.plugins.export_jobs(NAME)
        chosen = [each for each in jobs if job in (None, each.name)]
        expect(jobs, "the connector has no provide_export_job: it brings no job")
        expect(
            len(chosen) == 1,
            f"the connector brings the jobs {', '.join(each.name for each in jobs)}: set the class's 'job' to one of them",
        )
        return chosen[0]

    @property
    def claimed(self) -> Promise:
        """The promise that the declared capabilities claim."""
        return promise_of(self.capabilities)

    @property
    def context(self) -> StepContext:
        """The context of a step, its resource open."""
        if self._context is None:
            resource = None
            if self.job.open_resources is not None:
                resource = self._stack.enter_context(self.job.open_resources(self.settings))
            self._context = self.new_context(resource)
        return self._context

    def new_context(self, resource: Any, **over: Any) -> StepContext:
        """The context of a step with a resource."""
        return StepContext(
            integration=NAME,
            job=self.job.name,
            step=self._step,
            execution_id=1,
            parameters=self._parameters,
            settings=self.settings,
            resource=resource,
            logger=self.logger,
            **over,
        )

    def close(self) -> None:
        """End the run: close the resource. The next call opens it again."""
        self._context = None
        self._stack.close()

    def implements(self, hook: str) -> bool:
        """Whether the connector has a hook."""
        return self.plugins.implements(NAME, hook)

    @property
    def number(self) -> int:
        """The number of the last item that was made."""
        return self._number

    @property
    def requests(self) -> int:
        """How many requests have come to the remote, as far as that can be seen."""
        return 0 if self.faults is None else self.faults.requests

    # Items and changes

    def items(self, number: int) -> list[Item]:
        """So many items that were never used before."""
        numbers = range(self._number + 1, self._number + number + 1)
        self._number += number
        return [Item(key=self._key(each), entity=self._entity(each)) for each in numbers]

    def process(self, item: Item) -> Any:
        """What ``process_item`` answers; the entity's own mapping where the connector has no processor."""
        if not self.implements("process_item"):
            return dict(item.data)
        return self.plugins.caller("process_item", NAME)(item=item, context=self.context)

    def change(self, item: Item, **over: Any) -> Change:
        """The item as it is to be written: processed, with the remote's id and version as they were last told."""
        self._keys += 1
        known = self._known.get(item.key)
        payload: Any = {}
        if item.operation is Operation.UPSERT:
            payload = self.process(item)
            if isinstance(payload, Skip) or not isinstance(payload, Mapping):
                fail(f"process_item answered {payload!r} for the sample entity {item.key!r}; expected its payload")
            canonical(payload)
        fields = {
            "key": item.key,
            "operation": item.operation,
            "payload": payload,
            "remote_id": known and known.remote_id,
            "remote_version": known and known.remote_version,
            "idempotency_key": f"cf1-{id(self) % 10**8:08}{self._keys:08}",
        }
        return Change(**{**fields, **over})

    def new(self, number: int) -> list[Change]:
        """Changes of so many items that were never used before."""
        return [self.change(item) for item in self.items(number)]

    def delete(self, key: Key) -> Change:
        """The removal of what was written under a key."""
        return self.change(Item(key=key, operation=Operation.DELETE))

    # Calls

    def write(self, changes: Sequence[Change]) -> Outcome:
        """Write a chunk as the engine does: a chunk that is refused whole is halved. Remembers ids and versions."""
        outcome = self._call("write_items", changes)
        for change in changes:
            result = outcome.results[change.key]
            before = self._known.pop(change.key, None) if isinstance(result, Written) else None
            if isinstance(result, Written) and change.operation is Operation.UPSERT:
                known_id = result.remote_id or (before.remote_id if before else None)
                self._known[change.key] = attrs.evolve(result, remote_id=known_id)
        return outcome

    def confirm(self, changes: Sequence[Change]) -> Outcome:
        """Ask what became of changes."""
        return self._call("confirm_items", changes)

    def carry_out(self, hook: str, changes: Sequence[Change]) -> Outcome:
        """Call ``archive_items`` or ``forget_items`` with a chunk."""
        return self._call(hook, changes)

    def ask(self, hook: str, changes: Sequence[Change]) -> list[RemoteItem | Gone]:
        """What ``find_items`` or ``fetch_items`` answers; skips the test where it says ``not_supported``.

        Raises:
            ConnectorError: The remote cannot be asked.
        """
        answer = self._read(hook, items=list(changes), context=self.context)
        keys = {change.key for change in changes}
        for each in answer:
            expect(isinstance(each, RemoteItem | Gone), f"{hook} answered {each!r}; expected RemoteItem")
            expect(each.key in keys, f"{hook} answered for {each.key!r}, which nobody asked about")
        return answer

    def all(self) -> list[RemoteItem]:
        """What ``list_items`` answers, read to its end; skips the test where it says ``not_supported``."""
        return self._read("list_items", context=self.context)

    def _read(self, hook: str, **arguments: Any) -> list[Any]:
        try:
            answer = self.plugins.caller(hook, NAME)(**arguments)
            return list(answer) if answer is not None else fail(f"{hook} answered None (a forgotten return?)")
        except PermanentError as error:
            if error.code != "not_supported":
                raise
            pytest.skip(f"{hook}: not supported with these settings: {error.reason}")

    def known(self, change: Change) -> Change:
        """The change as the ledger would make it after it was written: with the remote's id and version."""
        known = self._known.get(change.key)
        return (
            change
            if known is None
            else attrs.evolve(change, remote_id=known.remote_id, remote_version=known.remote_version)
        )

    def _call(self, hook: str, changes: Sequence[Change]) -> Outcome:
        caller, context = self.plugins.caller(hook, NAME), self.context
        errors: list[BaseException] = []

        def call(**arguments: Any) -> Any:
            try:
                return caller(**arguments)
            except BaseException as error:
                errors.append(error)
                raise

        how = Call(stage=Stage(plugin=NAME, call=call), context=context, before=lambda count: True, hook=hook)
        results: dict[Key, WriteResult] = {}
        stop: BaseException | None = None
        size = self.capabilities.max_batch or len(changes) or 1
        for start in range(0, len(changes), size):
            chunk = changes[start : start + size]
            if stop is not None:
                results |= {
                    each.key: Deferred(key=each.key, reason="not sent: the run stopped before") for each in chunk
                }
                continue
            delivered = deliver(chunk, how)
            results |= delivered.results
            stop = delivered.stop
            if isinstance(stop, HookContractError):
                fail(f"{hook} breaks the contract: {stop}")
        return Outcome(results=results, stop=stop, errors=errors)

    def written(self, changes: Sequence[Change]) -> Outcome:
        """Write a chunk that must succeed."""
        outcome = self.write(changes)
        for change in changes:
            expect(
                outcome.word(change.key) == "written",
                f"a sound item was not written: {outcome.results[change.key]!r}{_because(outcome)}",
            )
            self.expect_held(change)
        return outcome

    def write_from_start(self, changes: Sequence[Change]) -> Outcome:
        """Open the resource and write; where it cannot be opened, nothing was sent."""
        try:
            _ = self.context
        except ConnectorError as error:
            results: dict[Key, WriteResult] = {
                change.key: Deferred(key=change.key, reason=str(error)) for change in changes
            }
            return Outcome(results=results, stop=error, errors=[error])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the wrong one
            fail(
                f"open_resources raised {type(error).__name__}: {error}; where the remote is away, raise TransientError; "
                f"where somebody must act, SystemicError"
            )
        return self.write(changes)

    def interrupt(self, error: BaseException) -> None:
        """Open the resource, and end its run by an error, as Ctrl-C does; swallows that error."""
        self.close()
        with suppress(type(error)), self._stack:
            _ = self.context
            self._context = None
            raise error

    # The remote

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
                fail(f"{change.key!r} is reported as written, and the remote does not hold it{_because(outcome)}")
            if word in ("rejected", "deferred", "systemic") and held:
                fail(
                    f"{change.key!r} is reported as {word}, which says that it was surely not written, and the remote "
                    f"holds it{_because(outcome)}. Where nobody can know, answer Unknown or raise another exception"
                )

    def expect_words(self, changes: Sequence[Change], outcome: Outcome, *allowed: str) -> None:
        """Fail unless every item's outcome is among those allowed, and true."""
        for change in changes:
            word = outcome.word(change.key)
            expect(
                word in allowed,
                f"{change.key!r} is reported as {word}; expected {' or '.join(allowed)}{_because(outcome)}",
            )
        self.expect_truth(changes, outcome)


def _because(outcome: Outcome) -> str:
    return f" (the connector raised {type(outcome.errors[0]).__name__}: {outcome.errors[0]})" if outcome.errors else ""
