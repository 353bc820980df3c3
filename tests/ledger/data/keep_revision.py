"""Keep a ledger of the present revision as SQL, for the tests of later migrations.

Run it once for a revision, before the next one is written: ``python tests/ledger/data/keep_revision.py POSTGRESQL_URL``. It
needs ``pg_dump`` and writes ``revision_NNNN.sqlite.sql`` and ``revision_NNNN.postgresql.sql`` beside itself.
"""

from __future__ import annotations

import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from contraflow.ledger import BootMoment, IntentItem, ItemState, Ledger, NewDeadLetter, Settlement, open_ledger
from contraflow.ledger.schema import HEAD
from contraflow_hookspecs import BatchStatus, JobExecution, StepExecution

HERE = Path(__file__).parent
MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMES = {"integration": "acme", "job": "customers_export"}


def fill(url: str) -> None:
    """One completed execution, one that failed, and one that was killed while it ran."""
    with open_ledger(url, clock=lambda: MOMENT, boot_clock=lambda: BootMoment("boot", 100.0)) as ledger:
        for status in (BatchStatus.COMPLETED, BatchStatus.FAILED, None):
            number = ledger.start_job(**NAMES, parameters={"ids": [[1, "a,b"]]}, started=MOMENT)
            step = ledger.start_step(number, **NAMES, step="customers", total=5, started=MOMENT)
            states = [
                ItemState("[1]", "written", number, f"fp1:{number}", None, "r1", '"v1"'),
                ItemState("[2]", "deleted", number),
                ItemState("[3]", "rejected", number, None, "fp1:tried"),
                ItemState("[4]", "deferred", number, None, "fp1:tried"),
                ItemState("[\"Zoë '♥'\",5]", "in_doubt", number, "fp1:old", "fp1:tried", "r5", None),
            ]
            ledger.settle(
                Settlement(
                    step_execution_id=step.id,
                    stream_id=step.stream_id,
                    execution_id=number,
                    states=states,
                    dead_letters=[NewDeadLetter("[3]", "invalid", "it's no; e-mail\naddress")],
                    checkpoint=(number,),
                    counts={"read": 5},
                )
            )
            if status is not None:
                common = {
                    **NAMES,
                    "status": status,
                    "exit_code": status.value,
                    "started": MOMENT,
                    "ended": MOMENT + timedelta(seconds=2),
                }
                ledger.finish_step(step.id, StepExecution(**common, step="customers", counts={"read": 5}, total=5))
                ledger.finish_job(JobExecution(**common, id=number, failures=("the remote went away",)))
        _leave_in_flight(ledger, step.stream_id, number)


def _leave_in_flight(ledger: Ledger, stream_id: int, execution_id: int) -> None:
    """What a process leaves that dies while it sends: a lease, an intent, and a request that waits."""
    holder = {"owner": "dead", "host": "host", "pid": 1}
    lease = ledger.take_lease(*NAMES.values(), **holder, since=MOMENT, seen=None)
    assert lease is not None
    item = IntentItem("[6]", "upsert", 2, "fp1:sent", "cf1-key", '{"name":"Zoë"}', "r6", '"v6"')
    ledger.intend(lease, stream_id=stream_id, execution_id=execution_id, items=[item])
    ledger.add_request(*NAMES.values(), {"ids": [7], "steps": [], "parameters": {}})


def keep_sqlite() -> None:
    """As SQLite's own dump."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "ledger.db")
        fill(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            (HERE / f"revision_{HEAD}.sqlite.sql").write_text("\n".join(connection.iterdump()) + "\n")


def keep_postgresql(url: URL) -> None:
    """As ``pg_dump`` writes it, without what only ``psql`` or a newer server understands."""
    schema = f"contraflow_{secrets.token_hex(6)}"
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        fill(url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False))
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        command = ["pg_dump", "--dbname", plain, "--schema", schema, "--inserts", "--no-owner", "--no-privileges"]
        dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        engine.dispose()
    lines = [
        line
        for line in dump.replace(f"{schema}.", "").splitlines()
        if line and not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog.set_config", "CREATE SCHEMA"))
    ]
    (HERE / f"revision_{HEAD}.postgresql.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    keep_sqlite()
    keep_postgresql(make_url(sys.argv[1]))
