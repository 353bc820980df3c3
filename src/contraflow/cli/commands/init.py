"""``contraflow init``: a small project that runs."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import click

from contraflow.cli.options import json_option
from contraflow.cli.output import print_json, shown_path

_FILES = ("contraflow.yaml", "jobs.yml", "address_book.py")
_DATABASE = "shop.db"


@click.command("init", short_help="Make a small project that runs.")
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
@json_option
def command(directory: Path, as_json: bool) -> None:
    """Make a small project in DIRECTORY that runs as it is: a database with three customers, a connector of thirty lines,
    and a job that brings the one to the other.

    Nothing that is already there is overwritten.
    """
    from contraflow.errors import ConfigError, Location, Problem

    targets = [directory / name for name in (*_FILES, _DATABASE)]
    there = [target for target in targets if target.exists()]
    if there:
        raise ConfigError(
            *(
                Problem(
                    message="this file is already there",
                    location=Location(file=shown_path(target)),
                    hint="choose another directory",
                )
                for target in there
            )
        )
    starter = resources.files("contraflow.cli.starter")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (directory / name).write_bytes((starter / name).read_bytes())
        with closing(sqlite3.connect(directory / _DATABASE)) as database:
            database.executescript((starter / "shop.sql").read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            Problem(message=f"cannot write here: {error.strerror}", location=Location(file=str(directory)))
        ) from None
    if as_json:
        print_json({"files": [str(target) for target in targets]})
        return
    click.echo(f"Made {', '.join(shown_path(target) for target in targets)}.\n")
    click.echo("Next:")
    if directory != Path():
        click.echo(f"    cd {shlex.quote(str(directory))}")
    click.echo("    contraflow check")
    click.echo("    contraflow sync address-book")
