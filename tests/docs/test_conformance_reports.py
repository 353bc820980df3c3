"""The kept reports are those of the suites that there are, and no connector claims more than it earned."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "conformance-reports.md").read_text(encoding="utf-8")


def suites() -> set[str]:
    return {
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in ROOT.glob("plugins/*/tests/test_conformance.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    }


def test_each_suite_has_its_report() -> None:
    reported = re.findall(r"^    \w+ \((plugins/\S+)\)$", PAGE, re.MULTILINE)
    assert len(reported) == len(set(reported))
    assert set(reported) == suites()


def test_what_is_claimed_is_earned() -> None:
    claimed = re.findall(r"^ +claims +(class [A-E]), ", PAGE, re.MULTILINE)
    earned = re.findall(r"^ +earned +(class [A-E]), ", PAGE, re.MULTILINE)
    assert claimed == earned
    assert len(claimed) == len(suites())


def test_each_report_names_its_remote() -> None:
    remotes = re.findall(r"^ +against (.+), (?:with faults made by \w+|without faults)$", PAGE, re.MULTILINE)
    assert len(remotes) == len(suites())
    assert not [remote for remote in remotes if "without a name" in remote or "://" in remote]


def test_no_report_has_a_failed_test() -> None:
    assert "failed" not in PAGE.replace("a failed test", "")
