"""The target tables as they really are: reflected, and checked against the settings before anything is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Inspector

from contraflow_hookspecs import StepContext, SystemicError
from contraflow_sql.connection import connect, driver_errors, label, open_engine
from contraflow_sql.faults import raise_fault
from contraflow_sql.settings import Mode, SqlSettings, TableSettings
from contraflow_sql.values import ExactNumeric, UnfitError, fit

# Their rollback does nothing, so a refused chunk would stay half written.
_WITHOUT_TRANSACTIONS = frozenset({"MYISAM", "ARIA", "MEMORY", "CSV", "ARCHIVE", "MRG_MYISAM", "BLACKHOLE"})

_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class Target:
    """One checked target table."""

    name: str
    """The name under ``tables:``."""
    table: sa.Table
    key: Mapping[str, str | int]
    """Target key column -> attribute or position; never empty, covered by a primary key or unique constraint."""
    columns: Mapping[str, str] | None
    """Target column -> attribute, or ``None`` for all that both have."""
    mode: Mode
    parents: Mapping[str, str] = attrs.field(factory=dict)
    """Target column -> reference of the step."""
    only_changed: bool = False
    """Whether an update sets only the columns that differ."""
    find: tuple[str, ...] | None = None
    """Columns by which rows are looked for that are there already."""
    archive: Mapping[str, Any] | None = None
    """Column -> value of a row that is put away."""
    forget: Mapping[str, Any] | None = None
    """Column -> value of a row that is made anonymous; ``None`` if it is to be deleted."""

    @property
    def key_columns(self) -> list[sa.Column[Any]]:
        """The key columns, in the order of ``key``."""
        return [self.table.columns[name] for name in self.key]


@attrs.frozen(kw_only=True)
class Database:
    """The resource of a run: the engine, and the tables that were checked."""

    engine: Engine
    targets: Mapping[str, Target]

    def target(self, context: StepContext) -> Target:
        """The table of the context's step.

        Raises:
            SystemicError: The step names none.
        """
        return choose_target(self.targets, context)


def choose_target(targets: Mapping[str, _T], context: StepContext) -> _T:
    """The table that :func:`target_name` names.

    Raises:
        SystemicError: There is none.
    """
    return targets[target_name(targets, context)]


def target_name(targets: Mapping[str, Any], context: StepContext) -> str:
    """Choose by the parameter ``target``, else the step's entity, else the step's name, else take the only one.

    Raises:
        SystemicError: None of these names a table.
    """
    asked = context.parameters.get("target")
    if asked is not None:
        if asked in targets:
            return str(asked)
        raise SystemicError(f"parameter target: no '{asked}' under tables:{near(str(asked), targets)}")
    for name in (str(context.parameters.get("entity", "")), context.step):
        if name in targets:
            return name
    if len(targets) == 1:
        return next(iter(targets))
    raise SystemicError(
        f"step '{context.step}': which table? Neither its entity nor its name is under tables:; "
        f"give the parameter target, one of {', '.join(sorted(targets))}"
    )


@contextmanager
def open_database(settings: SqlSettings) -> Iterator[Database]:
    """Connect, reflect and check the target tables; yield the resource of the run; disconnect.

    Raises:
        TransientError: The database cannot be reached now.
        SystemicError: It refuses us, or a table or column of the settings is not there or cannot be written.
    """
    with open_engine(settings) as engine:
        with connect(engine, read_only=True) as connection:
            try:
                targets = _targets(connection, settings)
            except driver_errors(engine) as error:
                raise_fault(error, engine.url, f"cannot read the schema of {label(engine.url)}")
        yield Database(engine=engine, targets=targets)


def near(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, else all of them if they are few."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are {', '.join(names)}" if 0 < len(names) <= 20 else ""


def _targets(connection: Connection, settings: SqlSettings) -> dict[str, Target]:
    inspector = sa.inspect(connection)
    if settings.schema is not None:
        schemas = inspector.get_schema_names()
        if settings.schema not in schemas:
            raise SystemicError(f"schema: no schema '{settings.schema}'{near(settings.schema, schemas)}")
    present = inspector.get_table_names(schema=settings.schema)
    targets = {}
    for name, wanted in settings.tables.items():
        if wanted.table not in present:
            raise SystemicError(f"tables.{name}.table: no table '{wanted.table}'{near(wanted.table, present)}")
        targets[name] = _target(name, wanted, settings.schema, connection, inspector)
    return targets


def _target(
    name: str, wanted: TableSettings, schema: str | None, connection: Connection, inspector: Inspector
) -> Target:
    metadata = sa.MetaData()
    sa.event.listen(metadata, "column_reflect", _adjust_type)
    table = sa.Table(wanted.table, metadata, schema=schema, autoload_with=connection, resolve_fks=False)
    storage = str(table.kwargs.get(f"{connection.dialect.name}_engine", ""))
    if storage.upper() in _WITHOUT_TRANSACTIONS:
        raise SystemicError(f"tables.{name}: table '{table.name}' is kept by {storage}, which has no transactions")
    key = wanted.key if wanted.key is not None else {column.name: column.name for column in table.primary_key}
    if not key:
        raise SystemicError(
            f"tables.{name}: table '{table.name}' has no primary key; say under key: what tells its rows"
        )
    for part, names in (("key", key), ("columns", wanted.columns or {}), ("parents", wanted.parents)):
        _check_columns(f"tables.{name}.{part}", names, table, writable=wanted.mode is not Mode.UPDATE or part != "key")
    _check_not_key(f"tables.{name}.parents", wanted.parents, key, table)
    _check_unique(f"tables.{name}.key", set(key), table, inspector)
    if wanted.columns is not None and wanted.mode is not Mode.UPDATE:
        _check_required(f"tables.{name}.columns", {*key, *wanted.columns, *wanted.parents}, table)
    _check_columns(f"tables.{name}.find", wanted.find or (), table, writable=False)
    filled = None if wanted.columns is None else {*key, *wanted.columns, *wanted.parents}
    unmapped = [] if filled is None else [each for each in wanted.find or () if each not in filled]
    if unmapped:
        raise SystemicError(
            f"tables.{name}.find: column '{unmapped[0]}' is neither in key: nor in columns: nor in parents:"
        )
    for part in ("archive", "forget"):
        _check_constants(f"tables.{name}.{part}", getattr(wanted, part) or {}, key, table, connection.dialect.name)
    return Target(
        name=name,
        table=table,
        key=key,
        columns=wanted.columns,
        parents=wanted.parents,
        mode=wanted.mode,
        only_changed=wanted.only_changed,
        find=wanted.find,
        archive=wanted.archive,
        forget=wanted.forget,
    )


def _adjust_type(inspector: Inspector, _table: sa.Table, column: Any) -> None:
    """Two habits of SQLAlchemy's types that would change a value: decimals as floats on SQLite, and NULL as JSON null."""
    kind = column["type"]
    if isinstance(kind, sa.JSON):
        kind.none_as_null = True
    elif isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and inspector.dialect.name == "sqlite":
        column["type"] = ExactNumeric(kind.precision, kind.scale)


def is_generated(column: sa.Column[Any]) -> bool:
    """Whether the database alone fills the column."""
    return column.computed is not None or (column.identity is not None and bool(column.identity.always))


def _check_columns(path: str, names: Iterable[str], table: sa.Table, *, writable: bool) -> None:
    for name in names:
        if name not in table.columns:
            raise SystemicError(f"{path}: no column '{name}' in table '{table.name}'{near(name, table.columns.keys())}")
        if writable and is_generated(table.columns[name]):
            raise SystemicError(f"{path}: column '{name}' of table '{table.name}' is generated and cannot be written")


def _check_not_key(path: str, names: Iterable[str], key: Iterable[str], table: sa.Table) -> None:
    """What may change cannot tell a row: the old row would stay."""
    for name in names:
        if name in key:
            raise SystemicError(f"{path}: column '{name}' of table '{table.name}' is in the key, which tells the row")


def _check_constants(path: str, values: Mapping[str, Any], key: Iterable[str], table: sa.Table, backend: str) -> None:
    _check_columns(path, values, table, writable=True)
    _check_not_key(path, values, key, table)
    for name, value in values.items():
        column = table.columns[name]
        if value is None and not column.nullable:
            raise SystemicError(f"{path}: column '{name}' of table '{table.name}' must not be null; give it a value")
        try:
            fit(value, column, backend)
        except UnfitError as error:
            raise SystemicError(f"{path}.{name}: {error}") from None


def _check_unique(path: str, key: set[str], table: sa.Table, inspector: Inspector) -> None:
    unique = list(dict.fromkeys(_unique_column_sets(table, inspector)))
    if key not in unique:
        candidates = " or ".join(f"({', '.join(sorted(names))})" for names in unique) or "none"
        raise SystemicError(
            f"{path}: ({', '.join(sorted(key))}) is neither the primary key nor a unique constraint or index of table "
            f"'{table.name}', so it does not tell one row from another; unique there: {candidates}"
        )


def _unique_column_sets(table: sa.Table, inspector: Inspector) -> Iterator[frozenset[str]]:
    """The sets of columns whose values no two rows share; not partial, prefix or expression indexes."""
    if table.primary_key.columns:
        yield frozenset(column.name for column in table.primary_key)
    if inspector.dialect.name == "sqlite":  # elsewhere each constraint is among the indexes, with its particulars
        for constraint in inspector.get_unique_constraints(table.name, schema=table.schema):
            yield frozenset(constraint["column_names"])
    for index in inspector.get_indexes(table.name, schema=table.schema):
        names = index["column_names"]
        if index["unique"] and None not in names and not _is_partial(index.get("dialect_options", {})):
            yield frozenset(name for name in names if name is not None)


def _is_partial(options: Mapping[str, Any]) -> bool:
    """Whether an index leaves out rows (``WHERE``) or the ends of values (a prefix length)."""
    return any(
        value not in ({}, None) if name.endswith("_length") else value is not None
        for name, value in options.items()
        if name.endswith(("_where", "_length"))
    )


def _check_required(path: str, filled: set[str], table: sa.Table) -> None:
    for column in table.columns:
        given = column.nullable or column.server_default is not None or column.identity is not None
        if given or column.name in filled or is_generated(column) or column is table.autoincrement_column:
            continue
        raise SystemicError(
            f"{path}: column '{column.name}' of table '{table.name}' must not be null and has no default; "
            "fill it from an attribute"
        )
