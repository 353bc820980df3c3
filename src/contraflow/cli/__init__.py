"""The command line. One module a command, imported when the command is used, so that the program starts quickly."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the program."""
    from contraflow.cli.app import app

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal cannot show must not end the program

    app(prog_name="contraflow")
