"""``query``: the rows of a SELECT, given as SQL text or as a SQLAlchemy selectable.

The query is read page by page in the order of its key, so each page runs it anew, restricted to the rows behind the last
key: the key must identify a row, which is checked while reading, and should be indexed. Prefer a numeric key on MySQL and
MariaDB: they sort all rows that are left for each page of a text key, since no index of theirs tells all texts apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contraflow.errors import ConfigError, Location, Problem
from contraflow.readers.parameters import BATCH_SIZE, MISSING, check_sentences, paging_parameters
from contraflow.readers.reading import count_selection, read_selection
from contraflow.source import Source
from contraflow.source.queries import query_selection, sql_parameters
from contraflow_hookspecs import Item, StepContext, hookimpl

_PARAMETERS: Mapping[str, str] = {
    "sql": "a SELECT; `:name` is the value of the parameter `name`",
    "selectable": "instead of `sql`, module:name of a SQLAlchemy Select or Table, or of a function of the parameters",
    "key": "the columns that identify a row: [id], or {id: integer}, with integer, text, uuid, date, datetime or decimal",
    "batch_size": BATCH_SIZE,
    "missing": MISSING,
}


def check(parameters: Mapping[str, Any], source: Source, location: Location) -> list[Problem]:
    """Everything that is wrong with the parameters; asks the database for the query's columns.

    Raises:
        SourceError: The database cannot be reached, or refuses the query.
    """
    problems: list[Problem] = []
    try:
        query_selection(parameters, source, location)
    except ConfigError as error:
        problems += error.problems
    try:
        paging_parameters(parameters, location)
    except ConfigError as error:
        problems += error.problems
    return problems


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """Those of the reader, and those of the query: the named ones of SQL text, any for a selectable."""
    if parameters.get("sql") is not None:
        own = sql_parameters(str(parameters["sql"]))
    else:
        own = tuple(parameters) if parameters.get("selectable") is not None else ()
    return {**dict.fromkeys(own, "a parameter of the query"), **_PARAMETERS}


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """What :func:`check` finds, as sentences."""
    return check_sentences(check, context)


@hookimpl
def count_items(context: StepContext) -> int:
    """The number of ids, or of rows."""
    return count_selection(query_selection(context.parameters, context.source), context)


@hookimpl
def read_items(context: StepContext) -> Iterable[Item]:
    """The rows of the query."""
    return read_selection(query_selection(context.parameters, context.source), context)
