"""A witness beside the project: what this project last saw of its ledger, so that an older copy of it is recognised.

A ledger that was restored from a backup or a snapshot does not know what was sent since. It looks sound, and would send
again what has arrived, and call unchanged what was overwritten. So after each execution a small file notes how far the
ledger had come. A ledger that has come less far than its witness, or another way, is refused. One without a witness is
taken as it is: the witness of a new checkout, or of another host, begins with its first execution.
"""

from __future__ import annotations

import json
import logging
import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from contraflow.ledger.schema import job_execution

_log = logging.getLogger("contraflow.ledger")
_IDENTITY = re.compile(r"[0-9a-f]{1,64}")


class Sighting(NamedTuple):
    """How far a ledger had come."""

    execution: int
    """The latest job execution."""
    started: datetime
    ended: bool


class Witness:
    """The witnesses of a project's ledgers, one file for each ledger's id.

    Args:
        directory: Where they lie; made when it is first needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def note(self, identity: str, sighting: Sighting) -> None:
        """Remember how far the ledger has come. A directory that cannot be written leaves a warning, and no witness."""
        path = self._path(identity)
        if path is None:
            return
        seen = {"execution": sighting.execution, "started": sighting.started.isoformat(), "ended": sighting.ended}
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            self._make_directory()
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                json.dump(seen, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            _log.warning("no witness of the ledger can be kept in %s: %s", self.directory, error.strerror)
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def recall(self, identity: str) -> Sighting | None:
        """How far the ledger had come; ``None`` if nobody noted it, or the note cannot be read."""
        path = self._path(identity)
        if path is None:
            return None
        try:
            seen = json.loads(path.read_text(encoding="utf-8"))
            return Sighting(int(seen["execution"]), datetime.fromisoformat(seen["started"]), bool(seen["ended"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            _log.warning("%s is not what contraflow wrote, and is passed over", path)
            return None

    def _path(self, identity: str) -> Path | None:
        return self.directory / f"{identity}.json" if _IDENTITY.fullmatch(identity) else None

    def _make_directory(self) -> None:
        if self.directory.is_dir():
            return
        self.directory.mkdir(mode=0o700)
        (self.directory / ".gitignore").write_text("*\n", encoding="ascii")  # it belongs to this machine alone


def contradiction(connection: Connection, seen: Sighting) -> str | None:
    """What shows that the ledger is not the one that was seen, or not as far; ``None`` if nothing does."""
    latest = connection.execute(select(func.max(job_execution.c.id))).scalar_one() or 0
    query = select(job_execution.c.started, job_execution.c.ended).where(job_execution.c.id == seen.execution)
    row = connection.execute(query).one_or_none()
    if latest < seen.execution:
        return f"its last execution is {latest}, and this project has seen execution {seen.execution}"
    if row is not None and row.started != seen.started:
        return f"its execution {seen.execution} is another one than this project has seen"
    if row is not None and seen.ended and row.ended is None:
        return f"its execution {seen.execution} has not ended, and this project has seen its end"
    return None
