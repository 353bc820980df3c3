"""What the commands that run a job have in common: they end in order, and say how the run ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import click

from contraflow.cli.exit_codes import INTERRUPTED, MEANINGS, OK, TERMINATED, exit_code
from contraflow.cli.output import indented, plain, print_table
from contraflow.escaping import one_line

if TYPE_CHECKING:
    from contraflow.cli.progress import Resumptions
    from contraflow.engine.promise import Promise
    from contraflow.engine.stopping import StopRequest
    from contraflow.project import Project
    from contraflow_hookspecs import JobExecution

_COLUMNS = (
    "read",
    "written",
    "unchanged",
    "filtered",
    "coalesced",
    "rejected",
    "conflict",
    "deferred",
    "in_doubt",
    "stale",
    "gone",
    "missing",
    "deleted",
    "archived",
    "adopted",
)


@contextmanager
def in_order() -> Iterator[StopRequest]:
    """Let signals end a run in order, and give the request that they set.

    A run that had not begun yet, since it waited for another process, ends the program here.
    """
    from contraflow.cli.signals import stopping_in_order
    from contraflow.engine.stopping import StopRequest, StopRequestedError

    stop = StopRequest()
    with stopping_in_order(stop):
        try:
            yield stop
        except StopRequestedError as error:
            code = INTERRUPTED if str(error).startswith("interrupted") else TERMINATED
            click.echo("Stopped before the run began.", err=True)
            sys.exit(code)


def parameter(pair: str) -> tuple[str, Any]:
    """``name=value``; a value that is JSON is taken as such, any other as text."""
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"found '{pair}', expected NAME=VALUE", param_hint="-p")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@contextmanager
def progress(project: Project, as_json: bool) -> Iterator[Resumptions]:
    """Show how a run gets on, and give what there is to say of where it went on."""
    from contraflow.cli.progress import BarProgress, LineProgress, Resumptions

    resumptions = Resumptions()
    project.plugins.register(resumptions, "contraflow.resumptions", distribution="contraflow")
    if sys.stderr.isatty():
        with BarProgress() as bar:
            project.plugins.register(bar, "contraflow.progress", distribution="contraflow")
            yield resumptions
        return
    if not as_json:
        lines = LineProgress(sys.stderr)
        project.plugins.register(lines, "contraflow.progress", distribution="contraflow")
    yield resumptions


@attrs.frozen
class Ended:
    """How an execution ended.

    Args:
        execution: It.
        promises: What is promised of its job.
        code: The exit code that it earns.
    """

    execution: JobExecution
    promises: Sequence[Promise]
    code: int

    @classmethod
    def of(cls, project: Project, execution: JobExecution, *, planned: bool = False) -> Ended:
        """Work it out; of a run that carried out a plan, if it was ``planned``."""
        job = project.assemble(project.integration(execution.integration), execution.job)
        doubts = project.has_doubts(execution.integration, execution.job)
        return cls(execution, project.promise(job), exit_code(execution, doubts=doubts, planned=planned))

    @property
    def summary(self) -> dict[str, Any]:
        """It as JSON tells it."""
        from contraflow.engine.limits import approval_named

        return {
            **plain(self.execution),
            "counts": dict(self.execution.counts),
            "promises": [{"class": promise.value, "words": promise.words} for promise in self.promises],
            "approve": approval_named(self.execution.exit_description),
            "exit": self.code,
        }

    def print(self) -> None:
        """Say how a run ended: its steps in a table, how long it took, what went wrong, and what is promised of the rest."""
        execution, counts = self.execution, self.execution.counts
        shown = [name for name in _COLUMNS if name in ("read", "written") or counts.get(name)]
        rows = [
            [step.step, step.status.value, *(f"{step.counts.get(name, 0):,}" for name in shown)]
            for step in execution.steps
        ]
        if rows:
            numbers = frozenset(range(2, 2 + len(shown)))
            print_table(["step", "status", *(name.replace("_", " ") for name in shown)], rows, right=numbers)
        seconds = (
            (execution.ended - execution.started).total_seconds() if execution.ended and execution.started else 0.0
        )
        name = one_line(f"{execution.integration}, {execution.job}")
        click.echo(f"{name}: {execution.status.value} in {seconds:.1f} s (execution {execution.id})")
        if counts.get("recovered"):
            click.echo(f"  {counts['recovered']:,} of an earlier run, of which the answer was lost, are settled now")
        for note in execution.notes:
            click.echo(indented(note))
        if counts.get("foreign"):
            click.echo(f"  {counts['foreign']:,} had been changed at the remote by somebody else")
        for error in execution.errors:
            click.echo(indented(error))
        for promise in self.promises:
            click.echo(f"Promise: {promise.sentence}.")
        if self.code != OK:
            click.echo(f"Exit code {self.code}: {MEANINGS[self.code]}.")
