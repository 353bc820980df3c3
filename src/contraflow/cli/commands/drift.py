"""``contraflow drift``: compare the remote with what it last confirmed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from contraflow.cli.exit_codes import DRIFTED, MEANINGS, OK
from contraflow.cli.options import json_option
from contraflow.cli.output import plain, print_json, print_table
from contraflow.cli.runs import Ended, in_order
from contraflow.cli.state import State, load_project

if TYPE_CHECKING:
    from contraflow.drift import Drift, ItemDrift, StepDrift

_MOST_SHOWN = 50


@click.command("drift", short_help="Compare the remote with what it last confirmed.")
@click.argument("integration")
@click.option("--job", metavar="NAME", help="Only this job.")
@click.option("--step", metavar="NAME", help="Only this step.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compare so many items of each step, at random (1000).",
)
@click.option("--all", "everything", is_flag=True, help="Compare all items, and find records that are not ours.")
@click.option("--repair", is_flag=True, help="Let an ordinary run of just what was found see to it.")
@click.option("--wait", is_flag=True, help="To repair, wait while another process runs the job.")
@json_option
@click.pass_obj
def command(
    state: State,
    integration: str,
    job: str | None,
    step: str | None,
    sample: int | None,
    everything: bool,
    repair: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Read records at the remote of INTEGRATION and compare them with what it last confirmed.

    Finds what somebody edited there, what is missing, and with --all also what is not ours, where the connector can list
    it. Nothing is written, here or there, unless you say --repair: then an ordinary run of just these items follows, and the
    steps' policies hold. The exit code is 9 if something differs.
    """
    if sample is not None and everything:
        raise click.UsageError("--sample and --all: one of the two")
    from contraflow.drift import SAMPLE

    with load_project(state) as project, in_order() as stop:
        found = project.drift(
            integration,
            job=job,
            step=step,
            sample=None if everything else sample or SAMPLE,
            repair=repair,
            wait=wait,
            stop=stop,
        )
        repairs = [Ended.of(project, each) for each in found.repairs]
        extra = any(each.kind == "extra" for each in found.items)
        drifted = found.found if not repair else extra
        code = max((each.code for each in repairs), default=OK) or (DRIFTED if drifted else OK)
        if as_json:
            print_json({**plain(found), "repairs": [each.summary for each in repairs], "exit": code})
        else:
            _print(found)
            for each in repairs:
                each.print()
            if code == DRIFTED:
                click.echo(f"Exit code {code}: {MEANINGS[code]}.")
    sys.exit(code)


def _print(found: Drift) -> None:
    rows = [
        [
            each.step,
            f"{each.compared:,}",
            f"{each.edited:,}",
            f"{each.missing:,}",
            "?" if each.extra is None else f"{each.extra:,}",
            f"{each.unread:,}",
        ]
        for each in found.steps
    ]
    print_table(["step", "compared", "edited", "missing", "extra", "unread"], rows, right=frozenset({1, 2, 3, 4, 5}))
    for each in found.steps:
        if each.note:
            click.echo(_note(each))
    if found.items:
        print_table(["step", "id", "remote id", "what", "field", "confirmed", "remote"], list(_rows(found)))
    if len(found.items) > _MOST_SHOWN:
        click.echo(f"… and {len(found.items) - _MOST_SHOWN:,} more; --json tells all.")


def _note(step: StepDrift) -> str:
    return f"{step.step}: {step.note}."


def _rows(found: Drift) -> list[list[str]]:
    rows: list[list[str]] = []
    for each in found.items[:_MOST_SHOWN]:
        first = [each.step, _key(each), each.remote_id or "", each.kind]
        fields = [
            [field.name, repr(field.confirmed) if each.values_known else "?", repr(field.remote)]
            for field in each.fields
        ]
        rows += [first + (fields[0] if fields else ["", "", ""])]
        rows += [["", "", "", "", *field] for field in fields[1:]]
    return rows


def _key(item: ItemDrift) -> str:
    from contraflow.ledger import display_key

    return "" if item.key is None else display_key(item.key)
