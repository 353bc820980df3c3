"""The remote ids of an item's parents as values of the target's columns, by the table's ``parents``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from contraflow_hookspecs import Item, ItemError
from contraflow_sql import remote_id
from contraflow_sql.settings import TableSettings
from contraflow_sql.target import Target
from contraflow_sql.values import UnfitError


def parent_columns(item: Item, target: Target, backend: str) -> dict[str, Any]:
    """Target column -> the parent's remote id, or ``None`` where the item has no parent, or none that is there yet.

    Left out instead, the column would keep in the row the id of a parent that the item no longer has.

    Raises:
        ItemError: The remote id does not fit the column (code ``data``).
    """
    return {column: _value(item.parents.get(name), column, target, backend) for column, name in target.parents.items()}


def _value(text: str | None, column: str, target: Target, backend: str) -> Any:
    if text is None:
        return None
    try:
        (value,) = remote_id.decode(text, [target.table.columns[column]], backend)
    except UnfitError as error:
        raise ItemError(f"{column}: the remote id of the parent: {error}", code="data") from None
    return value


def unknown_references(name: str, table: TableSettings, parameters: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each reference that the table's ``parents`` name and the step does not have.

    Args:
        name: The table's under ``tables:``.
        table: Where the step writes to.
        parameters: The step's.
    """
    references = [str(each) for each in parameters.get("references") or ()]
    expected = f"one of {', '.join(references)}" if references else "one of the step's 'references', and it has none"
    for column, wanted in table.parents.items():
        if wanted not in references:
            yield f"tables.{name}.parents.{column}: no reference '{wanted}'; expected {expected}{_hint(wanted, references)}"


def _hint(wanted: str, references: list[str]) -> str:
    close = difflib.get_close_matches(wanted, references, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
