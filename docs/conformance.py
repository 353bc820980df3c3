"""Run the conformance suites of all connectors, and put their reports into the page that keeps them.

``make conformance`` runs all; ``make conformance ARGS=contraflow-ldap`` one. Nothing may be left out for want of a remote.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contraflow.testing.report import ConnectorReport, lines_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "conformance-reports.md"
_SUITE = "tests/test_conformance.py"


def main(names: list[str]) -> None:
    """Run the suites of these connectors, by default all."""
    names = names or [folder.name for folder in sorted((ROOT / "plugins").iterdir()) if (folder / _SUITE).is_file()]
    for name in names:
        reports = _run(name)
        if not reports or any(report.failed for report in reports):
            raise SystemExit(f"{name}: not every test passed; its reports stay as they are")
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(_put(page, name, reports), encoding="utf-8")
        sys.stdout.write(f"{name}: {len(reports)} reports\n")


def _run(name: str) -> list[ConnectorReport]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        options = ["-q", "-p", "no:cacheprovider", f"--contraflow-report={file}"]
        command = [sys.executable, "-m", "pytest", *options, f"plugins/{name}/{_SUITE}"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "CI": "true"})  # noqa: S603 - our own names
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    reports = [ConnectorReport(**{**each, "outcomes": Counter(each["outcomes"])}) for each in found]
    return reports if done.returncode == 0 else []


def _put(page: str, name: str, reports: list[ConnectorReport]) -> str:
    """The page with other reports, and the day on which they were made, in the connector's section."""
    lines = "\n".join(f"    {line}" for report in reports for line in lines_of(report))
    section = re.search(rf"^## {name}\n\n.*?(?=\n^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if section is None:
        raise SystemExit(f"{PAGE.name} has no section for {name}")
    words = re.split(r"\n\n(?:Run on|    )", section[0])[0].rstrip()
    return (
        f"{page[: section.start()]}{words}\n\nRun on {datetime.now(UTC):%Y-%m-%d}.\n\n{lines}\n{page[section.end() :]}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
