"""Reading in key order, page by page, each page starting behind the last key of the page before.

Unlike an OFFSET this neither loses nor repeats rows when others appear or vanish meanwhile, and a page costs the same
wherever it lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from contraflow.errors import SourceError
from contraflow.source.selection import Selection
from contraflow_hookspecs import Item, Key, SystemicError

if TYPE_CHECKING:
    from contraflow.source import Source

_ROW_VALUES = ("postgresql", "sqlite")
"""Where ``(a, b) > (x, y)`` finds its place in an index. MySQL does that for the expanded form only."""


class ExactText(sa.ColumnElement[Any]):
    """A text as its bytes, so that no two different texts are equal, whatever their collation."""

    inherit_cache = True
    _traverse_internals = [("text", sa.sql.visitors.InternalTraversal.dp_clauseelement)]  # noqa: RUF012
    type = sa.types.NULLTYPE

    def __init__(self, text: sa.ColumnElement[Any]) -> None:
        self.text = text


@compiles(ExactText)
def _as_it_is(element: ExactText, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.text, **options)


@compiles(ExactText, "sqlite")
def _binary_collation(element: ExactText, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.text, **options)} AS TEXT) COLLATE BINARY"


@compiles(ExactText, "postgresql")
def _c_collation(element: ExactText, compiler: SQLCompiler, **options: Any) -> str:
    return f'CAST({compiler.process(element.text, **options)} AS TEXT) COLLATE "C"'


@compiles(ExactText, "mysql", "mariadb")
def _bytes(element: ExactText, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(CONVERT({compiler.process(element.text, **options)} USING utf8mb4) AS BINARY)"


class KeysetOrder:
    """The order of a selection by its key, and the condition "behind this key".

    Where nothing but the query's author says that the key is unique, a collation may take ``a`` and ``A`` for equal, and
    ``> 'a'`` would pass over ``A``: such a text is followed by its bytes in the order.
    """

    def __init__(self, selection: Selection, dialect: str) -> None:
        self.columns: list[sa.ColumnElement[Any]] = []
        self._binds: list[sa.ColumnElement[Any]] = []
        self._names = [f"contraflow_key_{number}" for number in range(len(selection.key))]
        self._row_values = dialect in _ROW_VALUES
        for name, column, kind in zip(self._names, selection.key, selection.shape.types, strict=True):
            bind = sa.bindparam(name, type_=column.type)
            self.columns.append(column)
            self._binds.append(bind)
            if not selection.unique and (kind is None or issubclass(kind, str)):
                self.columns.append(ExactText(column))
                self._binds.append(ExactText(bind))

    def behind(self) -> sa.ColumnElement[bool]:
        """The condition; :meth:`parameters` gives the values that it compares with."""
        if len(self.columns) == 1:
            return self.columns[0] > self._binds[0]
        if self._row_values:
            return sa.tuple_(*self.columns) > sa.tuple_(*self._binds)
        pairs = list(zip(self.columns, self._binds, strict=True))
        return sa.or_(
            *(
                sa.and_(*(column == bind for column, bind in pairs[:depth]), pairs[depth][0] > pairs[depth][1])
                for depth in range(len(pairs))
            )
        )

    def parameters(self, key: Key | None) -> dict[str, Any]:
        """The values for :meth:`behind`; none for the beginning."""
        return {} if key is None else dict(zip(self._names, key, strict=True))


def read_in_key_order(source: Source, selection: Selection, after: Key | None, page_size: int) -> Iterator[Item]:
    """All items behind a key, in key order. Between two items nothing is open in the database.

    Raises:
        SystemicError: The database cannot be read, or the key does not identify a row: it holds NULL, or two rows have it.
    """
    order = KeysetOrder(selection, source.engine.dialect.name)
    # One row more than a page tells whether there is another, and whether a key runs over the edge.
    first = selection.statement.order_by(*order.columns).limit(page_size + 1)
    following = first.where(order.behind())
    if selection.nullable:
        refuse_null(source, selection)
    while True:
        rows = fetch(source, selection, first if after is None else following, order.parameters(after))
        keys = selection.keys_of(rows)
        if keys:
            check_page(selection, keys, after)
        for key, row in zip(keys[:page_size], rows, strict=False):
            yield Item(key=key, entity=row)
        if len(keys) <= page_size:
            return
        after = keys[page_size - 1]


def count(source: Source, selection: Selection, after: Key | None) -> int:
    """How many items :func:`read_in_key_order` would yield now."""
    order = KeysetOrder(selection, source.engine.dialect.name)
    wanted = selection.statement.with_only_columns(sa.func.count(), maintain_column_froms=True)
    if after is not None:
        wanted = wanted.where(order.behind())
    try:
        return int(source.rows(wanted, order.parameters(after))[0][0])
    except SourceError as error:
        raise SystemicError(str(error)) from error


def fetch(source: Source, selection: Selection, statement: sa.Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
    """The results of a statement, with the error that the contract asks of a reader."""
    try:
        return selection.fetch(source, statement, parameters)
    except SourceError as error:
        raise SystemicError(str(error)) from error


def not_unique(selection: Selection) -> SystemicError:
    """The error for a key that two rows have."""
    return SystemicError(
        f"the key ({', '.join(selection.shape.names)}) of {selection.label} is not unique: two rows have the same; "
        "give the columns that tell them apart as `key`"
    )


def refuse_null(source: Source, selection: Selection) -> None:
    """Look for a row whose key holds NULL.

    Raises:
        SystemicError: There is one, or the database cannot be read.
    """
    null = selection.statement.with_only_columns(*selection.key).where(sa.or_(*(c.is_(None) for c in selection.key)))
    try:
        rows = source.rows(null.limit(1))
    except SourceError as error:
        raise SystemicError(str(error)) from error
    if rows:
        raise _null(selection)


def _null(selection: Selection) -> SystemicError:
    return SystemicError(
        f"the key ({', '.join(selection.shape.names)}) of {selection.label} is NULL in some rows; "
        "a key has a value in each of its columns"
    )


def check_page(selection: Selection, keys: list[Key], after: Key | None) -> None:
    """Hold the keys of a page against what an order by them promises.

    Raises:
        SystemicError: A key holds NULL, or comes twice.
    """
    if None in keys[-1]:
        raise _null(selection)
    if keys[0] == after:
        raise SystemicError(
            f"{selection.label} cannot be read in the order of its key ({', '.join(selection.shape.names)}): the database "
            "gives the same row again; a stored value differs from what its column's type can hold"
        )
    if not selection.unique and len(set(keys)) < len(keys):
        raise not_unique(selection)
