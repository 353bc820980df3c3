"""Rows are put away, or made anonymous, by setting columns to the values that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from contraflow_hookspecs import Action, Change, Gone, Operation, PermanentError, WriteResult, Written
from contraflow_sql.settings import Mode
from contraflow_sql.target import Database, Target
from contraflow_sql.writer import write_chunk


def archive_chunk(changes: Sequence[Change], database: Database, target: Target) -> list[WriteResult]:
    """Put the rows away; one that is not there is ``Gone``.

    Raises:
        ConnectorError: As for :func:`~contraflow_sql.writer.write_chunk`; ``PermanentError`` if the settings do not say how.
    """
    if target.archive is None:
        raise PermanentError(f"tables.{target.name} has no 'archive' to put rows away by", code="not_supported")
    return _set(changes, target.archive, database, target)


def forget_chunk(changes: Sequence[Change], database: Database, target: Target) -> list[WriteResult]:
    """Make the rows anonymous, or delete them; one that is not there is as good as forgotten.

    Raises:
        ConnectorError: As for :func:`~contraflow_sql.writer.write_chunk`.
    """
    if target.forget is None:
        return write_chunk([attrs.evolve(change, operation=Operation.DELETE) for change in changes], database, target)
    results = _set(changes, target.forget, database, target)
    return [Written(key=each.key, action=Action.UNCHANGED) if isinstance(each, Gone) else each for each in results]


def _set(changes: Sequence[Change], values: Mapping[str, Any], database: Database, target: Target) -> list[WriteResult]:
    settings = [attrs.evolve(change, operation=Operation.UPSERT, payload=values) for change in changes]
    return write_chunk(settings, database, attrs.evolve(target, mode=Mode.UPDATE))
