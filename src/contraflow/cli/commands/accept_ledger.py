"""``contraflow accept-ledger``: go on with a ledger that was restored from an older copy."""

from __future__ import annotations

import click

from contraflow.cli.options import json_option
from contraflow.cli.output import print_json
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line


@click.command("accept-ledger", short_help="Go on with a ledger that was restored from a backup.")
@click.option("--force", is_flag=True, help="Also if nothing shows that the ledger is older than it was.")
@json_option
@click.pass_obj
def command(state: State, force: bool, as_json: bool) -> None:
    """Go on with a ledger that was restored from an older copy, where the newer one is lost.

    What was sent after the copy was made is not known to it. So nothing that it says of the remotes is believed any more:
    the next run of each step goes through all items anew, in the way that the remote allows, and this command says which.
    """
    with load_project(state) as project:
        steps = project.accept_ledger(force=force)
    if as_json:
        print_json({"accepted": steps})
        return
    click.echo("The ledger is accepted as it is.")
    for each in steps:
        click.echo(one_line(f"{each.integration}, {each.job}, {each.step}: {each.treatment}."))
