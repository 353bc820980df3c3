"""``contraflow status``: what runs and ran, and what the ledger knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from contraflow.cli.options import json_option
from contraflow.cli.output import indented, moment, print_json, print_table
from contraflow.cli.progress import outcomes
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line

if TYPE_CHECKING:
    from contraflow.engine.promise import Promise
    from contraflow.ledger import Request
    from contraflow.ledger.forgetting import BegunForgetting
    from contraflow.project import Project
    from contraflow.records import ItemOverview, RunningJob
    from contraflow_hookspecs import JobExecution


@click.command("status", short_help="Show what runs and ran, and which items are still owed.")
@click.argument("integration", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=5, show_default=True, help="At most so many executions.")
@json_option
@click.pass_obj
def command(state: State, integration: str | None, limit: int, as_json: bool) -> None:
    """Show who runs which job, the latest executions, the requests that wait, and how many items are in which state.

    Items of which nobody can say whether the remote has them are listed by id, with what happens to them next.
    """
    from contraflow.records import died

    with load_project(state) as project:
        if integration is not None:
            project.integration(integration)
        executions = project.executions(integration=integration, limit=limit)
        running = project.running(_jobs(project, integration, executions))
        dead = {each.id for each in executions if died(each, running)}
        requests = project.requests(integration=integration)
        overview = project.items(integration=integration)
        letters = sum(1 for _ in project.all_dead_letters(integration=integration))
        begun = project.begun_forgettings()
        promises = {(each.integration, each.job, each.step): _promise(project, each) for each in overview}
    if as_json:
        print_json(
            {
                "executions": executions,
                "died": sorted(dead),
                "running": running,
                "requests": requests,
                "items": overview,
                "dead_letters": letters,
                "forgetting": begun,
            }
        )
        return
    _print_begun(begun)
    if not executions:
        click.echo("Nothing has run yet. `contraflow sync INTEGRATION` runs it.")
        return
    _print_executions(executions, dead)
    _print_running(running)
    _print_requests(requests)
    _print_items(overview, promises)
    if letters:
        click.echo(f"{letters:,} dead letters: see `contraflow dead-letters`")


def _jobs(project: Project, integration: str | None, executions: Sequence[JobExecution]) -> list[tuple[str, str]]:
    """The jobs that a process may hold: all that can be run, and those that ran."""
    from contraflow.errors import ContraflowError

    jobs = [(each.integration, each.job) for each in executions]
    for name, configured in project.config.integrations.items():
        if integration in (None, name):
            with suppress(ContraflowError):  # what cannot be run any more may have run before
                jobs += [(name, job) for job in project.job_names(configured)]
    return jobs


def _promise(project: Project, item: ItemOverview) -> Promise | None:
    from contraflow.errors import ContraflowError

    if not item.examples:
        return None
    try:
        job = project.assemble(project.integration(item.integration), item.job)
    except ContraflowError:
        return None  # nobody knows what an integration promises that is not there any more
    return next(iter(project.promise(job, step=item.step)), None)


def _print_executions(executions: Sequence[JobExecution], dead: set[int]) -> None:
    rows = [
        [
            str(each.id),
            moment(each.started),
            each.integration,
            each.job,
            "died" if each.id in dead else each.status.value,
            outcomes(each.counts, nothing="nothing"),
        ]
        for each in executions
    ]
    print_table(["execution", "started", "integration", "job", "status", "items"], rows, right=frozenset({0}))
    latest = executions[0]
    for note in latest.notes:
        click.echo(indented(note))
    for error in latest.errors:
        click.echo(indented(error))
    if latest.id in dead:
        click.echo("  Its process ended without a word; the next sync goes on, and resolves what it left.")


def _print_running(running: Sequence[RunningJob]) -> None:
    for each in running:
        who = f"process {each.process} on {each.host}"
        if each.died:
            said = f"{who} held it since {moment(each.since)}, and died; the next sync takes over"
        else:
            number = f", execution {each.execution}" if each.execution else ""
            said = f"running since {moment(each.since)}, in {who}{number}"
        stopping = "; it was asked to stop" if each.stop_requested and not each.died else ""
        click.echo(one_line(f"{each.integration}, {each.job}: {said}{stopping}"))


def _print_requests(requests: Sequence[Request]) -> None:
    for each in requests:
        ids = each.body.get("ids")
        ids = ids if isinstance(ids, list) else [ids]
        shown = ", ".join(map(str, ids[:10])) + (" …" if len(ids) > 10 else "")
        what = "waits" if each.epoch is None else "was begun"
        click.echo(
            one_line(f"{each.integration}, {each.job}: a request of {moment(each.requested)} {what}: ids {shown}")
        )


def _print_items(overview: Sequence[ItemOverview], promises: Mapping[tuple[str, str, str], Promise | None]) -> None:
    if overview:
        click.echo()
        print_table(
            ["integration", "job", "step", "state", "items"],
            [
                [each.integration, each.job, each.step, each.status.replace("_", " "), f"{each.items:,}"]
                for each in overview
            ],
            right=frozenset({4}),
        )
    from contraflow.ledger import display_key

    for each in overview:
        if not each.examples:
            continue
        shown = ", ".join(display_key(key) for key in each.examples)
        more = f" and {each.items - len(each.examples):,} more" if each.items > len(each.examples) else ""
        state = each.status.replace("_", " ")
        click.echo(one_line(f"{each.integration}, {each.step}: {state}: {shown}{more}"))
        click.echo(f"  {_what_happens(each, promises[each.integration, each.job, each.step])}")


def _print_begun(begun: Sequence[BegunForgetting]) -> None:
    from contraflow.ledger import display_key

    for each in begun:
        record = f"{each.entity} {display_key(each.key)}"
        click.echo(one_line(f"{record} is not forgotten everywhere: call contraflow forget {record} again."))


def _what_happens(item: ItemOverview, promise: Promise | None) -> str:
    """Why an item is in its state, and what the next run does about it."""
    if item.status == "conflict":
        return "Somebody changed them at the remote, and they wait for a decision: see `contraflow conflicts`."
    if item.status == "deferred":
        return "Surely not at the remote yet: the next sync sends those whose time has come."
    if item.status == "gone":
        return "Somebody removed them at the remote, and they stay so: see `resurrect`, or sync --force --id ID."
    why = {
        "in_doubt": "Sent, but no answer came that could be believed, so nobody can say whether the remote has them",
        "in_flight": "On record to be sent, and no outcome is: the run is at it, or died over it",
    }[item.status]
    return f"{why}. {promise.recovery if promise else 'What happens next, only the connector could tell'}."
