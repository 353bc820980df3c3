"""``contraflow explain``: what happened to one record, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from contraflow.cli.options import json_option
from contraflow.cli.output import moment, print_json
from contraflow.cli.state import State, load_project
from contraflow.escaping import printable

if TYPE_CHECKING:
    from contraflow.explain import Place


@click.command("explain", short_help="What happened to one record, and what comes next.")
@click.argument("subject")
@click.argument("id")
@click.option("--show-values", is_flag=True, help="Show what the remote last confirmed, where the step remembers it.")
@json_option
@click.pass_obj
def command(state: State, subject: str, id: str, show_values: bool, as_json: bool) -> None:  # noqa: A002
    """Explain the record ID of SUBJECT, an entity, or an integration, INTEGRATION/JOB or INTEGRATION/JOB/STEP.

    For each step that exports it: what the ledger knows of it, whether the next run sends it as it is now, why or why not,
    and what comes next. The entity is read, processed and compared; nothing is written anywhere.
    """
    with load_project(state) as project:
        explanation = project.explain(subject, id, show_values=show_values)
    if as_json:
        print_json(explanation)
        return
    for number, place in enumerate(explanation.places):
        if number:
            click.echo()
        click.echo(printable(f"{subject} {id}, in {place.integration}/{place.job}/{place.step}"))
        for label, value in _lines(place):
            click.echo(printable(f"  {label + ':':<12}{value}"))


def _lines(place: Place) -> Iterator[tuple[str, str]]:
    since = f" (execution {place.execution}, {moment(place.since)})" if place.execution else ""
    yield "status", f"{(place.status or 'unknown').replace('_', ' ')}: {place.words}{since}"
    if place.remote_id is not None:
        version = f", version {place.remote_version}" if place.remote_version else ""
        yield "remote", f"id {place.remote_id}{version}"
    if place.confirmed is not None:
        yield "confirmed", f"{place.confirmed}…"
    for name, value in (place.values or {}).items():
        yield "", f"{name} = {value!r}"
    if place.changes:
        sent = "everything" if place.sent is None else ", ".join(place.sent) or "nothing new"
        yield "sent last", f"{sent} (change {place.changes})"
    if place.kept:
        yield "theirs", f"{', '.join(place.kept)}, as the step's policy for conflicts says"
    letter = place.dead_letter
    if letter is not None:
        times = "once" if letter.attempts == 1 else f"{letter.attempts:,} times"
        yield "refused", f"{letter.code}: {letter.reason} ({times}; dead letter {letter.id})"
    if place.conflict is not None:
        yield "conflict", f"number {place.conflict}: see `contraflow conflicts show {place.conflict}`"
    if place.retry_at is not None:
        yield "not before", moment(place.retry_at)
    due = {True: "yes", False: "no", None: "cannot be told"}[place.due]
    yield "due", f"{due}: {place.why}"
    yield "next", place.next
