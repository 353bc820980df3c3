"""``contraflow plugins``: what is installed, what it implements, and what is broken."""

from __future__ import annotations

import sys

import attrs
import click

from contraflow.cli.exit_codes import CONFIGURATION
from contraflow.cli.options import json_option
from contraflow.cli.output import print_json, print_table
from contraflow.cli.state import State, load_project
from contraflow.escaping import printable


@click.command("plugins", short_help="List what is installed, and what is broken.")
@json_option
@click.pass_obj
def command(state: State, as_json: bool) -> None:
    """List the plugins that are installed, broken ones included.

    A plugin is found by an entry point in the group `contraflow` of an installed package. Within a project, its own plugins
    are listed too. The names are what job files use under `services:`, and projects under `connector:`.

    The exit code is 2 if a plugin is broken.
    """
    from contraflow.errors import ConfigError
    from contraflow.plugins import Plugins

    try:
        with load_project(state) as project:
            records = project.plugins.records
    except ConfigError as error:  # outside of a project, or in a broken one: what is installed is still of interest
        click.echo(f"Only what is installed, since the project cannot be read: {printable(str(error))}", err=True)
        records = Plugins().records
    records = tuple(attrs.evolve(each, error=each.error and state.redact(each.error)) for each in records)
    if as_json:
        print_json({"plugins": records})
    else:
        rows = [
            [
                ", ".join((each.name, *each.aliases)),
                each.distribution,
                ", ".join(each.hooks) if not each.error else "BROKEN",
            ]
            for each in records
        ]
        print_table(["plugin", "from", "implements"], rows)
        for each in records:
            if each.error:
                click.echo(f"\n{each.name}: {printable(each.error)}")
    sys.exit(CONFIGURATION if any(each.error for each in records) else 0)
