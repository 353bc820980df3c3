"""Entities: the mapped classes and tables that a project exports, resolved against code and database."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy import exc, orm

from contraflow.errors import ConfigError, Location, Problem, near_match

Connect = Callable[[], AbstractContextManager[sa.Connection]]


@attrs.frozen(kw_only=True)
class EntitySpec:
    """An entity as the project file names it: a mapped class or a table, one of the two."""

    name: str
    mapped: str | None = None
    """``module:Class``."""
    table: str | None = None
    schema: str | None = None
    key: tuple[str, ...] | None = None
    """The key columns in their order; by default the primary key."""
    location: Location = attrs.field(factory=Location)


@attrs.frozen(kw_only=True, eq=False)
class Entity:
    """An entity that exists: its table, its key, and its mapper if it is a mapped class."""

    name: str
    table: sa.FromClause
    key: tuple[sa.ColumnElement[Any], ...]
    """The key columns in their order; of a mapped class, its attributes."""
    unique: bool
    """The database itself keeps two rows from having one key: it is the primary key, or a unique index says so."""
    mapper: orm.Mapper[Any] | None = None
    location: Location = attrs.field(factory=Location)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns in their order."""
        return tuple(str(column.name) for column in self.key)

    @property
    def columns(self) -> Mapping[str, sa.ColumnElement[Any]]:
        """All columns by name."""
        return {column.name: column for column in self.table.columns}

    def column(self, name: str) -> sa.ColumnElement[Any] | None:
        """The column of that name; of a mapped class its attribute, by the attribute's name or the column's."""
        if self.mapper is None:
            return self.columns.get(name)
        for prop in self.mapper.column_attrs:
            if name in (prop.key, getattr(prop.columns[0], "name", None)):
                return getattr(self.mapper.class_, prop.key)  # type: ignore[no-any-return]
        return None

    @staticmethod
    def is_nullable(column: sa.ColumnElement[Any]) -> bool:
        """Whether a column may hold NULL, as far as can be known."""
        prop = getattr(column, "property", None)
        columns = (column,) if prop is None else prop.columns
        return any(getattr(each, "nullable", True) for each in columns)


def resolve_entity(spec: EntitySpec, connect: Connect) -> Entity:
    """Import the class, or look the table up in the database.

    Raises:
        ConfigError: What the specification names does not exist, or has no key.
        SourceError: The database cannot be reached.
    """
    if spec.mapped is not None:
        return _mapped_entity(spec, spec.mapped)
    return _table_entity(spec, connect)


def import_attribute(reference: str, location: Location) -> Any:
    """What ``module:attribute`` names.

    Raises:
        ConfigError: It has another form, the module cannot be imported, or has no such attribute.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise ConfigError(
            Problem(
                message=f"'{reference}' names nothing that can be imported",
                location=location,
                expected="module:Name, such as shop.models:Customer",
            )
        )
    try:
        module = import_module(module_name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            Problem(message=f"module '{module_name}' cannot be imported", location=location, found=reason)
        ) from error
    if not hasattr(module, name):
        hint = near_match(name, (known for known in vars(module) if not known.startswith("_")))
        raise ConfigError(Problem(message=f"module '{module_name}' has no '{name}'", location=location, hint=hint))
    return getattr(module, name)


def _mapped_entity(spec: EntitySpec, reference: str) -> Entity:
    mapped = import_attribute(reference, spec.location)
    mapper: Any = sa.inspect(mapped, raiseerr=False) if isinstance(mapped, type) else None
    if not isinstance(mapper, orm.Mapper):
        raise ConfigError(
            Problem(
                message=f"'{reference}' is not a mapped class",
                location=spec.location,
                found=type(mapped).__name__ if not isinstance(mapped, type) else f"class {mapped.__name__}",
                expected="a class mapped with SQLAlchemy's ORM",
            )
        )
    try:
        orm.configure_mappers()
    except exc.SQLAlchemyError as error:
        raise ConfigError(
            Problem(message=f"the mapping of '{reference}' is not sound", location=spec.location, found=str(error))
        ) from error
    columns = {prop.columns[0].name: getattr(mapped, prop.key) for prop in mapper.column_attrs if _is_column(prop)}
    identity = tuple(getattr(mapped, mapper.get_property_by_column(c).key) for c in mapper.primary_key)
    key = identity if spec.key is None else _key_columns(spec, spec.key, columns)
    unique = {c.name for c in mapper.primary_key} <= {c.name for c in key}
    return Entity(
        name=spec.name, table=mapper.selectable, key=key, unique=unique, mapper=mapper, location=spec.location
    )


def _is_column(prop: orm.ColumnProperty[Any]) -> bool:
    return isinstance(prop.columns[0], sa.Column)


def _table_entity(spec: EntitySpec, connect: Connect) -> Entity:
    if spec.table is None:
        raise ConfigError(
            Problem(
                message=f"entity '{spec.name}' names neither a mapped class nor a table",
                location=spec.location,
                expected="module:Class, or `table:`",
            )
        )
    with connect() as connection, warnings.catch_warnings():
        # A column of a type that SQLAlchemy does not know is read as the driver gives it.
        warnings.simplefilter("ignore", exc.SAWarning)
        inspector = sa.inspect(connection)
        table = _reflect(spec, spec.table, inspector)
        primary = tuple(table.primary_key.columns)
        if spec.key is None and not primary:
            raise ConfigError(
                Problem(
                    message=f"table '{spec.table}' has no primary key",
                    location=spec.location,
                    hint="give the columns that identify a row: `key: [column, ...]`",
                )
            )
        key = primary if spec.key is None else _key_columns(spec, spec.key, {c.name: c for c in table.columns})
        unique = _is_unique(table, {c.name for c in key}, inspector)
    return Entity(name=spec.name, table=table, key=key, unique=unique, location=spec.location)


def _reflect(spec: EntitySpec, name: str, inspector: sa.Inspector) -> sa.Table:
    if spec.schema is not None and spec.schema not in (schemas := inspector.get_schema_names()):
        raise ConfigError(
            Problem(
                message=f"the source database has no schema '{spec.schema}'",
                location=spec.location,
                hint=near_match(spec.schema, schemas),
            )
        )
    table = sa.Table(name, sa.MetaData(), schema=spec.schema)
    try:
        inspector.reflect_table(table, None, resolve_fks=False)
    except exc.NoSuchTableError:
        raise ConfigError(_missing_table(spec.location, name, spec.schema, inspector)) from None
    return table


def _missing_table(location: Location, name: str, schema: str | None, inspector: sa.Inspector) -> Problem:
    names = _table_names(inspector, schema)
    place = f" in schema '{schema}'" if schema else ""
    hint = near_match(name, names)
    return Problem(
        message=f"the source database has no table '{name}'{place}",
        location=location,
        expected=None if hint else (_some(names) or "a table; the database has none"),
        hint=hint,
    )


def _table_names(inspector: sa.Inspector, schema: str | None) -> list[str]:
    return sorted({*inspector.get_table_names(schema), *inspector.get_view_names(schema)})


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _key_columns(
    spec: EntitySpec, names: tuple[str, ...], columns: Mapping[str, sa.ColumnElement[Any]]
) -> tuple[sa.ColumnElement[Any], ...]:
    problems = [
        Problem(
            message=f"entity '{spec.name}' has no column '{name}' for its key",
            location=spec.location,
            expected=None if near_match(name, columns) else _some(columns),
            hint=near_match(name, columns),
        )
        for name in names
        if name not in columns
    ]
    if not names or len(set(names)) != len(names):
        problems.append(
            Problem(
                message=f"the key of entity '{spec.name}' is empty or names a column twice",
                location=spec.location,
                expected="the columns that identify a row, each once",
            )
        )
    if problems:
        raise ConfigError(*problems)
    return tuple(columns[name] for name in names)


def _is_unique(table: sa.Table, key: set[str], inspector: sa.Inspector) -> bool:
    """Whether the primary key, a unique constraint or a unique index over all rows lies within the key.

    Whether a key column holds NULL is another question, which the readers ask when they begin.
    """
    candidates = [{c.name for c in table.primary_key.columns}]
    candidates += [set(each["column_names"]) for each in inspector.get_unique_constraints(table.name, table.schema)]
    for index in table.indexes:
        partial = any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())
        if index.unique and not partial:
            candidates.append({str(getattr(part, "name", "")) for part in index.expressions})
    return any(names and names <= key for names in candidates)


def compare_with_database(entity: Entity, spec: EntitySpec, connection: sa.Connection) -> list[Problem]:
    """What a mapped class expects of the database and does not find: tables, columns."""
    assert entity.mapper is not None  # noqa: S101 (the caller asks for mapped classes only)
    inspector = sa.inspect(connection)
    problems: list[Problem] = []
    for table in entity.mapper.tables:
        if not isinstance(table, sa.Table):
            continue
        if not inspector.has_table(table.name, table.schema):
            problems.append(_missing_table(spec.location, table.name, table.schema, inspector))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exc.SAWarning)
            real = [column["name"] for column in inspector.get_columns(table.name, table.schema)]
        folded = {name.lower() for name in real}
        problems += [
            Problem(
                message=f"table '{table.name}' has no column '{column.name}', which {spec.mapped} maps",
                location=spec.location,
                hint=near_match(column.name, real),
            )
            for column in table.columns
            if column.name.lower() not in folded
        ]
    return problems
