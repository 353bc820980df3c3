"""``contraflow apply``: carry out a plan."""

from __future__ import annotations

import re
import sys
from datetime import timedelta

import click

from contraflow.cli.options import approve_option, json_option
from contraflow.cli.output import print_json
from contraflow.cli.runs import Ended, in_order, progress
from contraflow.cli.state import State, load_project

_AGE = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _age(context: click.Context, option: click.Parameter, value: str) -> timedelta:
    match = _AGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"found '{value}', expected an age such as 90m, 12h or 7d", context, option)
    return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})


@click.command("apply", short_help="Carry out a plan: what it says, and nothing else.")
@click.argument("plan")
@click.option("--max-age", callback=_age, default="7d", show_default=True, metavar="AGE", help="How old it may be.")
@approve_option
@click.option("--wait", is_flag=True, help="Wait while another process runs the job.")
@json_option
@click.pass_obj
def command(state: State, plan: str, max_age: timedelta, approvals: tuple[str, ...], wait: bool, as_json: bool) -> None:
    """Carry out PLAN, a file that `contraflow plan --out` wrote: exactly what it says, and nothing else.

    Each item of the plan is read and compared again. One that is no longer as the plan saw it, since the source or the
    ledger has changed, is left out, counted as stale, and named; the exit code is 11 then. A plan is applied once; if that
    is interrupted, the same command goes on with it.
    """
    with load_project(state) as project, progress(project, as_json), in_order() as stop:
        execution = project.apply(plan, max_age=max_age, approve=approvals, wait=wait, stop=stop)
        ended = Ended.of(project, execution, planned=True)
    if as_json:
        print_json(ended.summary)
    else:
        ended.print()
    sys.exit(ended.code)
