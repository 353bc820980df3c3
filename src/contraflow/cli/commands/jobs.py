"""``contraflow jobs``: what can be run."""

from __future__ import annotations

import sys

import click

from contraflow.cli.exit_codes import CONFIGURATION
from contraflow.cli.options import json_option
from contraflow.cli.output import print_json, print_table
from contraflow.cli.state import State, load_project
from contraflow.escaping import printable


@click.command("jobs", short_help="List what can be run.")
@json_option
@click.pass_obj
def command(state: State, as_json: bool) -> None:
    """List every integration with its jobs and their steps, and whether they can run.

    The exit code is 2 if a job cannot.
    """
    with load_project(state) as project:
        overviews = project.jobs()
    if as_json:
        print_json({"jobs": overviews})
    else:
        rows = [
            [each.integration, each.connector, each.job, ", ".join(each.steps), _state(each.enabled, each.problem)]
            for each in overviews
        ]
        print_table(["integration", "connector", "job", "steps", "state"], rows)
        for each in overviews:
            if each.problem:
                click.echo(f"\n{each.integration}, {each.job}:\n{printable(each.problem)}")
    sys.exit(CONFIGURATION if any(each.problem for each in overviews) else 0)


def _state(enabled: bool, problem: str | None) -> str:
    if problem:
        return "cannot run"
    return "ready" if enabled else "disabled"
