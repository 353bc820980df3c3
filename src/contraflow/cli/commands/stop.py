"""``contraflow stop``: end a run that another process carries out."""

from __future__ import annotations

import sys

import click

from contraflow.cli.exit_codes import FAILED, OK
from contraflow.cli.options import json_option
from contraflow.cli.output import moment, print_json
from contraflow.cli.state import State, load_project


@click.command("stop", short_help="Ask a running sync to stop after the chunk in hand.")
@click.argument("integration")
@click.option("--job", metavar="NAME", help="Only this job, if the integration has several.")
@json_option
@click.pass_obj
def command(state: State, integration: str, job: str | None, as_json: bool) -> None:
    """Ask the process that synchronises INTEGRATION to stop, wherever it runs: through the ledger.

    It notices within some seconds, finishes the chunk in hand, and ends; the next `contraflow sync` goes on. The exit code
    is 1 if nothing runs.
    """
    with load_project(state) as project:
        configured = project.integration(integration)
        names = [project.job_name(configured, job)] if job else project.job_names(configured)
        asked = [holder for name in names if (holder := project.stop(integration, name)) is not None]
    if as_json:
        holders = [{"job": each.job, "since": each.since, "host": each.host, "process": each.pid} for each in asked]
        print_json({"asked": holders, "exit": OK if asked else FAILED})
    for each in [] if as_json else asked:
        click.echo(
            f"{integration}, {each.job}: asked process {each.pid} on {each.host}, which runs it since {moment(each.since)},"
            " to stop after the chunk in hand."
        )
    if not asked and not as_json:
        click.echo(f"{integration}: nothing runs.")
    sys.exit(OK if asked else FAILED)
