from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from contraflow.source import EntitySpec, Source
from contraflow_hookspecs import IdFilter, Item, StepContext

SERVERS = {
    "postgresql": ("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"),
    "mysql": ("CONTRAFLOW_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}


@attrs.define
class Database:
    """A database of one test: ``engine`` writes to it as the application would, the source reads it."""

    url: sa.URL
    engine: sa.Engine
    sources: list[Source] = attrs.field(factory=list)

    def create(self, table: sa.Table, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        table.metadata.create_all(self.engine)
        if rows:
            with self.engine.begin() as connection:
                connection.execute(table.insert(), rows)

    def insert(self, table: str, column: str, values: Sequence[Any]) -> None:
        statement = sa.insert(sa.table(table, sa.column(column)))
        with self.engine.begin() as connection:
            connection.execute(statement, [{column: value} for value in values])

    def execute(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(sql)

    def source(self, *specs: EntitySpec) -> Source:
        source = Source(self.url, {spec.name: spec for spec in specs})
        self.sources.append(source)
        return source

    def table_source(self, name: str, key: tuple[str, ...] | None = None) -> Source:
        return self.source(EntitySpec(name=name, table=name, key=key))


@contextmanager
def server(kind: str) -> Iterator[Database]:
    variable, standard = SERVERS[kind]
    url = sa.make_url(os.environ.get(variable, standard))
    name = f"contraflow_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        try:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE {'SCHEMA' if kind == 'postgresql' else 'DATABASE'} {name}")
        except sa.exc.OperationalError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no {kind} server ({variable}): {error.orig}")
        schema = {"options": f"-csearch_path={name}"}
        own = url.update_query_dict(schema) if kind == "postgresql" else url.set(database=name)
        engine = sa.create_engine(own)
        try:
            yield from closing(Database(own, engine))
        finally:
            with admin.connect() as connection:
                drop = f"DROP SCHEMA {name} CASCADE" if kind == "postgresql" else f"DROP DATABASE {name}"
                connection.exec_driver_sql(drop)
    finally:
        admin.dispose()


def closing(database: Database) -> Iterator[Database]:
    try:
        yield database
    finally:
        for source in database.sources:
            source.close()
        database.engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    url = sa.make_url(f"sqlite:///{tmp_path / 'shop.db'}")
    yield from closing(Database(url, sa.create_engine(url)))


@pytest.fixture
def postgresql() -> Iterator[Database]:
    with server("postgresql") as database:
        yield database


@pytest.fixture
def mysql() -> Iterator[Database]:
    with server("mysql") as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def shop() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        import reader_test_shop

        yield reader_test_shop


@pytest.fixture
def context() -> Callable[..., StepContext]:
    def build(source: Source, ids: Any = None, checkpoint: Any = None, **parameters: Any) -> StepContext:
        wanted = None if ids is None else tuple(key if isinstance(key, tuple) else (key,) for key in ids)
        return StepContext(
            integration="acme",
            job="export",
            step="rows",
            execution_id=1,
            parameters=parameters,
            filter=IdFilter(ids=wanted),
            checkpoint=checkpoint,
            source=source,
        )

    return build


@pytest.fixture
def keys() -> Callable[..., list[Any]]:
    """The keys of items, those of one column without their tuple."""

    def build(items: Sequence[Item]) -> list[Any]:
        return [item.key[0] if len(item.key) == 1 else item.key for item in items]

    return build


@pytest.fixture
def statements() -> Callable[[Source], Any]:
    """Collects the SELECTs that a source sends while a ``with`` lasts."""

    @contextmanager
    def collect(source: Source) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if statement.lstrip().upper().startswith("SELECT"):
                seen.append(statement)

        sa.event.listen(source.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(source.engine, "before_cursor_execute", note)

    return collect
