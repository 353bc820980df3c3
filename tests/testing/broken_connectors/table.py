"""Run every broken connector through the whole suite, and keep on a page which tests each of them fails.

``make proof`` takes half an hour; ``test_proof.py`` runs each connector against its own test alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SUITES = HERE / "suites.py"
PAGE = ROOT / "docs" / "explanation" / "conformance-proof.md"
_TABLE = "| a connector that is broken | "

sys.path.insert(0, str(HERE))

from flaws import FLAWS  # noqa: E402


def run(folder: Path, *nodes: str) -> Mapping[tuple[str, str], str]:
    """Run tests of the suites in another process: what became of each, by class and test."""
    report = folder / "report.xml"
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *nodes]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert report.exists(), done.stdout + done.stderr
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own
        name = case.attrib["classname"].rpartition(".")[2].removeprefix("Test")
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcomes[name, case.attrib["name"]] = next(iter(kinds), "passed")
    return outcomes


def own_tests() -> dict[str, set[str]]:
    """What each connector does wrong, and the tests that are there to find it."""
    own: dict[str, set[str]] = defaultdict(set)
    for flaw in FLAWS:
        own[flaw.words.rstrip(".")].add(flaw.test.removeprefix("test_"))
    return dict(own)


def table_of(page: str) -> dict[str, tuple[set[str], set[str]]]:
    """The kept table: for each connector its own tests, and those that it failed besides."""
    rows = re.findall(r"^\| ([^|]+) \| (`[^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    return {
        words: (set(re.findall(r"`([^`]+)`", own)), set(re.findall(r"`([^`]+)`", more))) for words, own, more in rows
    }


def rows_of(outcomes: Mapping[tuple[str, str], str]) -> list[str]:
    """The table that belongs to these outcomes of whole suites."""
    failed: dict[str, set[str]] = defaultdict(set)
    words = {flaw.connector.__name__: flaw.words.rstrip(".") for flaw in FLAWS}
    for (name, test), outcome in outcomes.items():
        if outcome in ("failure", "error"):
            failed[words[name]].add(test.removeprefix("test_"))
    rows = []
    for each, own in own_tests().items():
        assert own <= failed[each], f"'{each}' passes {own - failed[each]}"
        rows.append(f"| {each} | {_names(own)} | {_names(failed[each] - own)} |")
    return rows


def _names(tests: Iterable[str]) -> str:
    return ", ".join(f"`{test}`" for test in sorted(tests)) or "–"  # noqa: RUF001 - nothing


def main() -> None:
    """Run it all, and write the table."""
    names = dict.fromkeys(flaw.connector.__name__ for flaw in FLAWS)
    outcomes: dict[tuple[str, str], str] = {}
    for name in names:  # in processes of their own: what one leaves behind is not the next one's fault
        with tempfile.TemporaryDirectory() as folder:
            outcomes |= run(Path(folder), f"{SUITES}::Test{name}")
    rows = rows_of(outcomes)
    page = PAGE.read_text(encoding="utf-8")
    before, _, behind = page.partition(_TABLE)
    head = behind.partition("\n\n")[0].splitlines()[:2]
    before = before.rpartition("\n\nRun on ")[0] or before.rstrip()
    PAGE.write_text(
        "\n".join([f"{before}\n\nRun on {datetime.now(UTC):%Y-%m-%d}.\n\n{_TABLE}{head[0]}", head[1], *rows]) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
