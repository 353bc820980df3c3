"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def together(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Several options as one decorator; help shows them in this order."""

    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
approve_option: Callable[[Any], Any] = click.option(
    "--approve",
    "approvals",
    multiple=True,
    metavar="DIGEST",
    help="Do what a guard stopped, if it is still the same; the stopped run named the digest.",
)
list_options: Callable[[Any], Any] = together(
    click.option("--integration", metavar="NAME", help="Only of this integration."),
    click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many."),
    json_option,
)
