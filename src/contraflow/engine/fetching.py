"""Ask a connector what its remote holds, and hold its answer against the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from contraflow.assembly import Stage
from contraflow.contract import describe, flaw_of_pause
from contraflow.engine.retry import Retries
from contraflow.engine.stopping import StopRequest, StopRequestedError
from contraflow.errors import HookContractError
from contraflow_hookspecs import Change, Gone, Key, RemoteItem, StepContext, TransientError


@attrs.frozen(kw_only=True)
class _Round:
    answer: Any = None
    trouble: TransientError | None = None

    @property
    def again(self) -> bool:
        return self.trouble is not None

    @property
    def retry_after(self) -> float | None:
        return None if self.trouble is None else self.trouble.retry_after


@attrs.frozen(kw_only=True)
class Fetcher:
    """Calls a hook of one step that reads: ``fetch_items``, ``find_items``.

    Args:
        stage: The plugin that has it.
        context: What it may know.
        before: Asked before each call, with the number of its items: false if the run is to stop.
        retries: The step's patience.
        stop: Says why the run is to stop.
    """

    stage: Stage
    context: StepContext
    before: Callable[[int], bool]
    retries: Retries
    stop: StopRequest

    def fetch(self, changes: Sequence[Change]) -> dict[Key, RemoteItem | Gone]:
        """What the remote holds for these changes; those of which it could not be read are left out.

        Raises:
            StopRequestedError: Somebody asked to stop.
            ConnectorError: The remote cannot be asked.
            HookContractError: The answer is none.
        """
        return self._check(changes, self.ask(changes)) if changes else {}

    def ask(self, changes: Sequence[Change], hook: str = "fetch_items") -> Any:
        """The hook's answer, as it is; tried again while the remote is not available.

        Args:
            changes: Of which records it is asked.
            hook: Its name, for messages.

        Raises:
            StopRequestedError: Somebody asked to stop.
            ConnectorError: The remote cannot be asked.
            HookContractError: The connector asks for a pause that is none.
        """

        def one_round() -> _Round:
            if not self.before(len(changes)):
                raise StopRequestedError(self.stop.reason or "stopped")
            try:
                return _Round(answer=self.stage.call(items=list(changes), context=self.context))
            except TransientError as error:
                if (flaw := flaw_of_pause(error, error.retry_after)) is not None:
                    raise HookContractError(self.stage.plugin, hook, *flaw) from error
                return _Round(trouble=error)

        last = self.retries.run(one_round)
        if last.trouble is not None:
            raise last.trouble
        return last.answer

    def _check(self, changes: Sequence[Change], answer: Any) -> dict[Key, RemoteItem | Gone]:
        if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
            raise self._broken(describe(answer), "a sequence of RemoteItem and Gone")
        due = {change.key for change in changes}
        found: dict[Key, RemoteItem | Gone] = {}
        for each in answer:
            if not isinstance(each, RemoteItem | Gone):
                raise self._broken(describe(each), "RemoteItem or Gone")
            if each.key not in due:
                raise self._broken(f"a record for {each.key!r}, which was not asked for", "the changes' own keys")
            if each.key in found:
                raise self._broken(f"two records for {each.key!r}", "one record, or Gone, for each change")
            if isinstance(each, RemoteItem) and each.payload is None:
                continue  # it is there, and its content was not read
            found[each.key] = each
        return found

    def _broken(self, found: str, expected: str) -> HookContractError:
        return HookContractError(self.stage.plugin, "fetch_items", found, expected)
