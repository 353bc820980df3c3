"""``contraflow held``: items whose fate is unknown, and which no run sends again by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contraflow.cli.listing import list_by_default, print_list
from contraflow.cli.options import json_option, list_options, together
from contraflow.cli.output import print_json
from contraflow.cli.state import State, load_project

if TYPE_CHECKING:
    from contraflow.ledger import Verdict


_chosen_items = together(
    click.argument("integration"),
    click.option("--job", metavar="NAME", help="Which job, if the integration has several."),
    click.option("--step", required=True, metavar="NAME", help="Of which step."),
    click.option("--id", "ids", multiple=True, metavar="ID", help="This entity, as for sync; may be repeated."),
    click.option("--all", "everything", is_flag=True, help="All that the step holds."),
)


@click.group(
    "held", short_help="Items whose fate is unknown: list, resend or settle them.", invoke_without_command=True
)
@list_options
@click.pass_context
def command(context: click.Context, /, **_: Any) -> None:
    """List the items that are held, or say what became of them.

    An item is held when it was sent, no answer came that could be believed, and the remote can neither recognise a repeated
    sending nor be asked: to send it again might do it twice. Look at the remote, and say what you found.
    """
    list_by_default(context)


@command.command("list", short_help="List them.")
@list_options
@click.pass_obj
def list_held(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """List the items that are held. It is what `contraflow held` alone does."""
    from contraflow.ledger import display_key

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        items = project.held(integration=integration, limit=limit)
    print_list(
        "held",
        items,
        lambda each: [each.integration, each.job, each.step, display_key(each.key), str(each.execution_id)],
        headings=["integration", "job", "step", "id", "execution"],
        right=frozenset({4}),
        nothing="No items are held.",
        as_json=as_json,
    )


@command.command("resend", short_help="Let the next run send them again, though they may arrive twice.")
@_chosen_items
@json_option
@click.pass_obj
def resend(
    state: State, integration: str, job: str | None, step: str, ids: tuple[str, ...], everything: bool, as_json: bool
) -> None:
    """Let the next run of INTEGRATION send held items as they are then. A remote that has them already gets them twice."""
    _decide(state, integration, job, step, ids, everything, "resend", as_json)


@command.command("settle", short_help="Say what the remote has of them.")
@_chosen_items
@click.option(
    "--as",
    "verdict",
    required=True,
    type=click.Choice(["written", "deleted"]),
    help="The remote has what was sent, or does not have the item any more.",
)
@json_option
@click.pass_obj
def settle(
    state: State,
    integration: str,
    job: str | None,
    step: str,
    ids: tuple[str, ...],
    everything: bool,
    verdict: Verdict,
    as_json: bool,
) -> None:
    """Record what somebody found at the remote of INTEGRATION about held items."""
    _decide(state, integration, job, step, ids, everything, verdict, as_json)


def _decide(
    state: State,
    integration: str,
    job: str | None,
    step: str,
    ids: tuple[str, ...],
    everything: bool,
    verdict: Verdict,
    as_json: bool,
) -> None:
    if bool(ids) == everything:
        raise click.UsageError("say which items: --id ID, or --all")
    with load_project(state) as project:
        name = project.job_name(project.integration(integration), job)
        keys = project.settle_held(
            integration, job=name, step=step, ids=None if everything else list(ids), verdict=verdict
        )
    if as_json:
        print_json({"verdict": verdict, "keys": keys})
    elif verdict == "resend":
        click.echo(f"{len(keys):,} items: the next sync sends them.")
    else:
        click.echo(f"{len(keys):,} items: recorded as {verdict}.")
