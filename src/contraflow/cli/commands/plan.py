"""``contraflow plan``: show what ``contraflow sync`` would do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from contraflow.cli.exit_codes import CHANGES, OK
from contraflow.cli.options import json_option
from contraflow.cli.output import print_json, print_table
from contraflow.cli.plans import counts_of, details, document, markdown, operations_of, remarks
from contraflow.cli.runs import in_order, parameter
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line

if TYPE_CHECKING:
    from contraflow.plans import Plan


@click.command("plan", short_help="Show what sync would do, and do nothing.")
@click.argument("integration")
@click.option("--job", metavar="NAME", help="Which job, if the integration has several.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Only this step; may be repeated.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this entity, as for sync; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Say that all entities are meant, where the job reads by id.")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the run.")
@click.option("--force", is_flag=True, help="Plan to send what is read also if the remote has it already.")
@click.option("--out", metavar="FILE", help="Save the plan, for `contraflow apply`.")
@click.option("--values", is_flag=True, help="Show the values of all fields that differ, and save them with --out.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Most rows of one kind shown.")
@click.option("--exit-code", "detailed", is_flag=True, help="End with exit code 10 if there is something to do.")
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
    force: bool,
    out: str | None,
    values: bool,
    as_markdown: bool,
    limit: int,
    detailed: bool,
    as_json: bool,
) -> None:
    """Show what `contraflow sync INTEGRATION` would do: everything is read, processed and compared, and nothing is written,
    neither to the remote nor to the ledger.

    \b
    contraflow plan acme-eu                       what differs
    contraflow plan acme-eu --out plan.json       and keep it, for contraflow apply plan.json
    contraflow plan acme-eu --markdown            for a pull request
    """
    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown: one of the two")
    parameters = dict(parameter(pair) for pair in pairs)
    with load_project(state) as project, in_order() as stop:
        plan = project.plan(
            integration,
            ids=list(ids) if ids else None,
            everything=everything,
            job=job,
            steps=steps,
            parameters=parameters,
            force=force,
            values=values,
            stop=stop,
        )
        with plan:
            left_out = None if out is None else plan.save(out, values=values)
            code = CHANGES if detailed and plan.changes else OK
            if as_json:
                saved = {} if out is None else {"file": out, "left_out": left_out}
                print_json(state.redact.value({**document(plan), **saved, "exit": code}))
            elif as_markdown:
                click.echo("\n".join(map(state.redact, markdown(plan, limit))))
            else:
                _print(state, plan, limit)
                if out is not None:
                    click.echo(f"Saved as {one_line(out)}; carry it out with: contraflow apply {one_line(out)}")
            if left_out:
                click.echo(f"{left_out} items are not in the file, since their keys spell a secret.", err=True)
    sys.exit(code)


def _print(state: State, plan: Plan, limit: int) -> None:
    names = operations_of(plan)
    counted = [[step.step, *counts_of(step, names)] for step in plan.steps]
    print_table(["step", *names], counted, right=frozenset(range(1, 1 + len(names))))
    rows = [[state.redact(cell) for cell in row] for row in _rows(plan, limit)]
    if rows:
        click.echo()
        print_table(["step", "operation", "item", "what"], rows)
    for step in plan.steps:
        for line in remarks(step):
            click.echo(one_line(state.redact(line)))
    digest = f" (digest {plan.digest})" if plan.changes else ""
    what = "Nothing to do" if not plan.changes else f"{plan.changes:,} to be sent"
    click.echo(f"{plan.integration}, {plan.job}: {what}{digest}. Nothing was written.")


def _rows(plan: Plan, limit: int) -> Iterator[list[str]]:
    for step in plan.steps:
        for operation, item, what in details(step, limit):
            yield [step.step, operation, item, what]
