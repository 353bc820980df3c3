"""The Alembic environment of the ledger. Revisions are written by hand; a test compares them with the tables."""
