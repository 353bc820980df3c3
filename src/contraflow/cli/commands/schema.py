"""``contraflow schema``: JSON Schemas for editors."""

from __future__ import annotations

import json

import click

from contraflow.cli.options import json_option
from contraflow.cli.state import State, load_project

_FILES = ("project", "jobs")


@click.command("schema", short_help="Print a JSON Schema of contraflow.yaml or of job files, for editors.")
@click.argument("file", type=click.Choice(_FILES), default="project")
@json_option
@click.pass_obj
def command(state: State, file: str, as_json: bool) -> None:
    """Print the JSON Schema of contraflow.yaml, or with `jobs` that of job files.

    It knows the settings of the connectors that are installed, and within a project those of its own. An editor with the
    YAML language server uses it after a first line `# yaml-language-server: $schema=contraflow.schema.json`.
    """
    from contraflow.errors import ConfigError
    from contraflow.json_schema import job_schema, project_schema
    from contraflow.plugins import Plugins

    try:
        with load_project(state) as project:
            plugins = project.plugins
    except ConfigError:  # outside of a project, or in one that is just being written
        plugins = Plugins()
    schema = project_schema(plugins) if file == "project" else job_schema(plugins)
    click.echo(json.dumps(schema, indent=2, ensure_ascii=False, default=str))
