"""The constraints of ``make oldest`` are the lower bounds that the distributions declare."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
OURS = ("contraflow",)
MEMBERS = [
    ROOT / name / "pyproject.toml" for name in (".", "hookspecs", "plugins/contraflow-http", "plugins/contraflow-sql")
]


def declared() -> Iterator[Requirement]:
    """What the members need at run time, with the databases of their extras."""
    for member in MEMBERS:
        project = tomllib.loads(member.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        for text in (*project["dependencies"], *extras.get("postgresql", ()), *extras.get("mysql", ())):
            requirement = Requirement(text)
            if not requirement.name.startswith(OURS):
                yield requirement


def test_the_oldest_versions_are_those_that_are_declared() -> None:
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    oldest = {canonicalize_name(each.name): Version(next(iter(each.specifier)).version) for each in pinned}
    bounds: dict[str, Version] = {}
    for requirement in declared():
        (bound,) = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
        name = canonicalize_name(requirement.name)
        bounds[name] = max(bound, bounds.get(name, bound))
    assert oldest == bounds
