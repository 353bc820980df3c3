"""The hooks, in the order in which a run calls them.

A plugin is a module (or an instance) that implements some of them with :data:`~contraflow_hookspecs.hookimpl` and is named
by an entry point in the group ``contraflow``. A step of a job names one plugin for each of its stages, and the engine calls
that plugin's implementation alone; plugins that implement a stage as a *wrapper* see the calls of every step. Always take
all arguments, under these names. ``None`` is never an answer of a stage: a forgotten ``return`` is reported, not obeyed.

The hooks that talk to the remote and answer as a whole may be ``async def``: ``check_connection``, ``write_items``,
``confirm_items``, ``archive_items``, ``find_items``, ``fetch_items`` and ``forget_items``. All coroutines of a project run
in one event loop, in a thread of its own, and so does what ``open_resources`` opens with ``async with``. Each must have
ended all that it began when it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contraflow_hookspecs.markers import hookspec
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


@hookspec
def provide_export_job() -> ExportJob | tuple[ExportJob, ...]:  # type: ignore[empty-body]
    """Say which export job this connector brings. What makes a plugin a connector.

    Called once, at assembly, before anything is opened. Pure: no I/O.

    Returns:
        The job, or a tuple of them where one plugin serves several.

    Example:
        >>> @hookimpl
        ... def provide_export_job():
        ...     return ExportJob(name="customers_export", entity="customer", label="Customers to Acme")
        >>> provide_export_job().capabilities.idempotency
        <Idempotency.NONE: 'none'>
    """


@hookspec
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Optional. Name the step parameters that this plugin's stages understand, so that a misspelt one is refused.

    A step whose plugins all answer accepts these and the engine's own parameters, and no other; a step with a plugin that
    does not implement this hook accepts any. Called at assembly. Pure.

    Args:
        parameters: The step's parameters as its job file gives them.

    Returns:
        Parameter names, each with one line of help.

    Example:
        >>> @hookimpl
        ... def describe_parameters(parameters):
        ...     return {"season": "which price list to send: summer or winter"}
    """


@hookspec
def check_step(context: StepContext) -> Sequence[str]:  # type: ignore[empty-body]
    """Optional. Say what is wrong with a step's parameters and settings that only this plugin can know.

    Called by ``contraflow check`` and before each run, for every plugin that serves a stage of the step. May look at the
    source database; does not talk to the remote.

    Args:
        context: With ``parameters``, ``settings`` and ``source``; without a resource and without a running execution.

    Returns:
        One sentence for each problem: what was found, what was expected, the nearest valid name. Empty if all is well. A
        sentence that is an ``Advice`` keeps nothing from running.

    Example:
        >>> @hookimpl
        ... def check_step(context):
        ...     season = context.parameters.get("season", "summer")
        ...     return [] if season in ("summer", "winter") else [f"season '{season}': expected summer or winter"]
        >>> check_step(StepContext(integration="a", job="j", step="s", execution_id=0, parameters={"season": "autumn"}))
        ["season 'autumn': expected summer or winter"]
    """


@hookspec
def configure_job(job: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Add or override parameters of a run that is about to start. (The ancestor's event *before sync*.)

    Every plugin is asked; later answers overlay earlier ones. Raise ``SystemicError`` to refuse the run.

    Args:
        job: The job's name.
        parameters: The run's parameters as they stand.

    Returns:
        The parameters to add or replace, or ``None`` for no opinion.

    Example:
        >>> @hookimpl
        ... def configure_job(job, parameters):
        ...     return {"season": "winter"} if job == "customers_export" else None
        >>> configure_job(job="customers_export", parameters={})
        {'season': 'winter'}
    """


@hookspec
def check_connection(context: StepContext) -> str:  # type: ignore[empty-body]
    """Optional. Ask the remote whether we may talk to it; for ``contraflow check --connect``. Read-only.

    Args:
        context: With ``settings`` and ``resource``; without a running execution.

    Returns:
        One line for people, such as ``"Acme 4.2, as user sync"``.

    Raises:
        ConnectorError: The remote cannot be reached, or refuses us.

    Example:
        >>> @hookimpl
        ... def check_connection(context):
        ...     return f"Acme {context.resource.version}"
    """


@hookspec(firstresult=True)
def count_items(context: StepContext) -> int | None:
    """Optional, for readers. How many items ``read_items`` will yield, so that progress can be shown.

    Returns:
        The number, or ``None`` where counting is not worth its cost.

    Example:
        >>> @hookimpl
        ... def count_items(context):
        ...     return len(context.filter.ids) if context.filter.ids is not None else None
        >>> count_items(StepContext(integration="a", job="j", step="s", execution_id=1, filter=IdFilter(ids=((1,), (2,)))))
        2
    """


@hookspec(firstresult=True)
def read_items(context: StepContext) -> Iterable[Item]:  # type: ignore[empty-body]
    """The reader stage: yield the entities that ``context.filter`` asks for, one at a time, each key once.

    Stream: hold no more than a page in memory, and no transaction or cursor open across a ``yield``, since the remote is
    written between two items. In a steady order, so that ``context.checkpoint`` (the key of the last item that was
    settled) can be resumed from. Items are read until the iterable ends; ``0``, ``""`` and ``False`` are legal entities.

    Raises:
        SystemicError: The source cannot be read.
        ItemError: One entity cannot be read, with its key. Only an iterator that is not a generator can go on after it.

    Example:
        >>> @hookimpl
        ... def read_items(context):
        ...     for number in (1, 2, 3):
        ...         if context.filter.ids is None or (number,) in context.filter.ids:
        ...             yield Item(key=(number,), entity={"name": f"customer {number}"})
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1, filter=IdFilter(ids=((2,),)))
        >>> [item.data["name"] for item in read_items(context)]
        ['customer 2']
    """


@hookspec(firstresult=True)
def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:  # type: ignore[empty-body]
    """The processor stage: turn an entity into what the remote should hold.

    Called once for each item read, not for deletes. Pure: no I/O, and the same item gives the same payload, since the
    engine compares it with what was last sent.

    Returns:
        The payload: a mapping with text keys and values of text, bytes, numbers, booleans, ``None``, dates, times, UUIDs,
        enumerations, and lists and mappings of those. Or ``Skip``, and the item is *filtered*.

    Raises:
        ItemError: This item cannot be exported; it is rejected with the reason, and the run goes on.

    Example:
        >>> @hookimpl
        ... def process_item(item, context):
        ...     if not item.data["email"]:
        ...         return Skip(reason="no e-mail address")
        ...     return {"mail": item.data["email"].lower()}
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1)
        >>> process_item(item=Item(key=(7,), entity={"email": "Ana@Example.org"}), context=context)
        {'mail': 'ana@example.org'}
    """


@hookspec(firstresult=True)
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """The writer stage: bring a chunk of changes to the remote.

    Called once a chunk and once more for each new attempt, never with an empty chunk, never with more than
    ``Capabilities.max_batch`` changes, never with two of one key.

    Returns:
        Exactly one result for each change, matched by ``key``, in any order. A change without a result is in doubt.

    Raises:
        TransientError: Nothing of the chunk was carried out; later it may be.
        PermanentError: The remote refused the chunk as a whole.
        SystemicError: Nothing can be written until somebody acts.
        Exception: Any other leaves the whole chunk in doubt.

    Example:
        >>> @hookimpl
        ... def write_items(items, context):
        ...     results = []
        ...     for change in items:
        ...         context.resource[change.key] = change.payload
        ...         results.append(Written(key=change.key, action=Action.UPDATED, remote_id=f"acme-{change.key[0]}"))
        ...     return results
        >>> context = StepContext(integration="acme", job="j", step="s", execution_id=1, resource={})
        >>> [result.remote_id for result in write_items(items=[Change(key=(7,), payload={"mail": "a@b"})], context=context)]
        ['acme-7']
    """


@hookspec(firstresult=True)
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Ask the remote what became of changes that are in doubt. Read-only; never part of a normal run.

    Returns:
        One result for each change: ``Written`` if it was carried out, ``Deferred`` if it surely was not, ``Unknown`` if the
        remote cannot say (also while it is only partly available).

    Example:
        >>> @hookimpl
        ... def confirm_items(items, context):
        ...     return [
        ...         Written(key=change.key, action=Action.UPDATED)
        ...         if context.resource.get(change.key) == change.payload
        ...         else Deferred(key=change.key, reason="not there")
        ...         for change in items
        ...     ]
    """


@hookspec(firstresult=True)
def archive_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Put away records whose entity is gone, in the remote's own way: a closed account, a flag, a group.

    Called in the place of ``write_items`` for the deletions of a step with ``deletions: archive``. Such a change has no
    payload. Archiving a record that is archived already does nothing.

    Returns:
        As ``write_items``. ``Written`` counts as *archived*. The ledger keeps the remote id, under which the record is
        updated if its entity comes back.

    Raises:
        Exception: As ``write_items``. ``PermanentError`` with the code ``not_supported``: this step's records cannot be put
            away, as it is configured; better said by ``check_step`` before.

    Example:
        >>> @hookimpl
        ... def archive_items(items, context):
        ...     for change in items:
        ...         context.resource[change.remote_id]["closed"] = True
        ...     return [Written(key=change.key) for change in items]
    """


@hookspec(firstresult=True)
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:  # type: ignore[empty-body]
    """Optional. Look for records that the remote has already, by a natural key: an e-mail address, a tax number. Read-only.

    Called for a step with ``adopt: true`` before items are sent of which the ledger knows nothing, so that a first run
    against a filled remote, or one after the loss of the ledger, makes no doubles.

    Returns:
        The record of each change that has one, with ``remote_id``; none for the others. Several records for one change are
        all returned: such an item is rejected, as nobody can say which is meant.

    Raises:
        ConnectorError: As ``write_items``; nothing is sent then. ``PermanentError`` with the code ``not_supported``: this
            step's records cannot be looked for, as it is configured; better said by ``check_step`` before.

    Example:
        >>> @hookimpl
        ... def find_items(items, context):
        ...     by_mail = {record["mail"]: number for number, record in context.resource.items()}
        ...     return [
        ...         RemoteItem(key=change.key, remote_id=by_mail[change.payload["mail"]])
        ...         for change in items
        ...         if change.payload["mail"] in by_mail
        ...     ]
    """


@hookspec(firstresult=True)
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:  # type: ignore[empty-body]
    """Optional. Read the records that the remote holds for these changes. Read-only.

    Called to find what others changed at the remote: before an update where the step has ``conflicts``, and by
    ``contraflow drift``. The changes' ``remote_id`` says which records are meant.

    Returns:
        For each change a ``RemoteItem`` with its ``payload``, in the fields and types that ``process_item`` answers, or
        ``Gone``. One that is left out could not be read.

    Raises:
        ConnectorError: As ``write_items``. ``PermanentError`` with the code ``not_supported``: this step's records cannot be
            read, as it is configured.

    Example:
        >>> @hookimpl
        ... def fetch_items(items, context):
        ...     records = context.resource
        ...     return [
        ...         RemoteItem(key=change.key, remote_id=change.remote_id, payload=records[change.remote_id])
        ...         if change.remote_id in records
        ...         else Gone(key=change.key)
        ...         for change in items
        ...     ]
    """


@hookspec(firstresult=True)
def list_items(context: StepContext) -> Iterable[RemoteItem]:  # type: ignore[empty-body]
    """Optional. All records that the remote holds of this kind, whoever made them, streamed. Read-only.

    Called by ``contraflow drift``, which finds with it what contraflow has not sent.

    Returns:
        Records with ``remote_id``; ``key`` and ``payload`` where they can be told without asking for each.

    Raises:
        ConnectorError: The remote cannot be read. ``PermanentError`` with the code ``not_supported``: this step's records
            cannot be listed, as it is configured.

    Example:
        >>> @hookimpl
        ... def list_items(context):
        ...     for number, record in context.resource.items():
        ...         yield RemoteItem(key=None, remote_id=number, payload=record)
    """


@hookspec(firstresult=True)
def forget_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Remove or anonymise what the remote knows of a person or thing, for ``contraflow forget``.

    Where the settings decide whether that can be done, ``check_step`` says what is missing when it is asked with the
    parameter ``forget`` set to true: nothing is done anywhere then. Without this hook, ``contraflow forget``
    deletes through ``write_items`` where the remote can delete, and otherwise refuses.
    Such a change has no payload. Forgetting what is forgotten already does nothing.

    Returns:
        As ``write_items``.

    Raises:
        Exception: As ``write_items``.

    Example:
        >>> @hookimpl
        ... def forget_items(items, context):
        ...     for change in items:
        ...         context.resource[change.remote_id] = {"mail": None, "name": "forgotten"}
        ...     return [Written(key=change.key, action=Action.UPDATED) for change in items]
    """


@hookspec(firstresult=True)
def run_step(context: StepContext) -> Mapping[str, int] | None:
    """The whole of a *tasklet* step: one that has no reader.

    Returns:
        Counters to show with the step, or ``None``.

    Raises:
        Exception: The step failed.

    Example:
        >>> @hookimpl
        ... def run_step(context):
        ...     return {"purged": 3}
    """


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
