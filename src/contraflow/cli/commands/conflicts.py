"""``contraflow conflicts``: records that somebody changed at the remote, and that wait for a decision."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from contraflow.cli.listing import list_by_default, print_list
from contraflow.cli.options import json_option, list_options
from contraflow.cli.output import moment, print_json, print_table
from contraflow.cli.runs import Ended, in_order
from contraflow.cli.state import State, load_project
from contraflow.escaping import printable

if TYPE_CHECKING:
    from contraflow.reviews import ConflictView, FieldConflict

_SIDES = ("local", "remote")


@click.group(
    "conflicts",
    short_help="Records changed at the remote that wait for a decision.",
    invoke_without_command=True,
)
@list_options
@click.pass_context
def command(context: click.Context, /, **_: Any) -> None:
    """List the records that wait for a decision; or show or settle one.

    Somebody changed them at the remote, and the step's policy (its parameter `conflicts`) leaves it to a person which
    version holds. Nothing of them is sent until then. `contraflow conflicts settle` decides.
    """
    list_by_default(context)


@command.command("list", short_help="List them.")
@list_options
@click.pass_obj
def list_conflicts(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """List the records that wait for a decision. It is what `contraflow conflicts` alone does."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        found = project.conflicts(integration=integration, limit=limit)
    print_list(
        "conflicts",
        found,
        lambda each: [
            *(str(each.id), each.integration, each.step, display_key(each.key)),
            *(_what(each), moment(each.since)),
        ],
        headings=["number", "integration", "step", "id", "fields", "since"],
        right=frozenset({0}),
        nothing="No conflicts.",
        as_json=as_json,
    )


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
        ended = Ended.of(project, execution)
    if as_json:
        print_json(ended.summary)
    else:
        ended.print()
    sys.exit(ended.code)


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
