"""``contraflow sync``: run an integration's export job."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from contraflow.cli.app import State
from contraflow.cli.exit_codes import MEANINGS, OK, exit_code
from contraflow.cli.output import json_option, load_project, plain, print_json, print_table, printable

if TYPE_CHECKING:
    from contraflow.project import Project
    from contraflow_hookspecs import JobExecution

_COLUMNS = ("read", "written", "unchanged", "filtered", "rejected", "deferred", "in_doubt")


@click.command("sync", short_help="Export what a remote does not have yet, or has differently.")
@click.argument("integration")
@click.option("--job", metavar="NAME", help="Which job, if the integration has several.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Only this step; may be repeated.")
@click.option(
    "--id",
    "ids",
    multiple=True,
    metavar="ID",
    help="Only this entity; may be repeated. A composite id: a=1,b=2 or, as JSON, '{\"a\": 1, \"b\": 2}' or '[1, 2]'.",
)
@click.option("--all", "everything", is_flag=True, help="Say that all entities are meant, where the job reads by id.")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of this run.")
@json_option
@click.pass_obj
def command(
    state: State,
    integration: str,
    job: str | None,
    steps: tuple[str, ...],
    ids: tuple[str, ...],
    everything: bool,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Synchronise INTEGRATION: export what its remote does not have yet, or has differently.

    \b
    contraflow sync acme-eu                      everything that differs
    contraflow sync acme-eu --id 7 --id 9        these two
    contraflow sync acme-eu --step order_lines --id order_id=7,line=2

    Items that the remote already holds, as far as the ledger knows, are not sent again. Run it as often as you like.
    """
    parameters = dict(_parameter(pair) for pair in pairs)
    with load_project(state) as project, _progress(project, as_json):
        execution = project.sync(
            integration,
            ids=list(ids) if ids else None,
            everything=everything,
            job=job,
            steps=steps,
            parameters=parameters,
        )
    code = exit_code(execution)
    if as_json:
        print_json({**plain(execution), "counts": dict(execution.counts), "exit": code})
    else:
        _print_summary(execution, code)
    sys.exit(code)


def _parameter(pair: str) -> tuple[str, Any]:
    """``name=value``; a value that is JSON is taken as such, any other as text."""
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"found '{pair}', expected NAME=VALUE", param_hint="-p")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@contextmanager
def _progress(project: Project, as_json: bool) -> Iterator[None]:
    from contraflow.cli.progress import BarProgress, LineProgress

    on_terminal: bool = sys.stderr.isatty()
    if on_terminal:
        with BarProgress() as bar:
            project.plugins.register(bar, "contraflow.progress", distribution="contraflow")
            yield
        return
    if not as_json:
        lines = LineProgress(sys.stderr)
        project.plugins.register(lines, "contraflow.progress", distribution="contraflow")
    yield


def _print_summary(execution: JobExecution, code: int) -> None:
    shown = [name for name in _COLUMNS if name in ("read", "written") or execution.counts.get(name)]
    rows = [
        [step.step, step.status.value, *(f"{step.counts.get(name, 0):,}" for name in shown)] for step in execution.steps
    ]
    if rows:
        numbers = frozenset(range(2, 2 + len(shown)))
        print_table(["step", "status", *(name.replace("_", " ") for name in shown)], rows, right=numbers)
    seconds = (execution.ended - execution.started).total_seconds() if execution.ended and execution.started else 0.0
    click.echo(
        f"{execution.integration}, {execution.job}: {execution.status.value} in {seconds:.1f} s (execution {execution.id})"
    )
    for error in execution.errors:
        click.echo(f"  {printable(error)}")
    if code != OK:
        click.echo(f"Exit code {code}: {MEANINGS[code]}.")
