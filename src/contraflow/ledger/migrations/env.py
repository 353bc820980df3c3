"""Run the ledger's migrations on the connection, and in the transaction, that contraflow opened."""

from __future__ import annotations

from alembic import context

from contraflow.ledger.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
