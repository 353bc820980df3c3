"""The connector under test, driven as the engine drives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

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
from contraflow.testing.conformance.outcome import Outcome, expect, fail
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
    WriteResult,
    Written,
)

NAME = "under_test"
"""The connector's plugin name, and its integration's."""


@attrs.define(kw_only=True, eq=False, slots=False)
class Driver:
    """Plays one step of a connector.

    Args:
        connector: The plugin.
        settings: As in a project file.
        entity: The sample entities, by number.
        key: Their keys.
        job: The name of its job, where it brings several.
        parameters: The step's.
        step: The step's name.
    """

    connector: object
    raw_settings: Mapping[str, Any] = attrs.field(alias="settings")
    _entity: Callable[[int], Mapping[str, Any]]
    _key: Callable[[int], Key]
    _job: str | None = None
    _parameters: Mapping[str, Any] = attrs.field(factory=dict)
    _step: str = "step"
    _stack: ExitStack = attrs.field(factory=ExitStack, init=False)
    _context: StepContext | None = attrs.field(default=None, init=False)
    _keys: int = attrs.field(default=0, init=False)
    _known: dict[Key, Written] = attrs.field(factory=dict, init=False)
    _number: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.plugins = Plugins(only=())
        self.plugins.register(self.connector, NAME, distribution="the conformance test")
        self.job = self._choose(self._job)
        self.settings = structure_settings(
            self.job.settings, self.raw_settings, lambda path: Location(file="settings", path=f"settings{path}")
        )
        declared = self.job.capabilities
        self.capabilities: Capabilities = declared(self.settings) if callable(declared) else declared
        self.redact = Redactor(secret_values(self.settings))
        self.logger = logging.getLogger("contraflow.conformance")

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
                opened = self.plugins.event_loop.opened(self.job.open_resources(self.settings))
                resource = self._stack.enter_context(opened)
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
        self.plugins.close()

    def implements(self, hook: str) -> bool:
        """Whether the connector has a hook."""
        return self.plugins.implements(NAME, hook)

    @property
    def number(self) -> int:
        """The number of the last item that was made."""
        return self._number

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
        self.close()
