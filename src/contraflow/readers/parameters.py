"""The parameters that the built-in readers share."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow_hookspecs import StepContext

BATCH_SIZE = "how many rows are read at once; default 100"
MISSING = "an id that the database does not have: warn (default), fail, or delete or archive it at the remote"


class Missing(enum.Enum):
    """What an id means that the database does not have."""

    WARN = "warn"
    FAIL = "fail"
    DELETE = "delete"
    ARCHIVE = "archive"


@attrs.frozen(kw_only=True)
class PagingParameters:
    """How to read, whatever is read."""

    batch_size: int = 100
    missing: Missing = Missing.WARN


def paging_parameters(parameters: Mapping[str, Any], location: Location | None = None) -> PagingParameters:
    """``batch_size`` and ``missing`` of a step.

    Raises:
        ConfigError: One of them has a value that means nothing; names both if both have.
    """
    place = location or Location()
    problems: list[Problem] = []
    size = parameters.get("batch_size")
    if size is None:
        size = 100
    elif isinstance(size, str) and size.isascii() and size.isdigit():
        size = int(size)  # as the command line gives it
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        problems.append(
            Problem(message="`batch_size` is no size", location=place, found=repr(size), expected="integer from 1")
        )
    choices = [choice.value for choice in Missing]
    missing = parameters.get("missing") or Missing.WARN.value
    if missing not in choices:
        problems.append(
            Problem(
                message=f"`missing` cannot be '{missing}'",
                location=place,
                expected=", ".join(choices),
                hint=near_match(str(missing), choices),
            )
        )
    if problems:
        raise ConfigError(*problems)
    return PagingParameters(batch_size=size, missing=Missing(missing))


def check_sentences(
    check: Callable[[Mapping[str, Any], Any, Location], Sequence[Problem]], context: StepContext
) -> list[str]:
    """What a reader's check finds in a step, one sentence for each problem."""
    if context.source is None:
        return ["the reader needs a database, and the project file names no `source:`"]
    return [problem.sentence for problem in check(context.parameters, context.source, Location())]
