"""What every plugin is told, and none answers."""

from __future__ import annotations

from collections.abc import Sequence

from contraflow_hookspecs.markers import hookspec
from contraflow_hookspecs.types import Item, JobExecution, Rejected, Skip, StepContext, StepExecution, WriteResult


@hookspec
def job_started(execution: JobExecution) -> None:
    """A job execution began. Like all notifications: every plugin is told, and one that fails is logged and passed over.

    Example:
        >>> @hookimpl
        ... def job_started(execution):
        ...     print(f"{execution.integration}: {execution.job} began")
        >>> job_started(JobExecution(id=1, integration="acme", job="customers_export", status=BatchStatus.STARTED))
        acme: customers_export began
    """


@hookspec
def step_started(execution: StepExecution) -> None:
    """A step began.

    Example:
        >>> @hookimpl
        ... def step_started(execution):
        ...     print(f"{execution.step}: {execution.total} expected")
    """


@hookspec
def item_filtered(item: Item, skip: Skip, context: StepContext) -> None:
    """``process_item`` answered ``Skip``.

    Example:
        >>> @hookimpl
        ... def item_filtered(item, skip, context):
        ...     context.logger.info("%s left out: %s", item.key, skip.reason)
    """


@hookspec
def item_rejected(rejected: Rejected, context: StepContext) -> None:
    """An item became a dead letter: in the reader, the processor, by its values, or at the remote.

    Example:
        >>> @hookimpl
        ... def item_rejected(rejected, context):
        ...     context.logger.warning("%s refused (%s): %s", rejected.key, rejected.code, rejected.reason)
    """


@hookspec
def chunk_settled(execution: StepExecution, results: Sequence[WriteResult]) -> None:
    """A chunk's outcomes and the checkpoint are in the ledger. ``execution.counts`` includes them.

    Example:
        >>> @hookimpl
        ... def chunk_settled(execution, results):
        ...     print(f"{execution.counts['read']} read")
    """


@hookspec
def step_finished(execution: StepExecution) -> None:
    """A step ended, well or badly.

    Example:
        >>> @hookimpl
        ... def step_finished(execution):
        ...     print(execution.step, execution.exit_code)
    """


@hookspec
def job_finished(execution: JobExecution) -> None:
    """A job execution ended, well or badly, and is recorded.

    Example:
        >>> @hookimpl
        ... def job_finished(execution):
        ...     print(execution.status.value, dict(execution.counts))
    """
