"""Fresh ledgers in a real PostgreSQL: a schema of their own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

_URL = os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@contextmanager
def postgresql_schema() -> Iterator[str]:
    """The URL of an empty schema, which is dropped in the end.

    Raises:
        ConnectionError: There is no server.
    """
    engine = create_engine(_URL, poolclass=NullPool, connect_args={"connect_timeout": 3})
    name = f"contraflow_{secrets.token_hex(6)}"
    try:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        except OperationalError as error:
            raise ConnectionError(f"no PostgreSQL: {error.orig}") from None
        url = engine.url.update_query_dict({"options": f"-csearch_path={name}"})
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    finally:
        engine.dispose()
