"""Queries as a source of items: SQL text or a SQLAlchemy selectable, with its parameters and its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.source.entities import import_attribute
from contraflow.source.keys import KeyShape, python_type
from contraflow.source.selection import Selection, row_selection

if TYPE_CHECKING:
    from contraflow.source.database import Source

_LABEL = "the query"
_TYPES: Mapping[str, tuple[type[Any], Callable[[], sa.types.TypeEngine[Any]]]] = {
    "integer": (int, sa.BigInteger),
    "text": (str, sa.String),
    "uuid": (UUID, sa.Uuid),
    "date": (date, sa.Date),
    "datetime": (datetime, sa.DateTime),
    "decimal": (Decimal, sa.Numeric),
}


def sql_parameters(sql: str) -> tuple[str, ...]:
    """The names of the ``:named`` parameters of an SQL text."""
    return tuple(_required(sa.text(sql)))


def query_selection(parameters: Mapping[str, Any], source: Source, location: Location | None = None) -> Selection:
    """The rows of the query that a step's parameters describe.

    Args:
        parameters: ``sql`` or ``selectable``, ``key``, and the query's own parameters.
        source: The database: asked for the columns of SQL text, and for the first row if ``key`` gives no types.
        location: Where the step is written, for messages.

    Raises:
        ConfigError: A parameter is missing, the selectable is none, or a key column is not among the columns.
        SourceError: The database cannot be reached, or refuses the query.
    """
    place = location or Location()
    names = _key_names(parameters.get("key"), place)
    sql, reference = parameters.get("sql"), parameters.get("selectable")
    if (sql is None) == (reference is None):
        found = "neither" if sql is None else "both"
        raise ConfigError(
            Problem(
                message="a query is given in one of two ways",
                location=place,
                found=found,
                expected="`sql` or `selectable`",
            )
        )
    if sql is not None:
        return _of_text(str(sql), names, parameters, source, place)
    return _of_selectable(str(reference), names, parameters, place)


def _key_names(key: Any, location: Location) -> Mapping[str, str | None]:
    """The key columns, each with the name of its type if one is given."""
    if isinstance(key, str):
        key = [key]
    names: dict[str, str | None]
    if isinstance(key, Mapping):
        names = {str(name): None if kind is None else str(kind) for name, kind in key.items()}
    elif isinstance(key, (list, tuple)) and all(isinstance(name, str) for name in key) and len(set(key)) == len(key):
        names = dict.fromkeys(key)
    else:
        names = {}
    if not names:
        expected = "the columns that identify a row: `key: [column]` or `key: {column: integer}`"
        raise ConfigError(Problem(message="a query needs a `key`", location=location, expected=expected))
    problems = [
        Problem(
            message=f"unknown type '{kind}' of key column '{name}'",
            location=location,
            expected=", ".join(_TYPES),
            hint=near_match(kind, _TYPES),
        )
        for name, kind in names.items()
        if kind is not None and kind not in _TYPES
    ]
    if problems:
        raise ConfigError(*problems)
    return names


def _of_text(
    sql: str, names: Mapping[str, str | None], parameters: Mapping[str, Any], source: Source, location: Location
) -> Selection:
    # The line end keeps a comment at the end of the text from reaching over the closing parenthesis.
    clause = sa.text(sql.strip().rstrip(";") + "\n")
    values = _values(_required(clause), parameters, location)
    clause = clause.bindparams(
        *(sa.bindparam(name, value, expanding=isinstance(value, (list, tuple))) for name, value in values.items())
    )
    everything: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(
        clause.columns().subquery("contraflow_query")
    )
    found = list(source.run(lambda c: c.execute(everything.where(sa.false())).keys()))
    _check_columns(names, found, location)
    types = _column_types(names, source.engine.dialect, location)
    query = clause.columns(*(sa.column(name, types.get(name)) for name in found)).subquery("contraflow_query")
    key = tuple(query.c[name] for name in names)
    shape = KeyShape(
        of=_LABEL,
        names=tuple(names),
        types=tuple(None if kind is None else _TYPES[kind][0] for kind in names.values()),
    )
    if None in shape.types:
        shape = _probed(shape, key, source)
    return row_selection(query, label=_LABEL, key=key, shape=shape, unique=False, nullable=True)


def _column_types(
    names: Mapping[str, str | None], dialect: sa.Dialect, location: Location
) -> Mapping[str, sa.types.TypeEngine[Any]]:
    """The column types that a key needs.

    Drivers of database servers know Python's values, and comparing with the server's own type beats any guess here;
    SQLite knows numbers, text and bytes.
    """
    if "uuid" in names.values() and dialect.name in ("sqlite", "mysql"):
        raise ConfigError(
            Problem(
                message=f"the source database ({dialect.name}) has no UUID type for the key of a query",
                location=location,
                hint="say `text`, and give ids as they are stored",
            )
        )
    if dialect.name != "sqlite":
        return {}
    return {name: _TYPES[kind][1]() for name, kind in names.items() if kind is not None}


def _probed(shape: KeyShape, key: tuple[sa.ColumnElement[Any], ...], source: Source) -> KeyShape:
    """The shape with the types of the first row's values in the place of unknown ones."""
    rows = source.rows(sa.select(*key).limit(1))
    if not rows:
        return shape
    seen = [None if value is None else type(value) for value in rows[0]]
    types = tuple(known or found for known, found in zip(shape.types, seen, strict=True))
    return attrs.evolve(shape, types=types)


def _of_selectable(
    reference: str, names: Mapping[str, str | None], parameters: Mapping[str, Any], location: Location
) -> Selection:
    found = import_attribute(reference, location)
    if callable(found) and not isinstance(found, (type, sa.sql.ClauseElement)):
        found = found(parameters)
    if not isinstance(found, (sa.SelectBase, sa.FromClause)):
        raise ConfigError(
            Problem(
                message=f"'{reference}' is nothing to select from",
                location=location,
                found=type(found).__name__,
                expected="a SQLAlchemy Select or Table, or a function of the parameters that returns one",
            )
        )
    values = _values(_required(found), parameters, location)
    if values:  # before any column is taken from it: this makes a copy
        found = found.params(values)
    selectable = found.subquery("contraflow_query") if isinstance(found, sa.SelectBase) else found
    columns = {column.name: column for column in selectable.columns}
    _check_columns(names, list(columns), location)
    key = tuple(columns[name] for name in names)
    shape = KeyShape(of=_LABEL, names=tuple(names), types=tuple(python_type(column.type) for column in key))
    primary = {column.name for column in selectable.primary_key} if isinstance(selectable, sa.Table) else set()
    return row_selection(
        selectable, label=_LABEL, key=key, shape=shape, unique=bool(primary) and primary <= set(names), nullable=True
    )


def _required(clause: Any) -> list[str]:
    """The named parameters of a clause that have no value yet."""
    binds = (each for each in visitors.iterate(clause) if isinstance(each, sa.BindParameter))
    return list(dict.fromkeys(bind.key for bind in binds if bind.required))


def _values(names: list[str], parameters: Mapping[str, Any], location: Location) -> dict[str, Any]:
    problems = [
        Problem(
            message=f"the query's parameter ':{name}' has no value",
            location=location,
            expected=f"`{name}` among the step's parameters, or given to the run",
            hint=near_match(name, parameters),
        )
        for name in names
        if name not in parameters
    ]
    if problems:
        raise ConfigError(*problems)
    return {name: parameters[name] for name in names}


def _check_columns(names: Mapping[str, Any], found: list[str], location: Location) -> None:
    problems = [
        Problem(
            message=f"key column '{name}' is not in the query's result",
            location=location,
            found=", ".join(found),
            hint=near_match(name, found),
        )
        for name in names
        if name not in found
    ]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        problems.append(
            Problem(
                message=f"the query has two columns named {', '.join(twice)}",
                location=location,
                hint="give each column a name of its own: `AS …`",
            )
        )
    if problems:
        raise ConfigError(*problems)
