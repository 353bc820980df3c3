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

from contraflow_hookspecs.specs.before_run import (
    check_connection,
    check_step,
    configure_job,
    describe_parameters,
    provide_export_job,
)
from contraflow_hookspecs.specs.observers import (
    chunk_settled,
    item_filtered,
    item_rejected,
    job_finished,
    job_started,
    step_finished,
    step_started,
)
from contraflow_hookspecs.specs.records import archive_items, fetch_items, find_items, forget_items, list_items
from contraflow_hookspecs.specs.stages import (
    confirm_items,
    count_items,
    process_item,
    read_items,
    run_step,
    write_items,
)

# In the order of a run, in which the reference shows them.
__all__ = [  # noqa: RUF022
    "provide_export_job",
    "describe_parameters",
    "check_step",
    "configure_job",
    "check_connection",
    "count_items",
    "read_items",
    "process_item",
    "write_items",
    "confirm_items",
    "archive_items",
    "find_items",
    "fetch_items",
    "list_items",
    "forget_items",
    "run_step",
    "job_started",
    "step_started",
    "item_filtered",
    "item_rejected",
    "chunk_settled",
    "step_finished",
    "job_finished",
]
