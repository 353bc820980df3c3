"""One protocol for each stage, so that a type checker can hold a connector against the contract.

Where an answer may be awaited, the hook may be ``async def``.

>>> @hookimpl
... def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:
...     return {"name": item.data["name"]}
>>> _: ProcessItem = process_item  # a renamed argument or another result is an error of the type checker
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from contraflow_hookspecs.types import (
    Change,
    ExportJob,
    Gone,
    Item,
    JobExecution,
    Rejected,
    RemoteItem,
    Skip,
    StepContext,
    StepExecution,
    WriteResult,
)


class ProvideExportJob(Protocol):
    def __call__(self) -> ExportJob | tuple[ExportJob, ...]: ...


class DescribeParameters(Protocol):
    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[str, str]: ...


class CheckStep(Protocol):
    def __call__(self, context: StepContext) -> Sequence[str]: ...


class ConfigureJob(Protocol):
    def __call__(self, job: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None: ...


class CheckConnection(Protocol):
    def __call__(self, context: StepContext) -> str | Awaitable[str]: ...


class CountItems(Protocol):
    def __call__(self, context: StepContext) -> int | None: ...


class ReadItems(Protocol):
    def __call__(self, context: StepContext) -> Iterable[Item]: ...


class ProcessItem(Protocol):
    def __call__(self, item: Item, context: StepContext) -> Mapping[str, Any] | Skip: ...


class WriteItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[WriteResult] | Awaitable[Sequence[WriteResult]]: ...


class ConfirmItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[WriteResult] | Awaitable[Sequence[WriteResult]]: ...


class ArchiveItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[WriteResult] | Awaitable[Sequence[WriteResult]]: ...


class FindItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[RemoteItem] | Awaitable[Sequence[RemoteItem]]: ...


class FetchItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[RemoteItem | Gone] | Awaitable[Sequence[RemoteItem | Gone]]: ...


class ListItems(Protocol):
    def __call__(self, context: StepContext) -> Iterable[RemoteItem]: ...


class ForgetItems(Protocol):
    def __call__(
        self, items: Sequence[Change], context: StepContext
    ) -> Sequence[WriteResult] | Awaitable[Sequence[WriteResult]]: ...


class RunStep(Protocol):
    def __call__(self, context: StepContext) -> Mapping[str, int] | None: ...


class ObserveJob(Protocol):
    """Of ``job_started`` and ``job_finished``."""

    def __call__(self, execution: JobExecution) -> None: ...


class ObserveStep(Protocol):
    """Of ``step_started`` and ``step_finished``."""

    def __call__(self, execution: StepExecution) -> None: ...


class ChunkSettled(Protocol):
    def __call__(self, execution: StepExecution, results: Sequence[WriteResult]) -> None: ...


class ItemFiltered(Protocol):
    def __call__(self, item: Item, skip: Skip, context: StepContext) -> None: ...


class ItemRejected(Protocol):
    def __call__(self, rejected: Rejected, context: StepContext) -> None: ...
