"""What the conformance suite found of each connector, for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from contraflow.engine.promise import Promise
from contraflow.testing.conformance.promise import PROPERTY


@attrs.define(kw_only=True)
class ConnectorReport:
    """One run of the suite: one test class."""

    suite: str
    """The test class, as pytest names it."""
    connector: str = ""
    """The name of its job."""
    against: str = ""
    """The remote."""
    faults: str = ""
    """What made the faults, by its class; empty where none were made."""
    claimed: str = ""
    """The class that its capabilities claim."""
    earned: str = ""
    """The class that it has earned; empty for none."""
    shown: Sequence[str] = ()
    """What was shown."""
    missing: Sequence[str] = ()
    """What was tried, and did not come out well."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    """How many tests passed, failed, were skipped."""
    failed: list[str] = attrs.field(factory=list)
    """The tests that failed."""
    skipped: dict[str, list[str]] = attrs.field(factory=dict)
    """Why tests were skipped, and which."""


def reports_of(reports: Iterable[pytest.TestReport]) -> list[ConnectorReport]:
    """Gather what the tests of each suite told; a class without the test of the promise is no suite."""
    found: dict[str, ConnectorReport] = {}
    for report in reports:
        suite, _, test = report.nodeid.rpartition("::")
        entry = found.setdefault(suite, ConnectorReport(suite=suite))
        for name, value in report.user_properties:
            if name.startswith(PROPERTY):
                setattr(entry, name.removeprefix(PROPERTY), value)
        if report.failed:
            entry.outcomes["failed"] += 1
            entry.failed.append(test)
        elif report.skipped and isinstance(report.longrepr, tuple):
            entry.outcomes["skipped"] += 1
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            entry.skipped.setdefault(reason, []).append(test)
        elif report.when == "call":
            entry.outcomes["passed"] += 1
    return [entry for entry in found.values() if entry.claimed]


def write_report(terminal: pytest.TerminalReporter, file: str | None = None) -> None:
    """Write the reports into pytest's summary, and as JSON into a file."""
    tests: list[Any] = [
        each for kind in ("passed", "failed", "skipped", "error") for each in terminal.stats.get(kind, ())
    ]
    reports = reports_of(each for each in tests if isinstance(each, pytest.TestReport))
    if file is not None:
        Path(file).write_text(json.dumps([attrs.asdict(each) for each in reports], indent=2), encoding="utf-8")
    if not reports:
        return
    terminal.section("contraflow conformance")
    for report in reports:
        for line in lines_of(report):
            terminal.write_line(line)


def lines_of(report: ConnectorReport) -> list[str]:
    """One report, line by line."""
    counts = ", ".join(
        f"{report.outcomes[kind]} {kind}" for kind in ("passed", "failed", "skipped") if report.outcomes[kind]
    )
    lines = [f"{report.connector} ({report.suite})"]
    through = f"with faults made by {report.faults}" if report.faults else "without faults"
    lines.append(f"    against {report.against}, {through}")
    lines.append(f"    claims  {Promise(report.claimed).sentence}")
    lines.append(f"    earned  {Promise(report.earned).sentence if report.earned else 'no promise'}")
    lines += [f"            + {words}" for words in report.shown]
    if not report.earned or report.earned > report.claimed:
        lines += [f"            - {words}" for words in report.missing]
    elif report.earned < report.claimed:
        lines.append(f"            it could claim class {report.earned}")
    lines.append(f"    tests   {counts}")
    lines += [f"            failed: {name}" for name in report.failed]
    lines += [f"            {len(names)} skipped: {reason}" for reason, names in report.skipped.items()]
    return lines
