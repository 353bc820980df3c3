"""``contraflow dead-letters``: the items that were rejected."""

from __future__ import annotations

import click

from contraflow.cli.app import State
from contraflow.cli.output import json_option, load_project, print_json, print_table


@click.command("dead-letters", short_help="List the items that were rejected, and why.")
@click.option("--integration", metavar="NAME", help="Only of this integration.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@json_option
@click.pass_obj
def command(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """List the items that were rejected, with the reason, oldest first.

    An item is rejected when it cannot be exported as it is: the processor or the remote refuses it, or its values cannot be
    sent. Mend the record, or the mapping, and run `contraflow sync INTEGRATION --id ID`: when it goes through, its dead
    letter goes away.
    """
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        letters = project.dead_letters(integration=integration, limit=limit)
    if as_json:
        print_json({"dead_letters": letters})
        return
    if not letters:
        click.echo("No dead letters.")
        return
    rows = [
        [each.integration, each.step, display_key(each.key), each.code, str(each.attempts), each.reason]
        for each in letters
    ]
    print_table(["integration", "step", "id", "code", "tries", "reason"], rows, right=frozenset({4}))
