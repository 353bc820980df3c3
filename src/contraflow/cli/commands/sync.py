"""``contraflow sync``: run an integration's export job."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from contraflow.cli.exit_codes import OK
from contraflow.cli.options import approve_option, json_option
from contraflow.cli.output import print_json
from contraflow.cli.runs import Ended, in_order, parameter, progress
from contraflow.cli.state import State, load_project
from contraflow.escaping import one_line

if TYPE_CHECKING:
    from contraflow.cli.progress import Resumptions
    from contraflow.project import Project
    from contraflow_hookspecs import JobExecution


@click.command("sync", short_help="Export what a remote does not have yet, or has differently.")
@click.argument("integration")
@click.option("--job", metavar="NAME", help="Which job, if the integration has several.")
@click.option("--all-jobs", is_flag=True, help="All jobs, those first to whose items others refer.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Only this step; may be repeated.")
@click.option(
    "--id",
    "ids",
    multiple=True,
    metavar="ID",
    help="Only this entity; may be repeated. A composite id: a=1,b=2 or, as JSON, '{\"a\": 1, \"b\": 2}' or '[1, 2]'.",
)
@click.option("--all", "everything", is_flag=True, help="Say that all entities are meant, where the job reads by id.")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of this run.")
@click.option("--wait", is_flag=True, help="Wait while another process runs the job.")
@click.option("--no-resume", is_flag=True, help="Read from the beginning, also after a run that was interrupted.")
@click.option("--force", is_flag=True, help="Send what is read also if the remote has it already, or has refused it.")
@approve_option
@json_option
@click.pass_obj
def command(
    state: State,
    integration: str,
    job: str | None,
    all_jobs: bool,
    steps: tuple[str, ...],
    ids: tuple[str, ...],
    everything: bool,
    pairs: tuple[str, ...],
    wait: bool,
    no_resume: bool,
    force: bool,
    approvals: tuple[str, ...],
    as_json: bool,
) -> None:
    """Synchronise INTEGRATION: export what its remote does not have yet, or has differently.

    \b
    contraflow sync acme-eu                      everything that differs
    contraflow sync acme-eu --id 7 --id 9        these two
    contraflow sync acme-eu --step order_lines --id order_id=7,line=2
    contraflow sync acme-eu --all-jobs           every job, parents first; what is gone, children first

    Items that the remote already holds, as far as the ledger knows, are not sent again. Run it as often as you like: a run
    that was interrupted is gone on with, and what it left in doubt is resolved first.

    One process at a time runs a job. If another one does, a run for certain ids is recorded, and that process carries it out
    afterwards; any other ends with exit code 5, or waits with --wait.

    Ctrl-C or SIGTERM end the run after the chunk in hand; a second one ends it at once.
    """
    from contraflow.all_jobs import sync_all
    from contraflow.engine.run import RequestRecordedError

    options: dict[str, Any] = {
        "everything": everything,
        "parameters": dict(parameter(pair) for pair in pairs),
        "wait": wait,
        "resume": not no_resume,
        "force": force,
        "approve": approvals,
    }
    one_job: dict[str, Any] = {"job": job, "steps": steps, "ids": list(ids) if ids else None}
    if all_jobs and any(one_job.values()):
        raise click.UsageError("--all-jobs goes with none of --job, --step and --id")
    done: list[dict[str, Any]] = []
    with load_project(state) as project, progress(project, as_json) as resumptions, in_order() as stop:
        try:
            if all_jobs:
                executions = sync_all(project, integration, **options, stop=stop)
            else:
                executions = iter([project.sync(integration, **one_job, **options, stop=stop)])
            done.extend(_tell(project, execution, resumptions, as_json) for execution in executions)
        except RequestRecordedError as recorded:
            if as_json:
                print_json({"recorded": state.redact(str(recorded)), "exit": recorded.exit_code})
            else:
                click.echo(one_line(f"{recorded}."))
            sys.exit(recorded.exit_code)
    code = next((each["exit"] for each in reversed(done) if each["exit"] != OK), OK)
    if as_json:
        print_json({"jobs": done, "exit": code} if all_jobs else done[0])
    sys.exit(code)


def _tell(project: Project, execution: JobExecution, resumptions: Resumptions, as_json: bool) -> dict[str, Any]:
    """Say how a job ended, unless that is to be said as JSON; give what JSON has to say."""
    ended = Ended.of(project, execution)
    resumed = resumptions.take(execution.job)
    if not as_json:
        for line in resumptions.lines(resumed):
            click.echo(one_line(line))
        ended.print()
    return {**ended.summary, "resumed": resumed}
