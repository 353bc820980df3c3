"""The proof of the conformance suite: sound connectors pass, and each test fails for one that is broken."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from contraflow.testing import ConnectorConformance, plugin
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.reading import ReadingChecks

HERE = Path(__file__).parent
SUITES = HERE / "broken_connectors" / "suites.py"
PAGE = HERE.parents[1] / "docs" / "reference" / "testing.md"
sys.path.insert(0, str(HERE / "broken_connectors"))

from flaws import FLAWS  # noqa: E402
from sound import SOUND  # noqa: E402


def run(folder: Path, *nodes: str) -> Mapping[tuple[str, str], str]:
    """Run tests of the suites in another process: what became of each, by class and test."""
    report = folder / "report.xml"
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-c", str(HERE.parents[1] / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *nodes]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert report.exists(), done.stdout + done.stderr
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own
        name = case.attrib["classname"].rpartition(".")[2].removeprefix("Test")
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcomes[name, case.attrib["name"]] = next(iter(kinds), "passed")
    return outcomes


def node(connector: str, test: str) -> str:
    return f"{SUITES}::Test{connector}::{test}"


def names_of_tests() -> Iterator[str]:
    for name in dir(ConnectorConformance):
        if name.startswith("test_"):
            marks = getattr(getattr(ConnectorConformance, name), "pytestmark", [])
            values = [str(value) for mark in marks if mark.name == "parametrize" for value in mark.args[1]]
            yield from (f"{name}[{value}]" for value in values) if values else (name,)


def test_sound_connectors_pass(tmp_path: Path) -> None:
    outcomes = run(tmp_path, *(f"{SUITES}::Test{each.__name__}" for each in SOUND))
    bad = {each: outcome for each, outcome in outcomes.items() if outcome not in ("passed", "skipped")}
    assert not bad
    for test in names_of_tests():  # that each test is run for one of them is what makes its failures mean something
        assert "passed" in {outcomes[each.__name__, test] for each in SOUND}, f"{test} is never run"


def test_each_test_has_a_connector_that_fails_it() -> None:
    assert {flaw.test for flaw in FLAWS} == set(names_of_tests())


def test_each_broken_connector_is_found(tmp_path: Path) -> None:
    nodes = [node(flaw.connector.__name__, flaw.test) for flaw in FLAWS]
    outcomes = run(tmp_path, *nodes)
    passed = [flaw.words for flaw in FLAWS if outcomes[flaw.connector.__name__, flaw.test] != "failure"]
    assert not passed


def suite_rows() -> list[str]:
    """The suite's tests in the documentation: in the order in which they run, each with its docstring."""
    classes = [each for each in reversed(ConnectorConformance.__mro__) if each.__module__.startswith("contraflow")]
    tests = [value for each in classes for name, value in vars(each).items() if name.startswith("test_")]
    return [f"| `{test.__name__}` | {' '.join(test.__doc__.replace('``', '`').split())} |" for test in tests]


def flaw_rows() -> list[str]:
    """The broken connectors in the documentation."""
    return [f"| {flaw.words.rstrip('.')} | `{flaw.test}` |" for flaw in FLAWS]


@pytest.mark.parametrize(
    ("heading", "rows"), [("| test | what", suite_rows()), ("| a connector that is broken", flaw_rows())]
)
def test_the_tables_in_the_documentation(heading: str, rows: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index(heading) :].partition("\n\n")[0].splitlines()[2:]
    assert table == rows, "write this table:\n" + "\n".join(rows)


def section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"\n{heading}\n")[2].partition("\n##")[0]


def first_cells(text: str) -> set[str]:
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {name.partition("(")[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_each_fixture_is_documented() -> None:
    functions = [each for each in ast.parse(inspect.getsource(plugin)).body if isinstance(each, ast.FunctionDef)]
    fixtures = {
        each.name for each in functions if any("fixture" in ast.unparse(decorator) for decorator in each.decorator_list)
    }
    assert first_cells(section("## Fixtures")) == fixtures - {"contraflow_fault_remote_process"}


def test_everything_that_can_be_overridden_is_documented() -> None:
    used = {"bench", "field"}  # by the checks
    own = {
        name for each in (ConformanceBase, ReadingChecks) for name in vars(each) if not name.startswith(("_", "test_"))
    }
    assert first_cells(section("### What an author overrides")) == own - used
