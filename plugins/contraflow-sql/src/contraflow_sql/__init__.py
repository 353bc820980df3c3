"""A connector that writes entities into the tables of another SQL database: SQLite, PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from contraflow_hookspecs import (
    Capabilities,
    Change,
    ExportJob,
    Gone,
    Idempotency,
    Item,
    RemoteItem,
    Skip,
    StepContext,
    SystemicError,
    WriteResult,
    hookimpl,
)
from contraflow_sql.confirm import confirm_chunk
from contraflow_sql.connection import connect, driver_errors, label
from contraflow_sql.faults import raise_fault
from contraflow_sql.parents import unknown_references
from contraflow_sql.payload import build_payload
from contraflow_sql.putting_away import archive_chunk, forget_chunk
from contraflow_sql.reading import fetch_rows, find_rows, list_rows
from contraflow_sql.settings import Mode, SqlSettings, TableSettings
from contraflow_sql.target import Database, Target, open_database, target_name
from contraflow_sql.writer import write_chunk

__all__ = ["Database", "Mode", "SqlSettings", "TableSettings", "Target", "capabilities", "open_database"]

# Bounds the parameters of the one query for a chunk's keys; SQLite takes 32,766.
_LARGEST_CHUNK = 1000

_FOREIGN = "step '{}': the sql connector serves integrations whose own connector is sql; '{}' has another"

_VERSION_QUERIES = {
    "sqlite": "SELECT 'SQLite ' || sqlite_version()",
    "postgresql": "SELECT 'PostgreSQL ' || current_setting('server_version')",
    "mysql": "SELECT version()",
    "mariadb": "SELECT version()",
}


def capabilities(settings: SqlSettings) -> Capabilities:
    """What the target can do.

    A second sending ends in the same state where all tables are upserted or updated. A table in mode ``create`` refuses
    it ("exists"), so it does no harm either, but the refusal would count a written item as rejected: there the engine
    should ask (``confirm_items``) instead of sending again.
    """
    modes = {table.mode for table in settings.tables.values()}
    return Capabilities(
        upsert=modes == {Mode.UPSERT},
        delete=True,
        idempotency=Idempotency.NONE if Mode.CREATE in modes else Idempotency.UPSERT,
        confirm=True,
        per_item_results=True,
        max_batch=_LARGEST_CHUNK,
    )


@hookimpl
def provide_export_job() -> ExportJob:
    """The job ``sql``; its steps are the project's to define."""
    return ExportJob(
        name="sql",
        label="Rows of another SQL database",
        settings=SqlSettings,
        capabilities=capabilities,
        open_resources=open_database,
    )


@hookimpl
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """The one parameter of a step."""
    return {
        "target": "which of the integration's tables: is written; the default is the one named as the step's entity, "
        "else as the step, else the only one"
    }


@hookimpl
def check_step(context: StepContext) -> Sequence[str]:
    """Whether the step names one of the tables, that says how to do what the step's parameters ask for, and names only
    references that the step has; the tables themselves are checked when the database is opened."""
    if not isinstance(context.settings, SqlSettings):
        return [_FOREIGN.format(context.step, context.integration)]
    try:
        chosen = target_name(context.settings.tables, context)
    except SystemicError as error:
        return [str(error)]
    table = context.settings.tables[chosen]
    given = context.parameters
    lacking = list(unknown_references(chosen, table, given))
    if table.find is None and str(given.get("adopt")).lower() in ("true", "1"):
        lacking.append("'adopt' needs to look for rows, and the table's settings have no 'find'")
    if table.find is None and given.get("relink"):
        lacking.append(
            "'relink' needs rows that keep keys of their own; each is found by the key that comes from us, since "
            "the table's settings have no 'find'"
        )
    if table.archive is None:
        lacking += [
            f"'{name}' needs to put rows away, and the table's settings have no 'archive'"
            for name in ("deletions", "filtered", "missing")
            if given.get(name) == "archive"
        ]
    return lacking


@hookimpl
def check_connection(context: StepContext) -> str:
    """Server version, database and tables in one line."""
    database = _database(context)
    engine = database.engine
    with connect(engine, read_only=True) as connection:
        try:
            version = connection.execute(sa.text(_VERSION_QUERIES[engine.dialect.name])).scalar_one()
        except driver_errors(engine) as error:
            raise_fault(error, engine.url, f"cannot talk to {label(engine.url)}")
    tables = ", ".join(f"{target.table.fullname} ({target.mode.value})" for target in database.targets.values())
    return f"{version} at {label(engine.url)}: {tables}"


@hookimpl
def process_item(item: Item, context: StepContext) -> Mapping[str, Any] | Skip:
    """Target column -> value."""
    database = _database(context)
    return build_payload(item, database.target(context), database.engine.dialect.name)


@hookimpl
def write_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """The chunk in one transaction."""
    database = _database(context)
    return write_chunk(items, database, database.target(context))


@hookimpl
def confirm_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Read the rows back by key and compare."""
    database = _database(context)
    return confirm_chunk(items, database, database.target(context))


@hookimpl
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:
    """The rows as they are now."""
    database = _database(context)
    return fetch_rows(items, database, database.target(context))


@hookimpl
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:
    """Rows that are there already, by the table's ``find``."""
    database = _database(context)
    return find_rows(items, database, database.target(context))


@hookimpl
def archive_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Set the columns of the table's ``archive``."""
    database = _database(context)
    return archive_chunk(items, database, database.target(context))


@hookimpl
def forget_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:
    """Set the columns of the table's ``forget``; without one, delete the rows."""
    database = _database(context)
    return forget_chunk(items, database, database.target(context))


@hookimpl
def list_items(context: StepContext) -> Iterable[RemoteItem]:
    """Every row of the table."""
    database = _database(context)
    return list_rows(database, database.target(context))


def _database(context: StepContext) -> Database:
    if not isinstance(context.resource, Database):
        raise SystemicError(_FOREIGN.format(context.step, context.integration))
    return context.resource
