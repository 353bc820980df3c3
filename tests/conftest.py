"""A small shop: a real source database, a real ledger, and a remote that remembers what it was sent."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from contraflow.plugins import Plugins
from contraflow.project import Project
from contraflow_hookspecs import (
    Capabilities,
    Change,
    Conflict,
    ExportJob,
    Gone,
    Idempotency,
    Item,
    JobExecution,
    Operation,
    RemoteItem,
    StepContext,
    WriteResult,
    Written,
    hookimpl,
)

_POSTGRESQL = os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


class Remote:
    """A connector whose remote is a dictionary. Its behaviour is changed by replacing ``process`` and ``answer``."""

    def __init__(self, **capabilities: Any) -> None:
        self.capabilities = Capabilities(
            **{"idempotency": Idempotency.UPSERT, "delete": True, "request_lifetime": 0.0, **capabilities}
        )
        self.records: dict[tuple[Any, ...], Any] = {}
        self.calls: list[Sequence[Change]] = []
        self.process: Callable[[Item, StepContext], Any] = lambda item, context: dict(item.data)
        self.answer: Callable[[Sequence[Change], StepContext], Any] = lambda changes, context: self.store(changes)

    def store(self, changes: Sequence[Change]) -> list[WriteResult]:
        for change in changes:
            if change.operation is Operation.DELETE:
                self.records.pop(change.key, None)
            else:
                self.records[change.key] = dict(change.payload)
        return [Written(key=change.key, remote_id=f"r{'-'.join(map(str, change.key))}") for change in changes]

    @property
    def sent(self) -> list[Change]:
        return [change for call in self.calls for change in call]

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        return ExportJob(name="shop_export", entity="customer", capabilities=self.capabilities)

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        return self.process(item, context)

    @hookimpl
    def write_items(self, items: Sequence[Change], context: StepContext) -> Any:
        self.calls.append(list(items))
        return self.answer(items, context)


class Editable(Remote):
    """A remote whose records people edit, and that can be asked what it holds. It keeps versions."""

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(**capabilities)
        self.asked: list[tuple[Any, ...]] = []
        self.modified: dict[tuple[Any, ...], datetime] = {}
        self.hidden: set[str] = set()
        self.fetch: Callable[[Sequence[Change]], Any] = self.found

    @hookimpl
    def fetch_items(self, items: Sequence[Change], context: StepContext) -> Any:
        self.asked += [change.key for change in items]
        return self.fetch(items)

    def found(self, items: Sequence[Change]) -> list[RemoteItem | Gone]:
        return [
            RemoteItem(
                key=change.key,
                remote_id=change.remote_id,
                remote_version=str(hash(str(self.records[change.key]))),
                payload={name: each for name, each in self.records[change.key].items() if name not in self.hidden},
                modified=self.modified.get(change.key),
            )
            if change.key in self.records
            else Gone(key=change.key)
            for change in items
        ]

    def guarded(self, changes: Sequence[Change], _: object) -> list[Any]:
        """Refuses what was made on top of another version, as with If-Match."""
        results: list[Any] = []
        for change in changes:
            if change.key in self.records and change.remote_version != str(hash(str(self.records[change.key]))):
                results.append(Conflict(key=change.key))
            else:
                self.store([change])
                version = str(hash(str(self.records.get(change.key))))
                results.append(Written(key=change.key, remote_id="r1", remote_version=version))
        return results


@attrs.define
class Shop:
    """A project in a directory of its own. ``sync`` runs it anew each time, as a new process would."""

    directory: Path
    remote: Remote = attrs.field(factory=Remote)
    plugins: dict[str, object] = attrs.field(factory=dict)
    reader: str = "entity.all"
    parameters: dict[str, Any] = attrs.field(factory=dict)
    steps: dict[str, Any] | None = None
    jobs: dict[str, Any] | None = None
    config: dict[str, Any] = attrs.field(factory=dict)
    opened: list[Project] = attrs.field(factory=list)

    def sql(self, statement: str, *rows: Sequence[Any]) -> None:
        with closing(sqlite3.connect(self.directory / "shop.db")) as database, database:
            if rows:
                database.executemany(statement, rows)
            else:
                database.executescript(statement)

    def write(self) -> None:
        step = {
            "services": {"reader": self.reader, "processor": "remote", "writer": "remote"},
            "parameters": {"retry_wait": 0.001, **self.parameters},
        }
        steps = self.steps if self.steps is not None else {"customers": step}
        jobs = self.jobs or {"shop_export": {"title": "Shop", "type": "export", "steps": steps}}
        config: Mapping[str, Any] = {
            "source": "sqlite:///shop.db",
            "ledger": "sqlite:///ledger.db",
            "entities": {"customer": {"table": "customer"}, "line": {"table": "line"}},
            "integrations": {"acme": {"connector": "remote"}},
            "jobs": ["jobs.yml"],
            **self.config,
        }
        (self.directory / "contraflow.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
        (self.directory / "jobs.yml").write_text(yaml.safe_dump(jobs, sort_keys=False))

    def project(self) -> Project:
        self.write()
        plugins = Plugins(only={"contraflow"})
        for name, plugin in {"remote": self.remote, **self.plugins}.items():
            plugins.register(plugin, name, distribution="tests")
        project = Project.load(self.directory, plugins=plugins)
        self.opened.append(project)
        return project

    def sync(self, integration: str = "acme", **request: Any) -> JobExecution:
        project = self.project()
        with project:
            return project.sync(integration, **request)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Three customers; order lines with a composite key."""
    shop = Shop(tmp_path)
    shop.sql(
        """
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
        INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org'), (2, 'Bo', NULL), (3, 'Cy', 'cy@example.org');
        CREATE TABLE line (order_no TEXT, line INTEGER, amount NUMERIC, PRIMARY KEY (order_no, line));
        INSERT INTO line VALUES ('A,1', 1, 10), ('A,1', 2, 20), ('B', 1, 30);
        """
    )
    yield shop
    for project in shop.opened:
        project.close()


@pytest.fixture
def editable_shop(shop: Shop) -> Shop:
    """The same with a remote whose records people edit."""
    shop.remote = Editable()
    return shop


@pytest.fixture(scope="session")
def shop_kind() -> type[Shop]:
    """For tests that make more than one."""
    return Shop


@pytest.fixture(scope="session")
def postgresql_engine() -> Iterator[Engine]:
    engine = create_engine(_POSTGRESQL, poolclass=NullPool, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except OperationalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {error.orig}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql_engine: Engine) -> Iterator[str]:
    schema = f"contraflow_{secrets.token_hex(6)}"
    with postgresql_engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    url = postgresql_engine.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with postgresql_engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
