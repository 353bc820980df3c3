"""Real databases for the tests: each test has an empty one of its own on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import Change, Operation, StepContext, WriteResult
from contraflow_sql import SqlSettings

_SERVERS = {
    "postgresql": ("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"),
    "mysql": ("CONTRAFLOW_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/"),
}


def structure(settings: Mapping[str, Any]) -> SqlSettings:
    """The mapping as the engine would hand it over."""
    return cattrs.Converter(forbid_extra_keys=True).structure(settings, SqlSettings)


@attrs.frozen(kw_only=True)
class Warehouse:
    """An empty target database."""

    backend: str
    url: str
    engine: sa.Engine

    def create(self, name: str, *columns: Any) -> sa.Table:
        """Create a table."""
        table = sa.Table(name, sa.MetaData(), *columns)
        table.create(self.engine)
        return table

    def execute(self, *statements: str) -> None:
        """Run statements in a transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def insert(self, table: sa.Table, *rows: Mapping[str, Any]) -> None:
        """Insert rows beside the connector."""
        with self.engine.begin() as connection:
            for row in rows:
                connection.execute(sa.insert(table), row)

    def rows(self, table: sa.Table, *columns: str) -> list[tuple[Any, ...]]:
        """The table's rows in key order."""
        chosen = [table.columns[name] for name in columns] or list(table.columns)
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.select(*chosen).order_by(*table.primary_key))]

    @contextmanager
    def step(
        self, tables: Mapping[str, Any], *, parameters: Mapping[str, Any] | None = None, **settings: Any
    ) -> Iterator[StepContext]:
        """The context of a step named ``load`` with the connector's resource open."""
        structured = structure({"url": self.url, "tables": tables, "lock_timeout": 1, **settings})
        with contraflow_sql.open_database(structured) as database:
            yield StepContext(
                integration="warehouse",
                job="sql",
                step="load",
                execution_id=1,
                parameters=parameters or {},
                settings=structured,
                resource=database,
            )

    def write(
        self, tables: Mapping[str, Any], changes: Sequence[Change], **settings: Any
    ) -> dict[tuple[Any, ...], WriteResult]:
        """Write one chunk; the results by key."""
        with self.step(tables, **settings) as context:
            results = contraflow_sql.write_items(items=changes, context=context)
        by_key = {result.key: result for result in results}
        assert len(by_key) == len(results) == len(changes)
        return by_key


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    with _opened(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Warehouse]:
    with _opened("postgresql", tmp_path) as opened:
        yield opened


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Warehouse]:
    with _opened("mysql", tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Warehouse]:
    with _opened("sqlite", tmp_path) as opened:
        yield opened


def _opened(backend: str, folder: Path) -> AbstractContextManager[Warehouse]:
    return _sqlite(folder) if backend == "sqlite" else _server(backend)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Warehouse]:
    file = folder / "ware house.db"
    file.touch()
    url = f"sqlite:///{file}"
    engine = sa.create_engine(url)
    yield Warehouse(backend="sqlite", url=url, engine=engine)
    engine.dispose()


@contextmanager
def _server(backend: str) -> Iterator[Warehouse]:
    """A schema (PostgreSQL) or database (MariaDB) with a random name, dropped at the end."""
    variable, standard = _SERVERS[backend]
    base = sa.make_url(os.environ.get(variable, standard))
    name = f"contraflow_sql_{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(base, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE {'SCHEMA' if backend == 'postgresql' else 'DATABASE'} {name}")
    except sa.exc.OperationalError as error:
        server.dispose()
        message = f"no {backend} server ({variable}): {str(error.orig).splitlines()[0]}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    url = (
        base.update_query_dict({"options": f"-csearch_path={name}"})
        if backend == "postgresql"
        else base.set(database=name)
    )
    engine = sa.create_engine(url)
    try:
        yield Warehouse(backend=backend, url=url.render_as_string(hide_password=False), engine=engine)
    finally:
        engine.dispose()
        with server.connect() as connection:
            drop = f"DROP SCHEMA {name} CASCADE" if backend == "postgresql" else f"DROP DATABASE {name}"
            connection.exec_driver_sql(drop)
        server.dispose()


@pytest.fixture
def contacts(warehouse: Warehouse) -> sa.Table:
    """A table with a column of every usual kind."""
    return create_contacts(warehouse)


def create_contacts(warehouse: Warehouse) -> sa.Table:
    return warehouse.create(
        "contacts",
        sa.Column("contact_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("email", sa.String(100), unique=True),
        sa.Column("name", sa.String(40)),
        sa.Column("notes", sa.Text),
        sa.Column("balance", sa.Numeric(10, 2)),
        sa.Column("born", sa.Date),
        sa.Column("seen", sa.DateTime(timezone=True)),
        sa.Column("active", sa.Boolean),
    )


@pytest.fixture
def upsert() -> Any:
    """Make an upsert: ``upsert(7, name="Ana")`` for the contact 7, or with a key of several columns."""

    def make(key: Any, **payload: Any) -> Change:
        if not isinstance(key, tuple):
            return Change(key=(key,), payload={"contact_no": key, **payload})
        return Change(key=key, payload=payload)

    return make


@pytest.fixture
def delete() -> Any:
    """Make a delete."""

    def make(*key: Any, **fields: Any) -> Change:
        return Change(key=key, operation=Operation.DELETE, **fields)

    return make


@pytest.fixture
def postgresql_contacts(postgresql: Warehouse) -> sa.Table:
    return create_contacts(postgresql)
