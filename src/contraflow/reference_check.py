"""What is wrong with a step's references that only the database knows: columns that are not there, keys that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from contraflow.assembly import RunnableStep
from contraflow.errors import ConfigError, Problem, near_match
from contraflow.references import Reference

if TYPE_CHECKING:
    from contraflow.source import Entity, Source


def reference_problems(step: RunnableStep, source: Source | None, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Hold a step's references against the source database.

    Raises:
        SourceError: The source database cannot be reached.
    """
    if source is None:
        return
    entity = entity_of(parameters, source)
    for reference in step.references:
        where = f"step '{step.key}': reference '{reference.name}'"
        if entity is not None:
            yield from _unknown_columns(reference, entity, where)
        try:
            shape = source.key_shape(reference.parameters)
        except ConfigError:  # told as the parent's own trouble
            continue
        if shape is not None and len(shape.names) != len(reference.key):
            yield Problem(
                message=f"{where} does not make the key of its parent, {shape.of}",
                location=reference.location,
                found=f"key: [{', '.join(reference.key)}]",
                expected=f"a column for each of {', '.join(shape.names)}",
            )


def entity_of(parameters: Mapping[str, Any], source: Source) -> Entity | None:
    """The entity that a step reads; ``None`` if it reads a query, or nothing that the source knows."""
    name = parameters.get("entity")
    is_query = parameters.get("sql") is not None or parameters.get("selectable") is not None
    if is_query or not isinstance(name, str) or name not in source.entity_names:
        return None
    return source.entity(name)


def _unknown_columns(reference: Reference, entity: Entity, where: str) -> Iterator[Problem]:
    for name in reference.key:
        if entity.column(name) is None:
            hint = near_match(name, entity.columns)
            yield Problem(
                message=f"{where}: entity '{entity.name}' has no column '{name}'",
                location=reference.location,
                expected=None if hint else ", ".join(entity.columns),
                hint=hint,
            )
