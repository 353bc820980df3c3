"""Executions, step executions, streams, item states and dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_OPEN = "status <> 'written' AND status <> 'deleted'"


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "cf_ledger",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_ledger"),
    )
    op.create_table(
        "cf_stream",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_stream"),
        sa.UniqueConstraint("integration", "job", "step", name="uq_cf_stream_integration_job_step"),
    )
    _create_executions()
    _create_items()


def _create_executions() -> None:
    op.create_table(
        "cf_job_execution",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        *_outcome("failures"),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("started", _MOMENT, nullable=False),
        sa.Column("ended", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_cf_job_execution"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cf_step_execution",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("execution_id", _BIG, nullable=False),
        sa.Column("stream_id", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        *_outcome("errors"),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("total", _BIG),
        sa.Column("in_summary", sa.Boolean(), nullable=False),
        sa.Column("checkpoint", sa.Text),
        sa.Column("started", _MOMENT, nullable=False),
        sa.Column("ended", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_cf_step_execution"),
        sa.ForeignKeyConstraint(["execution_id"], ["cf_job_execution.id"], name="fk_cf_step_execution_execution_id"),
        sa.ForeignKeyConstraint(["stream_id"], ["cf_stream.id"], name="fk_cf_step_execution_stream_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cf_step_execution_execution_id", "cf_step_execution", ["execution_id"])
    op.create_index("ix_cf_step_execution_stream_id", "cf_step_execution", ["stream_id"])


def _outcome(errors: str) -> tuple[sa.Column[str], ...]:
    """The columns that tell how an execution ended."""
    return tuple(
        sa.Column(name, sa.Text, nullable=False) for name in ("status", "exit_code", "exit_description", errors)
    )


def _create_items() -> None:
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
        sa.Column("execution_id", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "key", name="pk_cf_item_state"),
        sa.CheckConstraint(
            "status = 'written' OR status = 'deleted' OR status = 'rejected' OR status = 'deferred' OR status = 'in_doubt'",
            name=op.f("ck_cf_item_state_status"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_cf_item_state_open",
        "cf_item_state",
        ["status", "stream_id", "key"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
    op.create_table(
        "cf_dead_letter",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("stream_id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_execution_id", _BIG, nullable=False),
        sa.Column("last_execution_id", _BIG, nullable=False),
        sa.Column("recorded", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_dead_letter"),
        sa.ForeignKeyConstraint(["stream_id"], ["cf_stream.id"], name="fk_cf_dead_letter_stream_id"),
        sa.UniqueConstraint("stream_id", "key", name="uq_cf_dead_letter_stream_id_key"),
        sqlite_autoincrement=True,
    )
