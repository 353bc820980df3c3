"""Leases, intents and waiting requests; what a step was asked, and under which epoch a job ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_WAITING = "epoch IS NULL"


def upgrade() -> None:
    """Add tables and columns; rows stay as they are."""
    op.add_column("cf_job_execution", sa.Column("epoch", sa.BigInteger))
    op.add_column("cf_step_execution", sa.Column("request", sa.Text))
    op.create_table(
        "cf_lease",
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("execution_id", sa.BigInteger),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("integration", "job", name="pk_cf_lease"),
    )
    _create_intents()
    _create_requests()


def _create_intents() -> None:
    op.create_table(
        "cf_intent",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("stream_id", sa.Integer, nullable=False),
        sa.Column("execution_id", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("recoveries", sa.Integer, nullable=False),
        sa.Column("returned", sa.Boolean, nullable=False),
        sa.Column("boot_id", sa.Text),
        sa.Column("boot_time", sa.Float(53)),
        sa.Column("recorded", _MOMENT, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cf_intent"),
        sa.ForeignKeyConstraint(["stream_id"], ["cf_stream.id"], name="fk_cf_intent_stream_id"),
        sa.UniqueConstraint("token", name="uq_cf_intent_token"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cf_intent_stream_id", "cf_intent", ["stream_id"])


def _create_requests() -> None:
    op.create_table(
        "cf_request",
        sa.Column("id", _BIG, primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("requested", _MOMENT, nullable=False),
        sa.Column("epoch", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_cf_request"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_cf_request_waiting",
        "cf_request",
        ["integration", "job", "digest"],
        unique=True,
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
