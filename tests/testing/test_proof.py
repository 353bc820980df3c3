"""The proof of the conformance suite: sound connectors pass, and each test fails for one that is broken."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from contraflow.testing import ConnectorConformance, plugin
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.reading import ReadingChecks

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "testing.md"
sys.path.insert(0, str(HERE / "broken_connectors"))

from flaws import FLAWS  # noqa: E402
from sound import SOUND  # noqa: E402
from table import PAGE as PROOF  # noqa: E402
from table import SUITES, own_tests, run, table_of  # noqa: E402


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


def test_the_table_of_the_suites_tests() -> None:
    text, rows = PAGE.read_text(encoding="utf-8"), suite_rows()
    table = text[text.index("| test | what") :].partition("\n\n")[0].splitlines()[2:]
    assert table == rows, "write this table:\n" + "\n".join(rows)


def test_the_kept_table_is_that_of_the_broken_connectors() -> None:
    kept = table_of(PROOF.read_text(encoding="utf-8"))
    assert {words: own for words, (own, _) in kept.items()} == own_tests(), "run `make proof`"
    names = {name.removeprefix("test_") for name in names_of_tests()}
    assert all(further <= names and not further & own for own, further in kept.values())


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
