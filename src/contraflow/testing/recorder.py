"""Records every hook call of a run: what was asked, whom, and what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow.plugins import Plugins
from contraflow_hookspecs import (
    Item,
    JobExecution,
    Rejected,
    Skip,
    StepContext,
    StepExecution,
    WriteResult,
    hookimpl,
)


@attrs.frozen(kw_only=True)
class HookCall:
    """One call of one hook."""

    hook: str
    plugin: str
    """Who was asked; of a notification, the first of those who were told."""
    arguments: Mapping[str, Any]
    result: Any = None
    """What came back, wrappers included; a stream (``read_items``) as it is, not read."""
    error: BaseException | None = None
    """What was raised instead."""


class Recorder:
    """A list of hook calls, in the order in which they ended."""

    def __init__(self) -> None:
        self.calls: list[HookCall] = []

    def listen(self, plugins: Plugins) -> None:
        """Record the calls of a plugin manager from now on."""
        plugins.register(_Listener(), "recorder", distribution="contraflow.testing")
        plugins.monitor(self._note)

    def _note(self, hook: str, plugins: Sequence[str], arguments: Mapping[str, Any], result: Any, error: Any) -> None:
        asked = [name for name in plugins if name != "recorder"]
        call = HookCall(
            hook=hook, plugin=asked[0] if asked else "", arguments=dict(arguments), result=result, error=error
        )
        self.calls.append(call)

    def of(self, hook: str) -> list[HookCall]:
        """The calls of one hook."""
        return [call for call in self.calls if call.hook == hook]

    def results(self, hook: str) -> list[Any]:
        """What the calls of one hook brought."""
        return [call.result for call in self.of(hook)]

    @property
    def hooks(self) -> list[str]:
        """The names of the hooks, call by call."""
        return [call.hook for call in self.calls]

    def clear(self) -> None:
        """Forget what was recorded."""
        self.calls.clear()


class _Listener:
    """Wants to be told of everything, so that it is told, and can be recorded."""

    @hookimpl
    def job_started(self, execution: JobExecution) -> None:
        """Be told."""

    @hookimpl
    def step_started(self, execution: StepExecution) -> None:
        """Be told."""

    @hookimpl
    def item_filtered(self, item: Item, skip: Skip, context: StepContext) -> None:
        """Be told."""

    @hookimpl
    def item_rejected(self, rejected: Rejected, context: StepContext) -> None:
        """Be told."""

    @hookimpl
    def chunk_settled(self, execution: StepExecution, results: Sequence[WriteResult]) -> None:
        """Be told."""

    @hookimpl
    def step_finished(self, execution: StepExecution) -> None:
        """Be told."""

    @hookimpl
    def job_finished(self, execution: JobExecution) -> None:
        """Be told."""
