"""Reading by id, page by page, in the order in which the ids are asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa

from contraflow.readers.keyset import fetch, not_unique
from contraflow.readers.parameters import Missing
from contraflow.source.selection import Selection
from contraflow_hookspecs import Item, Key, Operation, SystemicError

if TYPE_CHECKING:
    from contraflow.source import Source

_MOST_VALUES = 10_000
"""Of one statement; SQLite and PostgreSQL allow about 32 thousand."""
_SHOWN = 5


def remaining(ids: tuple[Key, ...], checkpoint: Key | None) -> list[Key]:
    """The ids that are still to be read, each once: those behind the checkpoint, or all if it is not among them."""
    wanted = list(dict.fromkeys(ids))
    if checkpoint is None or checkpoint not in wanted:
        return wanted
    return wanted[wanted.index(checkpoint) + 1 :]


def read_by_ids(
    source: Source,
    selection: Selection,
    ids: list[Key],
    *,
    page_size: int,
    missing: Missing | None,
    logger: logging.Logger,
) -> Iterator[Item]:
    """The items with these ids, in this order, each once. Between two items nothing is open in the database.

    Args:
        source: The database.
        selection: What is read.
        ids: Whose.
        page_size: Ids looked up at once.
        missing: What an id means that is not there; ``None``: nothing.
        logger: Told of missing ids where that is a warning.

    Raises:
        SystemicError: The database cannot be read; two rows have one key; or an id is missing and that is a failure.
    """
    lookup = _Lookup(source=source, selection=selection, asked=frozenset(ids))
    size = max(1, min(page_size, _MOST_VALUES // len(selection.key)))
    absent: list[Key] = []
    number = 0
    for start in range(0, len(ids), size):
        page = ids[start : start + size]
        found = lookup.page(page)
        gone = [key for key in page if key not in found]
        if gone and missing is Missing.FAIL:
            raise SystemicError(_sentence(selection, gone, len(gone), len(page)))
        number += len(gone)
        absent += gone[: _SHOWN - len(absent)]
        for key in page:
            if key not in found:
                if missing in (Missing.DELETE, Missing.ARCHIVE):  # the engine knows which of them is meant
                    yield Item(key=key, operation=Operation.DELETE)
            elif (entity := found[key]) is not _ELSEWHERE:
                yield Item(key=selection.key_of(entity), entity=entity)
    if number and missing is Missing.WARN:
        logger.warning("%s", _sentence(selection, absent, number, len(ids)))


def _sentence(selection: Selection, keys: list[Key], number: int, requested: int) -> str:
    shown = ", ".join(str(key[0] if len(key) == 1 else key) for key in keys[:_SHOWN])
    more = ", …" if number > _SHOWN else ""
    return f"{number} of {requested} ids are not in {selection.label}: {shown}{more}"


_ELSEWHERE: Any = object()
"""Stands for a row that is read under another of the ids."""


@attrs.define(kw_only=True, eq=False)
class _Lookup:
    """Finds the rows of ids.

    The database may hold an id for equal to a key that looks otherwise (``ana`` and ``Ana`` under most collations of
    MySQL, ``5`` and ``5   `` in a CHAR column). Such a row is what was asked for, and it goes by its own key.
    """

    source: Source
    selection: Selection
    asked: frozenset[Key]
    _statement: sa.Select[Any] = attrs.field(init=False)
    _read_otherwise: set[Key] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        key = self.selection.key
        column = key[0] if len(key) == 1 else sa.tuple_(*key)
        self._statement = self.selection.statement.where(column.in_(sa.bindparam("contraflow_ids", expanding=True)))

    def page(self, ids: list[Key]) -> dict[Key, Any]:
        """The row of each id that has one."""
        rows = self._rows(ids)
        found: dict[Key, Any] = {}
        for row in rows:
            key = self.selection.key_of(row)
            if key in found:
                raise not_unique(self.selection)
            found[key] = row
        if not found.keys() <= set(ids):
            for key in ids:
                if key not in found:
                    found |= self._otherwise(key)
        return found

    def _otherwise(self, wanted: Key) -> dict[Key, Any]:
        rows = self._rows([wanted])
        if len(rows) != 1:
            return {}
        key = self.selection.key_of(rows[0])
        if key in self.asked or key in self._read_otherwise:
            return {wanted: _ELSEWHERE}
        self._read_otherwise.add(key)
        return {wanted: rows[0]}

    def _rows(self, ids: list[Key]) -> Any:
        # A key that is not unique must not fill the memory.
        most = 2 * len(ids) + 10
        values = [key[0] for key in ids] if len(self.selection.key) == 1 else ids
        rows = fetch(self.source, self.selection, self._statement.limit(most), {"contraflow_ids": values})
        if len(rows) == most:
            raise not_unique(self.selection)
        return rows
