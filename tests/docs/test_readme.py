"""What the README says first, and the connector that it shows."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_commands_are_the_demo_and_the_tests() -> None:
    first = re.search(r"```\w+\n(.*?)```", README, re.DOTALL)
    assert first
    assert first[1].splitlines() == ["make demo", "make test"]
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_connector_is_that_of_a_new_project() -> None:
    shown = re.search(r"```python\n# address_book.py\n(.*?)```", README, re.DOTALL)
    assert shown
    starter = resources.files("contraflow.cli.starter") / "address_book.py"
    assert shown[1] == starter.read_text(encoding="utf-8")


def test_every_page_is_found_from_the_readme_and_from_the_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").glob("*/*.md")]
    pages += [Path("tutorial-first-sync.md"), Path("tutorial-first-connector.md")]
    for page in pages:
        assert f"(docs/{page})" in README, page
        assert f"({page})" in index, page
