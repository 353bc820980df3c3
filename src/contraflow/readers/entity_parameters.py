"""The parameters of the two entity readers, and the selection that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contraflow.errors import ConfigError, Location, Problem
from contraflow.readers.loading import loader_options
from contraflow.readers.parameters import BATCH_SIZE, MISSING, paging_parameters
from contraflow.source import Source
from contraflow.source.selection import Selection, entity_selection

PARAMETERS: Mapping[str, str] = {
    "entity": "the entity to read, one of the project's `entities:`",
    "load": "relations of a mapped class to read with it: [orders, orders.lines, joined:address]",
    "batch_size": BATCH_SIZE,
    "missing": MISSING,
}


def select_entity(parameters: Mapping[str, Any], source: Source, location: Location | None = None) -> Selection:
    """The selection of the entity that a step names.

    Raises:
        ConfigError: No entity is named, or entity, table, class or relation do not exist.
        SourceError: The database cannot be reached.
    """
    name = parameters.get("entity")
    if name is None:
        raise ConfigError(
            Problem(
                message="the step names no entity",
                location=location or Location(),
                expected=f"parameter `entity`, one of {', '.join(source.entity_names) or 'those of the project'}",
            )
        )
    entity = source.entity(str(name))
    return entity_selection(entity, loader_options(entity, parameters.get("load"), location))


def check_entity_parameters(parameters: Mapping[str, Any], source: Source, location: Location) -> list[Problem]:
    """Everything that is wrong with the parameters of an entity reader; needs the database for tables.

    Raises:
        SourceError: The database cannot be reached.
    """
    problems: list[Problem] = []
    try:
        select_entity(parameters, source, location)
    except ConfigError as error:
        problems += error.problems
    try:
        paging_parameters(parameters, location)
    except ConfigError as error:
        problems += error.problems
    return problems
