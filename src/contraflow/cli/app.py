"""The program ``contraflow``: its commands, and what it says when something goes wrong."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from contraflow import __version__
from contraflow.cli import exit_codes
from contraflow.cli.state import State
from contraflow.errors import ConfigError, ContraflowError, Problem, near_match
from contraflow.redaction import RedactingFormatter, Redactor

COMMANDS = (
    "init",
    "new-connector",
    "check",
    "jobs",
    "plugins",
    "schema",
    "plan",
    "apply",
    "sync",
    "stop",
    "status",
    "dead-letters",
    "held",
    "conflicts",
    "accept-ledger",
    "drift",
    "conformance",
    "explain",
    "relink",
    "forget",
)

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = near_match(args[0], COMMANDS)
            if hint is None:
                raise
            raise click.UsageError(f"{error.message} D{hint.removeprefix('d')}", ctx) from None

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run, and turn errors into one clear message and an exit code."""
        # Known before the arguments are parsed, since also the answer to wrong ones must be JSON.
        state = State(json="--json" in (sys.argv[1:] if args is None else args))
        try:
            code = super().main(args, *rest, **{**options, "obj": state, "standalone_mode": False})
        except click.Abort:  # what click makes of Ctrl-C
            code = exit_codes.INTERRUPTED
            report("Interrupted.", code, state)
        except click.ClickException as error:
            code = error.exit_code
            if state.json:
                report(error.format_message(), code, state)
            else:
                error.show()
        except ContraflowError as error:
            code = error.exit_code
            report(str(error), code, state, error)
        except Exception as error:  # noqa: BLE001 - the last resort: still one message, no traceback unless asked for
            code = exit_codes.INTERNAL
            report(f"Inside contraflow: {type(error).__name__}: {error}", code, state, error)
            if not state.json:
                click.echo(
                    "This is an error in contraflow itself. Please report it, with the output of --debug.", err=True
                )
        sys.exit(code or exit_codes.OK)


def report(text: str, code: int, state: State, error: Exception | None = None) -> None:
    """Say what went wrong: to people on standard error, with ``--json`` to programs on standard output.

    Args:
        text: What went wrong.
        code: The exit code.
        state: Knows the secrets, and whether JSON is wanted.
        error: What was raised, for its problems, and for ``--debug`` its traceback.
    """
    from contraflow.cli.output import print_json
    from contraflow.escaping import printable

    if state.json:
        problems = [_plain(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
        print_json(state.redact.value({"error": text, "problems": problems, "exit": code}))
    else:
        click.echo(printable(state.redact(f"Error: {text}" if error is not None else text)), err=True)
    if state.debug and error is not None:
        click.echo(printable(state.redact.traceback(error)), err=True)


def _plain(problem: Problem) -> dict[str, Any]:
    location = problem.location
    return {
        "message": problem.message,
        "file": location.file,
        "line": location.line,
        "path": location.path or None,
        "found": problem.found,
        "expected": problem.expected,
        "hint": problem.hint,
    }


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

    contraflow reads your entities, a connector plugin turns each into what the remote wants, and writes in batches what the
    remote does not have yet or has differently, with the fate of every item in a ledger.

    Start with `contraflow init`, which makes a small project that runs. In a project, `contraflow check` says whether
    everything is in order, and `contraflow sync INTEGRATION` synchronises.

    Every command has --help, and --json for programs. Exit codes: 0 done; 1 failed; 2 usage or configuration, nothing was
    started; 3 done, but some items were rejected; 4 some items are in doubt; 5 the job runs elsewhere; 6 ledger;
    7 stopped by a guard; 8 done, but some items wait for a decision; 9 the remote has drifted; 10 something
    to do (plan --exit-code); 11 done, but what had changed since was left out (apply); 70 internal; 75 try again
    later; 130 interrupted; 143 stopped.
    """
    state.project, state.debug = project, debug
    level = os.environ.get("CONTRAFLOW_LOG", "DEBUG" if debug else "WARNING").upper()
    if level not in _LEVELS:
        raise click.UsageError(f"CONTRAFLOW_LOG: found '{level}', expected one of {', '.join(_LEVELS)}")
    log_to_stderr(level, state.redact)


def log_to_stderr(level: str, redact: Redactor) -> None:
    """Send the log to standard error, without secrets.

    Everybody's: what a connector or one of its libraries logs under a name of its own may hold a secret just as well. The
    level is contraflow's, and that of ``context.logger``; of strangers, warnings are shown.
    """
    root = logging.getLogger()
    for former in [each for each in root.handlers if isinstance(each.formatter, RedactingFormatter)]:
        root.removeHandler(former)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(redact))
    root.addHandler(handler)
    logging.getLogger("contraflow").setLevel(level)
