"""What the commands that list something have in common: how they come to do so, and how they show what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import click

from contraflow.cli.output import print_json, print_table

_T = TypeVar("_T")


def list_by_default(context: click.Context) -> None:
    """Do what the group's command ``list`` does, unless another one was called."""
    if context.invoked_subcommand is None:
        context.invoke(cast(click.Group, context.command).commands["list"], **context.params)
    else:
        _refuse_misplaced_options(context)


def print_list(
    name: str,
    found: Sequence[_T],
    row: Callable[[_T], Sequence[str]],
    *,
    headings: Sequence[str],
    right: frozenset[int],
    nothing: str,
    as_json: bool,
) -> None:
    """Print what was found.

    Args:
        name: Its name in JSON.
        found: It.
        row: Makes a row of the table of each.
        headings: Of the table's columns.
        right: Numbers of the columns that are right-aligned.
        nothing: What to say where nothing was found.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json({name: found})
    elif found:
        print_table(headings, map(row, found), right=right)
    else:
        click.echo(nothing)


def _refuse_misplaced_options(context: click.Context) -> None:
    """Refuse options before a command of a group: they would be the group's own, and change nothing."""
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name and context.get_parameter_source(option.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        name = f"{context.info_name} {context.invoked_subcommand}"
        raise click.UsageError(f"{', '.join(given)}: options go behind the command: contraflow {name} …", context)
