"""The source: one database that is read, page by page, and never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc, orm
from sqlalchemy.engine import URL, Engine, make_url

from contraflow.errors import ConfigError, ContraflowError, Problem, SourceError, near_match
from contraflow.source.connection import create_source_engine, printable
from contraflow.source.entities import Entity, EntitySpec, compare_with_database, resolve_entity
from contraflow.source.keys import KeyShape

_Result = TypeVar("_Result")


class Source:
    """The database that is exported. Nothing is connected before it is needed; close it, or use it in a ``with``.

    Args:
        url: A SQLAlchemy URL.
        entities: The project's entities by name.
        directory: The folder from which the path of a SQLite file is relative; the working directory by default.
    """

    def __init__(self, url: str | URL, entities: Mapping[str, EntitySpec], *, directory: Path | None = None) -> None:
        self._url = url
        self._directory = directory
        self._specs = dict(entities)
        self._entities: dict[str, Entity] = {}
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. The source may be used again and then connects anew."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> Engine:
        """The engine, created at the first use.

        Raises:
            ConfigError: The URL is no database URL, or its driver is not installed.
            SourceError: The SQLite file does not exist.
        """
        if self._engine is None:
            self._engine = create_source_engine(self._url, self._directory)
        return self._engine

    @property
    def entity_names(self) -> tuple[str, ...]:
        """The names that :meth:`entity` knows."""
        return tuple(self._specs)

    def entity(self, name: str) -> Entity:
        """The entity of that name: its class imported or its table looked up, once.

        Raises:
            ConfigError: No such entity, class, table or key column.
            SourceError: The database cannot be reached.
        """
        if name not in self._entities:
            spec = self._specs.get(name)
            if spec is None:
                raise ConfigError(
                    Problem(
                        message=f"unknown entity '{name}'",
                        expected=", ".join(self._specs) or "an entity under `entities:`; there is none",
                        hint=near_match(name, self._specs),
                    )
                )
            self._entities[name] = resolve_entity(spec, self.connect)
        return self._entities[name]

    def key_shape(self, parameters: Mapping[str, Any]) -> KeyShape | None:
        """How the ids look in a step with these parameters: a query's by its ``key``, otherwise an entity's.

        For a query whose ``key`` gives no types, the query's first row is read to find them. ``None`` if the parameters
        describe no query and name no entity of this source: the ids are then the reader's own affair.

        Raises:
            ConfigError: The entity, or the query and its key, are not sound.
            SourceError: The database cannot be reached.
        """
        # A step with a query also has an entity: the one under which the ledger knows its rows.
        is_query = parameters.get("sql") is not None or parameters.get("selectable") is not None
        if is_query and parameters.get("key") is not None:
            from contraflow.source.queries import query_selection  # only steps with a query need it

            return query_selection(parameters, self).shape
        name = parameters.get("entity")
        if isinstance(name, str) and name in self._specs:
            entity = self.entity(name)
            return KeyShape.of_columns(f"entity '{entity.name}'", entity.key)
        return None

    def check(self) -> list[Problem]:
        """Connect, resolve every entity, and compare mapped classes with the real tables.

        Returns:
            Everything that is wrong; empty if nothing is.
        """
        try:
            with self.connect():
                pass
        except ConfigError as error:
            return list(error.problems)
        except ContraflowError as error:
            return [Problem(message=str(error))]
        problems: list[Problem] = []
        for name, spec in self._specs.items():
            try:
                entity = self.entity(name)
                if entity.mapper is not None:
                    problems += self.run(partial(compare_with_database, entity, spec))
            except ConfigError as error:
                problems += error.problems
            except SourceError as error:
                problems.append(Problem(message=str(error), location=spec.location))
        return problems

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection, returned to the pool at the end of the ``with``; what was begun is rolled back.

        Raises:
            SourceError: The database cannot be reached, or refuses to be read; without password and without values.
        """
        engine = self.engine
        try:
            connection = engine.connect()
        except exc.SQLAlchemyError as error:
            raise SourceError(self._sentence("cannot reach the source database", error)) from error
        with connection:
            try:
                yield connection
            except exc.SQLAlchemyError as error:
                raise SourceError(self._sentence("cannot read the source database", error)) from error

    def run(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Do some work in a connection of its own, with the errors of :meth:`connect`."""
        with self.connect() as connection:
            return work(connection)

    def rows(self, statement: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        """All rows of a statement, read in a connection of its own, closed before this returns.

        Raises:
            SourceError: The database cannot be reached or read, or holds a value that is none of its column's type.
        """
        with self.connect() as connection, self._values():
            return connection.execute(statement, parameters or {}).all()

    def instances(self, statement: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All mapped instances of a statement, detached, read in a connection of its own.

        Raises:
            SourceError: As in :meth:`rows`.
        """
        with (
            self.connect() as connection,
            self._values(),
            orm.Session(connection, autoflush=False, expire_on_commit=False) as session,
        ):
            return session.scalars(statement, parameters or {}).unique().all()

    def with_last_column(
        self, statement: sa.Select[Any], parameters: Mapping[str, Any] | None = None, *, mapped: bool
    ) -> list[tuple[Any, Any]]:
        """The rows, or mapped instances, of a statement to which a column was added; each with that column's value.

        Raises:
            SourceError: As in :meth:`rows`.
        """
        with self.connect() as connection, self._values():
            if mapped:
                with orm.Session(connection, autoflush=False, expire_on_commit=False) as session:
                    return [(row[0], row[1]) for row in session.execute(statement, parameters or {}).unique()]
            frozen = connection.execute(statement, parameters or {}).freeze()
        last = len(frozen.metadata.keys) - 1
        rows = frozen().columns(*range(last)).all()
        return list(zip(rows, frozen().scalars(last).all(), strict=True))

    @contextmanager
    def _values(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, OverflowError) as error:
            # Without the error's text, which repeats the value.
            raise SourceError(
                "the source database holds a value that is none of its column's type, or an id is too large "
                f"({type(error).__name__}); `query` with `sql` reads values as they are stored"
            ) from error

    def _sentence(self, what: str, error: exc.SQLAlchemyError) -> str:
        url = make_url(self._url)
        cause = getattr(error, "orig", None) or error
        # Drivers repeat the connection's options in some messages, and add advice on further lines.
        reason = str(cause.args[-1] if cause.args else cause).strip().split("\n", 1)[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        return f"{what} {printable(url)}: {reason}"
