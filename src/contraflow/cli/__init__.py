"""The command line. One module a command, imported when the command is used, so that the program starts quickly."""

from __future__ import annotations


def main() -> None:
    """Run the program."""
    from contraflow.cli.app import app

    app(prog_name="contraflow")
