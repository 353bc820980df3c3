"""The program ``contraflow``: its commands, and what it says when something goes wrong."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import attrs
import click

from contraflow import __version__
from contraflow.cli import exit_codes
from contraflow.errors import ConfigError, ContraflowError
from contraflow.redaction import RedactingFormatter, Redactor

COMMANDS = ("init", "check", "jobs", "plugins", "sync", "status", "dead-letters")


@attrs.define
class State:
    """What the program knows before it knows the project."""

    project: str = "."
    debug: bool = False
    json: bool = False
    redact: Redactor = attrs.field(factory=Redactor)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"contraflow.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run, and turn errors into one clear message and an exit code."""
        state = State()
        try:
            return super().main(args, *rest, **{**options, "obj": state})
        except ContraflowError as error:
            report(error, state)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(exit_codes.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - the last resort: still one message, no traceback unless asked for
            report(error, state)
            sys.exit(exit_codes.INTERNAL)


def report(error: Exception, state: State) -> None:
    """Say what went wrong: to people on standard error, with ``--json`` to programs on standard output."""
    expected = isinstance(error, ContraflowError)
    text = state.redact(str(error)) if expected else state.redact(f"{type(error).__name__}: {error}")
    if state.json:
        problems = error.problems if isinstance(error, ConfigError) else ()
        listed = [
            {
                "message": state.redact(problem.message),
                "file": problem.location.file,
                "line": problem.location.line,
                "path": problem.location.path or None,
                "found": problem.found and state.redact(problem.found),
                "expected": problem.expected,
                "hint": problem.hint and state.redact(problem.hint),
            }
            for problem in problems
        ]
        click.echo(json.dumps({"error": text, "problems": listed}, indent=2, ensure_ascii=False))
    elif expected:
        click.echo(f"Error: {text}", err=True)
    else:
        click.echo(f"Error inside contraflow: {text}\nPlease report it, with the output of --debug.", err=True)
    if state.debug:
        click.echo(state.redact("".join(traceback.format_exception(error))), err=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-C",
    "--project",
    default=".",
    show_default=True,
    metavar="PATH",
    help="The project file, or the directory of contraflow.yaml.",
)
@click.option("--debug", is_flag=True, help="Log everything, and show the traceback of an error.")
@click.version_option(__version__, message="contraflow %(version)s")
@click.pass_obj
def app(state: State, project: str, debug: bool) -> None:
    """Keep remote systems in step with your own database.

    contraflow reads the entities that changed, a connector plugin turns each into what the remote wants, and writes them in
    batches: only what differs, with the fate of every item in a ledger.

    Start with `contraflow init`, which makes a small project that runs. In a project, `contraflow check` says whether
    everything is in order, and `contraflow sync INTEGRATION` synchronises.

    Every command has --help, and --json for programs. Exit codes: 0 done; 1 the run failed; 2 usage or configuration;
    3 done, some items rejected; 4 done, some items in doubt; 6 ledger; 70 internal; 75 try again later; 130 interrupted.
    """
    state.project, state.debug = project, debug
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(state.redact))
    logger = logging.getLogger("contraflow")
    logger.handlers = [handler]
    logger.propagate = False
    level = os.environ.get("CONTRAFLOW_LOG", "DEBUG" if debug else "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise click.UsageError(f"CONTRAFLOW_LOG: found '{level}', expected DEBUG, INFO, WARNING or ERROR")
    logger.setLevel(level)
