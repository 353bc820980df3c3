"""``contraflow forget``: remove or anonymise one record in every remote that has it, and in the ledger."""

from __future__ import annotations

import sys

import click

from contraflow.cli.exit_codes import LATER
from contraflow.cli.options import json_option
from contraflow.cli.output import print_json
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line


@click.command("forget", short_help="Remove one record from every remote and from the ledger.")
@click.argument("entity")
@click.argument("id")
@click.option("--dry-run", is_flag=True, help="Only say where it is, and what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-again", is_flag=True, help="Let a record that was forgotten be sent again. Nothing is sent now.")
@click.option("--wait", is_flag=True, help="Wait while another process runs a job.")
@json_option
@click.pass_obj
def command(
    state: State,
    entity: str,
    id: str,  # noqa: A002 - what people call it
    dry_run: bool,
    yes: bool,
    allow_again: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Forget the record ID of ENTITY: every remote that has it removes or anonymises it, and the ledger forgets it.

    What is refused, is refused before anything is done. Whoever was interrupted calls it again. The source is not touched;
    but no later run sends the record again, unless --allow-again.
    """
    from contraflow.forgetting import summary

    with load_project(state) as project:
        if allow_again:
            number = project.allow_again(entity, id)
            if as_json:
                print_json({"steps": number})
            else:
                click.echo(f"Steps that may send it again: {number}.")
            return
        found = project.forget(entity, id, dry_run=True)
        if not dry_run and found.places:
            if not yes:
                for line in summary(found):
                    click.echo(one_line(line))
                click.confirm("Forget it? This cannot be undone", abort=True)
            found = project.forget(entity, id, wait=wait)
    if as_json:
        print_json(
            {"entity": entity, "id": id, "places": found.places, "in_source": found.in_source, "done": found.done}
        )
    else:
        for line in summary(found):
            click.echo(one_line(line))
        if not found.places:
            click.echo("No remote has it, as far as the ledger knows.")
        if found.in_source:
            click.echo(one_line(f"The source still has {entity} {id}. It is not sent again, unless by --allow-again."))
    if not dry_run and not found.done:
        if not as_json:
            click.echo("It is not forgotten everywhere: call it again.", err=True)
        sys.exit(LATER)
