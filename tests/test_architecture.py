"""The house: imports run downwards only, and connectors know the contract alone."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "src" / "contraflow"

FLOORS: dict[str, int] = {
    "cli": 6,
    "testing": 6,
    "__main__": 6,
    "project": 5,
    "workspace": 5,
    "jobs": 5,
    "records": 5,
    "plans": 5,
    "preparing": 5,
    "all_jobs": 5,
    "check": 5,
    "key_check": 5,
    "reviews": 5,
    "json_schema": 5,
    "forgetting": 5,
    "relinking": 5,
    "accepting": 5,
    "drift": 5,
    "explain": 5,
    "engine": 4,
    "assembly": 3,
    "step_check": 4,
    "options": 3,
    "ordering": 0,
    "references": 3,
    "reference_check": 4,
    "guards": 3,
    "conflict_rules": 3,
    "requirements": 3,
    "payloads": 0,
    "plugins": 2,
    "contract": 2,
    "contract_version": 2,
    "config": 2,
    "settings": 2,
    "setting_types": 2,
    "settings_schema": 2,
    "source": 2,
    "readers": 2,
    "ledger": 1,
    "errors": 0,
    "escaping": 0,
    "event_loop": 0,
    "intervals": 0,
    "fingerprint": 0,
    "merge": 0,
    "field_digests": 0,
    "redaction": 0,
    "": 0,
}
"""The floor of each part of the engine; the design's section 6. Parts of one floor may know each other."""


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether only for the type checker."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, id(node) in guarded
            yield from ((f"{node.module}.{alias.name}", id(node) in guarded) for alias in node.names)


def part_of(module: str) -> str:
    """``contraflow.ledger.keys`` belongs to ``ledger``."""
    return [*module.split("."), "", ""][1]


@pytest.mark.parametrize("file", modules(ENGINE), ids=lambda file: str(file.relative_to(ENGINE)))
def test_imports_run_downwards_only(file: Path) -> None:
    relative = file.relative_to(ENGINE)
    own = "" if relative == Path("__init__.py") else relative.parts[0].removesuffix(".py")
    assert own in FLOORS, f"{own} stands on no floor"
    if relative.parts[:2] == ("cli", "starter"):
        return  # the newcomer's files: nobody in the house imports them
    above = {
        module
        for module, for_types_only in imports(file)
        if module.split(".")[0] == "contraflow" and part_of(module) in FLOORS and FLOORS[part_of(module)] > FLOORS[own]
        # The front door shows what it opens to, and imports it only for those who ask.
        if not (own == "" and for_types_only)
    }
    assert not above


def connectors() -> list[Path]:
    found = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
    assert len(found) >= 2
    return found


@pytest.mark.parametrize("member", [ROOT / "hookspecs", *connectors()], ids=lambda path: path.name)
def test_connectors_and_the_contract_do_not_know_the_engine(member: Path) -> None:
    files = modules(member / "src")
    assert files
    for file in files:
        known = {module.split(".")[0] for module, _ in imports(file)}
        assert "contraflow" not in known, file
    dependencies = tomllib.loads((member / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not [each for each in dependencies if each.split(">")[0].strip() == "contraflow"]


@pytest.mark.parametrize("member", [ROOT, ROOT / "hookspecs", *connectors()], ids=lambda path: path.name)
def test_every_member_is_typed_and_built_alike(member: Path) -> None:
    project = tomllib.loads((member / "pyproject.toml").read_text())
    assert project["build-system"]["build-backend"] == "hatchling.build"
    (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert (member / package / "py.typed").is_file()
    # A pattern without a slash before it means such a folder anywhere: the core's would take in all members.
    assert all(each.startswith("/") for each in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    between = [each for each in project["project"]["dependencies"] if each.startswith("contraflow")]
    assert all("==" not in each and ",<" in each for each in between)


def test_no_two_members_share_an_import_root() -> None:
    roots = [next((member / "src").iterdir()).name for member in (ROOT, ROOT / "hookspecs", *connectors())]
    assert len(set(roots)) == len(roots)


def test_the_ledgers_content_is_never_unpickled() -> None:
    for file in modules(ROOT / "src"):
        known = {module.split(".")[0] for module, _ in imports(file)}
        assert not known & {"pickle", "marshal", "shelve"}, file
