"""``contraflow status``: what ran, and what the ledger knows."""

from __future__ import annotations

import click

from contraflow.cli.app import State
from contraflow.cli.output import json_option, load_project, print_json, print_table, printable
from contraflow.cli.progress import outcomes


@click.command("status", short_help="Show what ran, and which items are still owed.")
@click.argument("integration", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=5, show_default=True, help="At most so many executions.")
@json_option
@click.pass_obj
def command(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """Show the latest executions, and how many items the ledger knows in which state.

    Items in doubt are those of which nobody can say whether the remote has them; they are listed by id.
    """
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        executions = project.executions(integration=integration, limit=limit)
        overview = project.items(integration=integration)
    if as_json:
        print_json({"executions": executions, "items": overview})
        return
    if not executions:
        click.echo("Nothing has run yet. `contraflow sync INTEGRATION` runs it.")
        return
    rows = [
        [
            str(each.id),
            each.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if each.started else "",
            each.integration,
            each.job,
            each.status.value,
            outcomes(each.counts),
        ]
        for each in executions
    ]
    print_table(["execution", "started", "integration", "job", "status", "items"], rows, right=frozenset({0}))
    latest = executions[0]
    for error in latest.errors:
        click.echo(f"  {printable(error)}")
    if overview:
        click.echo()
        print_table(
            ["integration", "job", "step", "state", "items"],
            [[each.integration, each.job, each.step, each.status, f"{each.items:,}"] for each in overview],
            right=frozenset({4}),
        )
    for each in overview:
        if each.examples:
            shown = ", ".join(display_key(key) for key in each.examples)
            more = f" and {each.items - len(each.examples):,} more" if each.items > len(each.examples) else ""
            click.echo(printable(f"{each.integration}, {each.step}: {each.status.replace('_', ' ')}: {shown}{more}"))
