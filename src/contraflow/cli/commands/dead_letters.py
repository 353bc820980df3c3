"""``contraflow dead-letters``: the items that were rejected, and what to do about them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from contraflow.cli.exit_codes import OK
from contraflow.cli.listing import list_by_default, print_list
from contraflow.cli.options import json_option, list_options
from contraflow.cli.output import moment, print_json
from contraflow.cli.runs import Ended, in_order
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line

if TYPE_CHECKING:
    from contraflow.ledger import DeadLetter
    from contraflow.project import Project


@click.group(
    "dead-letters",
    short_help="The items that were rejected: list, show, retry or drop them.",
    invoke_without_command=True,
)
@list_options
@click.pass_context
def command(context: click.Context, /, **_: Any) -> None:
    """List the items that were rejected, with the reason, oldest first; or show, retry or drop them.

    An item is rejected when it cannot be exported as it is: the processor or the remote refuses it, or its values cannot be
    sent. Mend the record, and the next sync tries it again by itself. Mend the mapping or the remote, and run `contraflow
    dead-letters retry`. When the item goes through, its dead letter goes away.
    """
    list_by_default(context)


@command.command("list", short_help="List them, oldest first.")
@list_options
@click.pass_obj
def list_letters(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """List the items that were rejected, with the reason, oldest first. It is what `contraflow dead-letters` alone does."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        letters = project.dead_letters(integration=integration, limit=limit)
    print_list(
        "dead_letters",
        letters,
        lambda each: [
            *(str(each.id), each.integration, each.step, display_key(each.key)),
            *(each.code, str(each.attempts), each.reason),
        ],
        headings=["number", "integration", "step", "id", "code", "tries", "reason"],
        right=frozenset({0, 5}),
        nothing="No dead letters.",
        as_json=as_json,
    )


@command.command("show", short_help="Show one, with all that is known of it.")
@click.argument("number", type=int)
@json_option
@click.pass_obj
def show(state: State, number: int, as_json: bool) -> None:
    """Show the dead letter NUMBER with all that is known of it. The record's content is not: it is not kept."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        letter = project.dead_letter(number)
    if as_json:
        print_json(letter)
        return
    last = f"execution {letter.last_execution_id}, {moment(letter.recorded)}"
    for label, value in (
        (
            "item",
            f"{display_key(letter.key)} of step {letter.step}, job {letter.job}, integration {letter.integration}",
        ),
        ("code", letter.code),
        ("reason", letter.reason),
        ("rejected", f"{letter.attempts:,} times; first in execution {letter.first_execution_id}, last in {last}"),
    ):
        click.echo(one_line(f"{label + ':':<10}{value}"))


@command.command("retry", short_help="Send their items once more, as they are now.")
@click.argument("integration", required=False)
@click.option("--job", metavar="NAME", help="Only of this job.")
@click.option("--step", metavar="NAME", help="Only of this step.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this entity, as for sync; may be repeated.")
@click.option("--wait", is_flag=True, help="Wait while another process runs the job.")
@json_option
@click.pass_obj
def retry(
    state: State,
    integration: str | None,
    job: str | None,
    step: str | None,
    ids: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Send the items of dead letters once more: all, or those of INTEGRATION.

    Their entities are read and compared afresh, so nothing old is sent; also what the remote has refused before is tried
    again. The exit code is that of the worst run.
    """
    ended: list[Ended] = []
    with load_project(state) as project, in_order() as stop:
        if integration is not None:
            project.integration(integration)
        letters = _chosen(project, integration, job, step, ids)
        for execution in project.retry_dead_letters(letters, wait=wait, stop=stop):
            ended.append(Ended.of(project, execution))
            if not as_json:
                ended[-1].print()
    code = max((each.code for each in ended), default=OK)
    if as_json:
        print_json({"executions": [each.summary for each in ended], "exit": code})
    elif not letters:
        click.echo("No dead letters.")
    sys.exit(code)


def _chosen(
    project: Project, integration: str | None, job: str | None, step: str | None, ids: tuple[str, ...]
) -> list[DeadLetter]:
    letters = [
        each for each in project.all_dead_letters(integration=integration, job=job) if step is None or each.step == step
    ]
    if not ids:
        return letters
    places = {(each.integration, each.job, each.step) for each in letters}
    if len(places) > 1:
        found = ", ".join(sorted(f"{each[0]} --step {each[2]}" for each in places))
        raise click.UsageError(f"--id: several steps have dead letters; say which: {found}")
    wanted: Any = {key for place in places for key in project.item_keys(*place, list(ids))}
    return [each for each in letters if each.key in wanted]


@command.command("drop", short_help="Forget them.")
@click.argument("number", nargs=-1, required=True, type=int)
@json_option
@click.pass_obj
def drop(state: State, number: tuple[int, ...], as_json: bool) -> None:
    """Forget the dead letters of each NUMBER. Their items stay rejected until they change."""
    with load_project(state) as project:
        dropped = project.drop_dead_letters(number)
    if as_json:
        print_json({"dropped": dropped})
    else:
        click.echo(f"Dropped {dropped:,}.")
