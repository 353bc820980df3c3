"""``contraflow check``: is everything in order?"""

from __future__ import annotations

import sys

import click

from contraflow.cli.exit_codes import CONFIGURATION
from contraflow.cli.options import json_option
from contraflow.cli.output import print_json
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line, printable


@click.command("check", short_help="Say whether everything is in order, and what is not.")
@click.option("--connect", is_flag=True, help="Also ask each remote whether it talks to us.")
@json_option
@click.pass_obj
def command(state: State, connect: bool, as_json: bool) -> None:
    """Check the project: configuration, plugins, settings, source database, entities, ledger, and every name in every job.

    Nothing is run and nothing is written. The exit code is 2 if a job could not run.
    """
    from contraflow.check import check

    with load_project(state) as project:
        findings = []
        for finding in check(project, connect=connect):
            findings.append(finding)
            if not as_json:
                good = not finding.problems
                mark = "ok     " if good else "PROBLEM" if finding.fatal else "warning"
                click.echo(one_line(f"{mark}  {finding.subject}{': ' + finding.note if good and finding.note else ''}"))
                for words in finding.promise if good else ():
                    click.echo(f"         promise: {words}")
                for problem in finding.problems:
                    click.echo(printable("\n".join(f"         {line}" for line in str(problem).splitlines())))
    fatal = sum(bool(finding.problems) and finding.fatal for finding in findings)
    if as_json:
        print_json({"ok": not fatal, "findings": findings})
    else:
        click.echo("\nEverything is in order." if not fatal else f"\n{fatal} of {len(findings)} checks found problems.")
    sys.exit(CONFIGURATION if fatal else 0)
