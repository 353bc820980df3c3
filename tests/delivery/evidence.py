"""Gathers what the checker compares: the source's history, the remote's log, the ledger's rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from checker import Event, Evidence, LedgerItem, Payload
from remotes import kind_of
from sqlalchemy import Connection, MetaData, Table, create_engine, inspect, select
from sqlalchemy.pool import NullPool

from contraflow.fingerprint import fingerprint
from contraflow.testing.remote.effect_log import read_log


def gather(delivery_class: str, source: Path, log: Path, ledger_url: str) -> Evidence:
    """Read everything.

    Args:
        delivery_class: A to E; the remote's part of the same name is looked at.
        source: The SQLite file of :class:`workload.Workload`.
        log: The remote's log.
        ledger_url: The ledger, as SQLAlchemy takes it.
    """
    history = read_history(source)
    kind = kind_of(delivery_class)
    events: Sequence[Event] = [event for event in read_log(log) if event["kind"] == kind]
    ledger, residue = read_ledger(ledger_url, history)
    return Evidence(delivery_class=delivery_class, source=history, log=events, ledger=ledger, residue=residue)


def read_history(source: Path) -> dict[str, list[Payload]]:
    """Every version of every record, as the payload that the remote should hold."""
    history: dict[str, list[Payload]] = {}
    with closing(sqlite3.connect(source)) as database:
        for number, payload in database.execute("SELECT id, payload FROM history ORDER BY id, number"):
            history.setdefault(str(number), []).append(json.loads(payload))
    return history


def read_ledger(url: str, history: dict[str, list[Payload]]) -> tuple[dict[str, LedgerItem], list[str]]:
    """The items of the ledger by record, and what should no longer be in it."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            tables = {
                name: Table(name, MetaData(), autoload_with=connection) for name in inspect(engine).get_table_names()
            }
            dead = tables["cf_dead_letter"]
            buried = {row.key for row in connection.execute(select(dead.c.key))}
            open_keys = {
                item[0]
                for row in connection.execute(select(tables["cf_intent"]))
                for item in json.loads(row._mapping["items"])
            }
            items = {}
            for row in connection.execute(select(tables["cf_item_state"])):
                (key,) = json.loads(row.key)
                items[str(key)] = LedgerItem(
                    status=row.status,
                    version=_version(row.fingerprint, history.get(str(key), [])),
                    remote_id=row.remote_id,
                    dead_letter=row.key in buried,
                    held=row.status == "in_doubt" and row.key not in open_keys,
                )
            return items, list(_residue(connection, tables, items))
    finally:
        engine.dispose()


def _residue(connection: Connection, tables: Mapping[str, Table], items: Mapping[str, LedgerItem]) -> Iterator[str]:
    """Leases that are held, and intents of items that are not listed as in doubt."""
    if "cf_lease" in tables:
        for row in connection.execute(select(tables["cf_lease"])):
            if row.owner is not None:
                yield f"the lease of {row.job} is held by {row.owner}"
    if "cf_intent" in tables:
        for row in connection.execute(select(tables["cf_intent"])):
            keys = [str(json.loads(item[0])[0]) for item in json.loads(row._mapping["items"])]
            hidden = [key for key in keys if key not in items or items[key].status != "in_doubt"]
            if hidden or not keys:
                yield f"intent {row.id} still holds {', '.join(hidden) or 'nothing'}"


def _version(found: str | None, versions: Sequence[Payload]) -> int | None:
    """The newest version with this fingerprint; -1 if there is none."""
    if found is None:
        return None
    return next((number for number in range(len(versions) - 1, -1, -1) if fingerprint(versions[number]) == found), -1)
