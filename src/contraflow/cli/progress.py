"""Show a run while it runs: a live bar on a terminal, plain lines otherwise. An ordinary observer plugin."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from contraflow.escaping import one_line
from contraflow_hookspecs import JobExecution, Key, StepContext, StepExecution, WriteResult, hookimpl

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOWN = ("written", "unchanged", "filtered", "coalesced", "rejected", "conflict", "deferred", "in_doubt", "gone")
_SECONDS_BETWEEN_LINES = 10.0


def outcomes(counts: Mapping[str, int], *, nothing: str = "nothing yet") -> str:
    """The outcomes that occurred, in words: ``59 written, 3 rejected``; of a tasklet its own counters.

    Args:
        counts: Of an execution.
        nothing: What to say if nothing did.
    """
    names = _SHOWN if "read" in counts else tuple(counts)
    return ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if counts.get(name)) or nothing


class Resumptions:
    """Notes which steps go on where an interrupted execution had come to: what a reader is told, seen by a wrapper."""

    def __init__(self) -> None:
        self._behind: dict[str, dict[str, Key]] = {}

    @hookimpl(wrapper=True)
    def read_items(self, context: StepContext) -> Generator[None, object, object]:
        """Look at the context, and leave the reading to the reader."""
        if context.checkpoint is not None:
            self._behind.setdefault(context.job, {})[context.step] = context.checkpoint
        return (yield)

    def take(self, job: str) -> dict[str, Key]:
        """Those of a job that has ended, with where they went on; they are forgotten then."""
        return self._behind.pop(job, {})

    @staticmethod
    def lines(resumed: Mapping[str, Key]) -> list[str]:
        """A line for each of them."""
        from contraflow.ledger import display_key

        return [
            f"{step}: resumed behind {display_key(key)}, where an interrupted run had come to; what lies before came last"
            for step, key in resumed.items()
        ]


class LineProgress:
    """A line when a step begins, now and then while it runs, and at its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = 0.0

    @hookimpl
    def step_started(self, execution: StepExecution) -> None:
        """Say which step begins, and how much it expects."""
        total = execution.total
        expected = "" if total is None else f", {total:,} {'item' if total == 1 else 'items'} expected"
        self._say(f"{execution.step}: started{expected}")
        for note in execution.notes:
            self._say(f"{execution.step}: {note}")

    @hookimpl
    def chunk_settled(self, execution: StepExecution, results: Sequence[WriteResult]) -> None:
        """Say how far the step is, but not too often."""
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._say(f"{execution.step}: {execution.counts.get('read', 0):,} read, {outcomes(execution.counts)}")

    @hookimpl
    def step_finished(self, execution: StepExecution) -> None:
        """Say how the step ended."""
        seconds = (
            (execution.ended - execution.started).total_seconds() if execution.ended and execution.started else 0.0
        )
        read = execution.counts.get("read", 0)
        rate = f", {read / seconds:,.0f} items/s" if seconds > 0 and read else ""
        shown = outcomes(execution.counts, nothing="nothing sent")
        items = f"{read:,} read, {shown}" if "read" in execution.counts else shown
        self._say(f"{execution.step}: {execution.status.value}, {items}{rate}")

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        print(one_line(line), file=self._stream, flush=True)


class BarProgress:
    """A live bar for each step, with rate, expected end and outcome counts. Use it as a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[outcomes]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> BarProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @hookimpl
    def step_started(self, execution: StepExecution) -> None:
        """Add a bar."""
        self._progress.start()
        task = self._progress.add_task(one_line(execution.step), total=execution.total, rate="", outcomes="")
        self._tasks[execution.job, execution.step] = task

    @hookimpl
    def chunk_settled(self, execution: StepExecution, results: Sequence[WriteResult]) -> None:
        """Move the bar."""
        self._update(execution)

    @hookimpl
    def step_finished(self, execution: StepExecution) -> None:
        """Bring the bar to where the step ended."""
        self._update(execution)

    @hookimpl
    def job_finished(self, execution: JobExecution) -> None:
        """Leave the bars as they are: what is printed next stands below them, and another job begins with none."""
        self._progress.stop()
        for job, step in list(self._tasks):
            if job == execution.job:
                self._progress.remove_task(self._tasks.pop((job, step)))

    def _update(self, execution: StepExecution) -> None:
        task = self._tasks.get((execution.job, execution.step))
        if task is None:
            return
        speed = self._progress.tasks[self._progress.task_ids.index(task)].speed
        self._progress.update(
            task,
            completed=execution.counts.get("read", 0),
            rate=f"{speed:,.0f}/s" if speed else "",
            outcomes=outcomes(execution.counts),
        )
