"""The ledger's tables. The migrations build them; a test holds the two against each other.

Times are UTC. JSON is kept as text, always ASCII, so that nothing a remote said can make a row unstorable.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from contraflow.ledger.column_types import JsonText, LongText, UtcDateTime, Words
from contraflow.ledger.records import ITEM_STATUSES

HEAD = "0003"
"""The newest revision in ``migrations/versions``: known here so that an up-to-date ledger opens without Alembic."""

PREFIX = "cf_"
VERSION_TABLE = "cf_alembic_version"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# One comparison after the other: SQLite builds a table for an IN list at every row, which doubles the time of a settle.
STATUS_CHECK = " OR ".join(f"status = '{status}'" for status in ITEM_STATUSES)
OPEN_ITEMS = "status <> 'written' AND status <> 'deleted' AND status <> 'archived'"
"""The items somebody may have to look at. Queries repeat it word for word, so that the partial index serves them."""


metadata = MetaData(naming_convention=NAMING)

_BIG = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER key counts up by itself on SQLite

ledger = Table(
    "cf_ledger",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created", UtcDateTime, nullable=False),
)

job_execution = Table(
    "cf_job_execution",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("integration", Words, nullable=False),
    Column("job", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("exit_code", Words, nullable=False),
    Column("exit_description", Words, nullable=False),
    Column("failures", JsonText(list), nullable=False),
    Column("parameters", JsonText(dict), nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("epoch", BigInteger),
    sqlite_autoincrement=True,  # an execution's number is never used again, as it stands in logs
)

stream = Table(
    "cf_stream",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("integration", Words, nullable=False),
    Column("job", Words, nullable=False),
    Column("step", Words, nullable=False),
    Column("mapping", JsonText),  # what turned entities into payloads when all of them were last compared
    Column("cursor", Text),  # up to where changes were read
    Column("swept", _BIG),  # the last job execution that compared all of the source with all of the ledger
    Column("restored", Boolean),  # whether the ledger is an older copy, and no run has been through all items since
    Column("renumbered", _BIG),  # the last job execution in which the remote gave an item another id than before
    UniqueConstraint("integration", "job", "step"),
)

step_execution = Table(
    "cf_step_execution",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("execution_id", _BIG, ForeignKey("cf_job_execution.id"), nullable=False, index=True),
    Column("stream_id", Integer, ForeignKey("cf_stream.id"), nullable=False, index=True),
    Column("step", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("exit_code", Words, nullable=False),
    Column("exit_description", Words, nullable=False),
    Column("errors", JsonText(list), nullable=False),
    Column("notes", JsonText(list)),
    Column("counts", JsonText(dict), nullable=False),
    Column("total", _BIG),
    Column("in_summary", Boolean, nullable=False),
    Column("checkpoint", Text),
    Column("started", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("request", Text),
    sqlite_autoincrement=True,
)

# No foreign keys here: they would cost every row of a settle a look-up (a trigger on PostgreSQL), to guard a number that the
# same transaction has just used; and the history of executions can be thinned out while items stay.
item_state = Table(
    "cf_item_state",
    metadata,
    Column("stream_id", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("fingerprint", Text),
    Column("pending", Text),
    Column("remote_id", Text),
    Column("remote_version", Text),
    Column("digests", Text),
    Column("payload", Text),
    Column("changed", Text),
    Column("retry_at", Float(53)),
    Column("kept", Text),
    Column("execution_id", _BIG, nullable=False),
    CheckConstraint(STATUS_CHECK, name="status"),
    sqlite_with_rowid=False,
)

Index(
    "ix_cf_item_state_open",
    item_state.c.status,
    item_state.c.stream_id,
    item_state.c.key,
    sqlite_where=text(OPEN_ITEMS),
    postgresql_where=text(OPEN_ITEMS),
)

dead_letter = Table(
    "cf_dead_letter",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("stream_id", Integer, ForeignKey("cf_stream.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("code", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_execution_id", _BIG, nullable=False),
    Column("last_execution_id", _BIG, nullable=False),
    Column("recorded", UtcDateTime, nullable=False),
    UniqueConstraint("stream_id", "key"),
    sqlite_autoincrement=True,
)

# The only place in which contents wait for a person to decide. They go away with the decision.
conflict = Table(
    "cf_conflict",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("stream_id", Integer, ForeignKey("cf_stream.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("fields", JsonText, nullable=False),
    Column("base", Text),
    Column("local", Text),
    Column("remote", Text, nullable=False),
    Column("decision", JsonText),
    Column("execution_id", _BIG, nullable=False),
    Column("recorded", UtcDateTime, nullable=False),
    UniqueConstraint("stream_id", "key"),
    sqlite_autoincrement=True,
)

# Rows stay for ever, so that an epoch never comes twice. The holder's columns keep those of the last one.
lease = Table(
    "cf_lease",
    metadata,
    Column("integration", Words, primary_key=True),
    Column("job", Words, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("owner", Words),
    Column("host", Words, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("execution_id", BigInteger),
    Column("stop_requested", Boolean, nullable=False),
)

# One row a chunk: a row an item would double the time of a chunk. The number is never used again: a settlement whose intent
# is gone has been carried out.
intent = Table(
    "cf_intent",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("token", Text, nullable=False),
    Column("stream_id", Integer, ForeignKey("cf_stream.id"), nullable=False, index=True),
    Column("execution_id", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("recoveries", Integer, nullable=False),
    Column("returned", Boolean, nullable=False),
    Column("boot_id", Text),
    Column("boot_time", Float(53)),
    Column("recorded", UtcDateTime, nullable=False),
    Column("items", LongText, nullable=False),
    UniqueConstraint("token"),
    sqlite_autoincrement=True,
)

request = Table(
    "cf_request",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("integration", Words, nullable=False),
    Column("job", Words, nullable=False),
    Column("body", JsonText(dict), nullable=False),
    Column("digest", Text, nullable=False),
    Column("requested", UtcDateTime, nullable=False),
    Column("epoch", BigInteger),  # of the run that is carrying it out
    sqlite_autoincrement=True,
)

WAITING = "epoch IS NULL"
"""Only requests that nobody has begun are joined: one that has may have read its items before the next was made."""

Index(
    "uq_cf_request_waiting",
    request.c.integration,
    request.c.job,
    request.c.digest,
    unique=True,
    sqlite_where=text(WAITING),
    postgresql_where=text(WAITING),
)

# What somebody approved of although it passed a limit. A digest is good once: the next one counts those before it in.
approval = Table(
    "cf_approval",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("stream_id", Integer, ForeignKey("cf_stream.id"), nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("execution_id", _BIG, nullable=False),
    Column("recorded", UtcDateTime, nullable=False),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)

# Plans that were applied, so that none is twice.
plan = Table(
    "cf_plan",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("integration", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("begun", UtcDateTime, nullable=False),
    Column("execution_id", _BIG),  # that carried it out to its end
)

# To which parents items refer at the remote, by the names of their steps' references. An item whose fate was in doubt may
# have two under one name.
reference = Table(
    "cf_reference",
    metadata,
    Column("stream_id", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("parent", Text, primary_key=True),  # its key
    Column("met", Boolean, nullable=False),  # whether the item was sent with the parent's remote id
    sqlite_with_rowid=False,
)

Index("ix_cf_reference_parent", reference.c.stream_id, reference.c.name, reference.c.parent)

# Records that are to be forgotten and are not everywhere yet.
forgetting = Table(
    "cf_forgetting",
    metadata,
    Column("entity", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("begun", UtcDateTime, nullable=False),
)

# Digests of the keys of items that are forgotten: all that is left of them.
forgotten = Table(
    "cf_forgotten",
    metadata,
    Column("stream_id", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
)
