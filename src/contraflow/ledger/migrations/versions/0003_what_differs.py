"""What is remembered of each item's fields, how far a stream was read, and items that somebody else removed or changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_STATUSES = ("written", "deleted", "archived", "rejected", "deferred", "in_doubt", "gone", "conflict")
_CHECK = " OR ".join(f"status = '{status}'" for status in _STATUSES)
_OPEN = "status <> 'written' AND status <> 'deleted' AND status <> 'archived'"
_KEPT = (
    "stream_id",
    "key",
    "status",
    "generation",
    "fingerprint",
    "pending",
    "remote_id",
    "remote_version",
    "execution_id",
)


def upgrade() -> None:
    """Add columns and statuses; rows stay as they are."""
    op.add_column("cf_stream", sa.Column("mapping", sa.Text))
    op.add_column("cf_stream", sa.Column("cursor", sa.Text))
    op.add_column("cf_stream", sa.Column("swept", _BIG))
    op.add_column("cf_stream", sa.Column("restored", sa.Boolean))
    op.add_column("cf_stream", sa.Column("renumbered", _BIG))
    op.add_column("cf_step_execution", sa.Column("notes", sa.Text))
    _widen_items()
    _add_approvals()
    _add_conflicts()
    _add_plans()
    _add_references()
    _add_forgetting()


def _widen_items() -> None:
    """By a new table, since SQLite cannot change a check."""
    op.drop_index("ix_cf_item_state_open", "cf_item_state")
    op.rename_table("cf_item_state", "cf_item_state_old")
    if op.get_bind().dialect.name == "postgresql":  # where the names of constraints outlive a table's
        op.execute("ALTER TABLE cf_item_state_old DROP CONSTRAINT pk_cf_item_state")
    op.create_table(
        "cf_item_state",
        sa.Column("stream_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("pending", sa.Text),
        sa.Column("remote_id", sa.Text),
        sa.Column("remote_version", sa.Text),
        sa.Column("digests", sa.Text),
        sa.Column("payload", sa.Text),
        sa.Column("changed", sa.Text),
        sa.Column("retry_at", sa.Float(53)),
        sa.Column("kept", sa.Text),
        sa.Column("execution_id", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "key", name="pk_cf_item_state"),
        sa.CheckConstraint(_CHECK, name=op.f("ck_cf_item_state_status")),
        sqlite_with_rowid=False,
    )
    kept = ", ".join(_KEPT)
    op.execute(f"INSERT INTO cf_item_state ({kept}) SELECT {kept} FROM cf_item_state_old")  # noqa: S608 - no input
    op.drop_table("cf_item_state_old")
    op.create_index(
        "ix_cf_item_state_open",
        "cf_item_state",
        ["status", "stream_id", "key"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )


def _add_approvals() -> None:
    op.create_table(
        "cf_approval",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("stream_id", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("execution_id", _BIG, nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_approval"),
        sa.ForeignKeyConstraint(["stream_id"], ["cf_stream.id"], name="fk_cf_approval_stream_id"),
        sa.UniqueConstraint("digest", name="uq_cf_approval_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cf_approval_stream_id", "cf_approval", ["stream_id"])


def _add_conflicts() -> None:
    op.create_table(
        "cf_conflict",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("stream_id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("base", sa.Text),
        sa.Column("local", sa.Text),
        sa.Column("remote", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("execution_id", _BIG, nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_conflict"),
        sa.ForeignKeyConstraint(["stream_id"], ["cf_stream.id"], name="fk_cf_conflict_stream_id"),
        sa.UniqueConstraint("stream_id", "key", name="uq_cf_conflict_stream_id_key"),
        sqlite_autoincrement=True,
    )


def _add_plans() -> None:
    op.create_table(
        "cf_plan",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution_id", _BIG),
        sa.PrimaryKeyConstraint("digest", name="pk_cf_plan"),
    )


def _add_references() -> None:
    op.create_table(
        "cf_reference",
        sa.Column("stream_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("met", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "key", "name", "parent", name="pk_cf_reference"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cf_reference_parent", "cf_reference", ["stream_id", "name", "parent"])


def _add_forgetting() -> None:
    op.create_table(
        "cf_forgetting",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entity", "key", name="pk_cf_forgetting"),
    )
    op.create_table(
        "cf_forgotten",
        sa.Column("stream_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "digest", name="pk_cf_forgotten"),
    )
