"""Rows 34 and 35 of the fault matrix with a real limit: the ledger's file cannot grow any more, in the middle of a run."""

from __future__ import annotations

import resource
import subprocess
from typing import Any

import pytest

NOTING = """
@hookimpl
def write_items(items, context):
    with open("effects.txt", "a") as file:
        file.writelines(f"{change.key[0]}\\n" for change in items)
    return [Written(key=change.key) for change in items]
"""
ROWS = 4000


@pytest.mark.parametrize("room", [20_000, 60_000, 120_000])
def test_34_35_a_ledger_that_cannot_grow_loses_and_doubles_nothing_silently(project: Any, room: int) -> None:
    project.connector(NOTING)
    project.json("sync", "acme", "--step", "lines")
    (project.directory / "effects.txt").unlink()
    project.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS + 9})"  # noqa: S608 - numbers
        " INSERT INTO customer SELECT i, 'name', 'mail' FROM n"
    )
    largest = (project.directory / "ledger.db").stat().st_size + room
    full = subprocess.run(
        project.command("sync", "acme", "--step", "customers"),
        cwd=project.directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
    )
    assert full.returncode == 6, full.stdout + full.stderr
    assert "Traceback" not in full.stderr
    arrived = (project.directory / "effects.txt").read_text().split()
    assert len(arrived) < ROWS
    summary = project.json("sync", "acme", "--step", "customers")
    assert summary["status"] == "COMPLETED"
    effects = (project.directory / "effects.txt").read_text().split()
    assert len(set(effects)) == ROWS + 3
    assert len(effects) - len(set(effects)) <= 100  # the one chunk whose outcome could not be recorded
    assert project.json("sync", "acme", "--step", "customers", "--no-resume")["counts"]["unchanged"] == ROWS + 3
