"""``contraflow relink``: link an item to another record of its remote."""

from __future__ import annotations

import click

from contraflow.cli.options import json_option
from contraflow.cli.output import print_json
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line


@click.command("relink", short_help="Link a record to another one of its remote.")
@click.argument("integration")
@click.argument("id")
@click.option("--remote-id", required=True, metavar="ID", help="The id of the record at the remote.")
@click.option("--job", metavar="NAME", help="Which job, if the integration has several.")
@click.option("--step", metavar="NAME", help="Which step, if the job has several.")
@json_option
@click.pass_obj
def command(
    state: State,
    integration: str,
    id: str,  # noqa: A002 - what people call it
    remote_id: str,
    job: str | None,
    step: str | None,
    as_json: bool,
) -> None:
    """Link the entity ID of INTEGRATION to another record of the remote, since records were merged or moved there.

    Nothing is sent now: the next sync sends what we have to the record that is named.
    """
    from contraflow.ledger import display_key

    with load_project(state) as project:
        linked = project.relink(integration, id, remote_id, job=job, step=step)
    if as_json:
        print_json(linked)
        return
    before = f"; it was linked to {linked.before}" if linked.before else ""
    click.echo(one_line(f"{linked.step} {display_key(linked.key)}: linked to {linked.remote_id}{before}."))
    if linked.others:
        others = ", ".join(display_key(key) for key in linked.others)
        click.echo(one_line(f"Warning: also linked to it: {others}. Both will write there."), err=True)
    click.echo("The next sync sends it there.")
