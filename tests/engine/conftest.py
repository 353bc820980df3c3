from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

POSTGRESQL = os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def postgresql() -> Iterator[sa.URL]:
    """The URL of an empty schema in PostgreSQL."""
    schema = f"contraflow_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    try:
        try:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        except sa.exc.OperationalError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no postgresql server: {error.orig}")
        yield sa.make_url(POSTGRESQL).update_query_dict({"options": f"-csearch_path={schema}"})
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    finally:
        admin.dispose()
