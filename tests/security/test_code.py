"""S2, S14, S15, S23: what the code may not contain at all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    file
    for folder in (ROOT / "src", ROOT / "hookspecs" / "src", *(ROOT / "plugins").glob("*/src"))
    for file in folder.rglob("*.py")
)
PRODUCT = [file for file in FILES if "testing" not in file.parts]
"""Without what helps to test connectors, which starts remotes on loopback."""

NO_IMPORTS = {"pickle", "marshal", "shelve", "dill", "xml", "lxml"}
"""S15, S26: they make objects, or fetch files, out of data."""
NO_SERVERS = {"http.server", "socketserver", "wsgiref", "uvicorn", "flask"}
NO_CALLS = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_there_is_code_to_look_at() -> None:
    assert len(FILES) > 100


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_s2_s15_nothing_makes_code_or_objects_out_of_data(file: Path) -> None:
    tree = parsed(file)
    roots = {name.split(".")[0] for name in imported(tree)}
    assert not roots & NO_IMPORTS
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & NO_CALLS
    shells = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False"
    ]
    assert not shells


@pytest.mark.parametrize("file", PRODUCT, ids=lambda file: str(file.relative_to(ROOT)))
def test_s23_there_is_no_server(file: Path) -> None:
    tree = parsed(file)
    assert not imported(tree) & NO_SERVERS
    methods = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert "listen" not in methods or "event.listen(" in file.read_text(encoding="utf-8")
