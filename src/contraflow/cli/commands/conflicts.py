"""``contraflow conflicts``: records that somebody changed at the remote, and that wait for a decision."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from contraflow.cli.app import State
from contraflow.cli.exit_codes import OK, exit_code
from contraflow.cli.output import json_option, load_project, moment, print_json, print_table
from contraflow.cli.runs import in_order, print_summary, refuse_misplaced_options, summary
from contraflow.escaping import printable

if TYPE_CHECKING:
    from contraflow.reviews import ConflictView, FieldConflict

_SIDES = ("local", "remote")


@click.group(
    "conflicts",
    short_help="Records changed at the remote that wait for a decision.",
    invoke_without_command=True,
)
@click.option("--integration", metavar="NAME", help="Only of this integration.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def command(context: click.Context, integration: str | None, limit: int, as_json: bool) -> None:
    """List the records that wait for a decision; or show or settle one.

    Somebody changed them at the remote, and the step's policy (its parameter `conflicts`) leaves it to a person which
    version holds. Nothing of them is sent until then. `contraflow conflicts settle` decides.
    """
    if context.invoked_subcommand is not None:
        refuse_misplaced_options(context)
        return
    context.invoke(list_conflicts, integration=integration, limit=limit, as_json=as_json)


@command.command("list", short_help="List them.")
@click.option("--integration", metavar="NAME", help="Only of this integration.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@json_option
@click.pass_obj
def list_conflicts(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """List the records that wait for a decision. It is what `contraflow conflicts` alone does."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        found = project.conflicts(integration=integration, limit=limit)
    if as_json:
        print_json({"conflicts": found})
        return
    if not found:
        click.echo("No conflicts.")
        return
    rows = [
        [str(each.id), each.integration, each.step, display_key(each.key), _what(each), moment(each.since)]
        for each in found
    ]
    print_table(["number", "integration", "step", "id", "fields", "since"], rows, right=frozenset({0}))


@command.command("show", short_help="Show one, with the values of both sides.")
@click.argument("number", type=int)
@json_option
@click.pass_obj
def show(state: State, number: int, as_json: bool) -> None:
    """Show the conflict NUMBER: of each field what was last confirmed, what we have, and what the remote has."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        found = project.conflict(number)
    if as_json:
        print_json(found)
        return
    click.echo(
        printable(
            f"Item {display_key(found.key)} of step {found.step}, job {found.job}, integration {found.integration}; "
            f"found in execution {found.execution}, {moment(found.since)}."
        )
    )
    if found.removal:
        click.echo("The entity is gone, and somebody changed the record: is it to be removed at the remote as well?")
    rows = [["*" if each.waits else "", each.name, *_values(each, found)] for each in found.fields]
    print_table(["", "field", "confirmed", "local", "remote"], rows)
    if not found.base_known:
        click.echo("What was last confirmed is not known: the step does not say `remember: payload`.")
    if found.decision is not None:
        click.echo("It is decided; the next run that reads the item carries it out.")


@command.command("settle", short_help="Say which version holds, and carry that out.")
@click.argument("number", type=int)
@click.option(
    "--take",
    "sides",
    required=True,
    multiple=True,
    metavar="SIDE",
    help="local: ours. remote: theirs. FIELD=local or FIELD=remote: of this field. May be repeated.",
)
@click.option("--wait", is_flag=True, help="Wait while another process runs the job.")
@json_option
@click.pass_obj
def settle(state: State, number: int, sides: tuple[str, ...], wait: bool, as_json: bool) -> None:
    """Say which version of the conflict NUMBER holds, and carry that out by a run of just that item.

    If either side has changed since the conflict was found, nothing is overwritten: the item waits again.
    """
    take = dict(_side(each) for each in sides)
    with load_project(state) as project, in_order() as stop:
        execution = project.settle_conflict(number, take, wait=wait, stop=stop)
        promises = project.promise(project.assemble(project.integration(execution.integration), execution.job))
        code = exit_code(execution, doubts=project.has_doubts(execution.integration, execution.job))
    if as_json:
        print_json({**summary(execution, promises), "exit": code})
    else:
        print_summary(execution, promises, code)
    if code != OK:
        sys.exit(code)


def _side(text: str) -> tuple[str, str]:
    field, equals, side = text.rpartition("=")
    if side not in _SIDES or (equals and not field):
        raise click.UsageError(f"--take: found '{text}', expected local, remote, FIELD=local or FIELD=remote")
    return field, side


def _what(found: ConflictView) -> str:
    return "the whole record" if found.removal else ", ".join(found.waiting)


def _values(field: FieldConflict, found: ConflictView) -> list[str]:
    base = repr(field.base) if found.base_known else "?"
    return [base, "" if found.removal else repr(field.local), repr(field.remote)]
