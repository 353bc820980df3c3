"""A new connector's package is whole: it installs, its tests pass, and a project uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contraflow.cli.app import app


def new_connector(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new-connector", *arguments])


@pytest.mark.parametrize("kind", ["python", "http"])
def test_a_new_package_installs_and_its_tests_pass(tmp_path: Path, kind: str) -> None:
    made = new_connector("acme-crm", "--kind", kind, "--into", str(tmp_path), "--title", "Acme & Sons")
    assert made.exit_code == 0, made.output
    assert "make test" in made.output
    package, site = tmp_path / "contraflow-acme-crm", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(site), str(package)], check=True, capture_output=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout[-3000:]
    assert "earned  class B" in tests.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "contraflow", "plugins", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = {plugin["name"]: plugin for plugin in json.loads(listed.stdout)["plugins"]}
    assert found["acme-crm"]["error"] is None


def test_without_the_authors_tools_both_commands_say_what_to_install(tmp_path: Path) -> None:
    hide = "import sys\nsys.modules['copier'] = sys.modules['pytest'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    for command, tool in (("new-connector", "copier"), ("conformance", "pytest")):
        done = subprocess.run(
            [sys.executable, "-m", "contraflow", command, "acme"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        first, second = done.stderr.splitlines()
        assert first.startswith("Error: ")
        assert first.endswith(f"needs {tool}")
        assert (
            second == "    hint: pip install 'contraflow[testing]', or in a clone: pip install ./hookspecs '.[testing]'"
        )


@pytest.mark.parametrize("kind", ["python", "http"])
def test_a_new_package_is_typed_and_tidy(tmp_path: Path, kind: str) -> None:
    new_connector("acme", "--kind", kind, "--into", str(tmp_path))
    package = tmp_path / "contraflow-acme"
    for command in (["mypy", "--strict", "src"], ["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        options = [] if command[0] == "mypy" else ["--isolated", "--config", "line-length=120"]
        done = subprocess.run(
            [sys.executable, "-m", *command, *options],
            cwd=package,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9lives", "did you mean 'lives'?"),
        ("Señor", "did you mean 'senor'?"),
        ("acme/crm", "did you mean 'acme-crm'?"),
        ("..", "letters of the alphabet and digits"),
        ("contraflow-", "letters of the alphabet and digits"),
        ("http", "a plugin of the name 'http' is installed already"),
        ("entity.all", None),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, expected: str | None) -> None:
    made = new_connector(name, "--into", str(tmp_path))
    if expected is None:
        assert made.exit_code == 0  # the dot becomes a hyphen, so it is another name
        return
    assert made.exit_code == 2
    assert expected in made.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "contraflow-acme"
    there.mkdir()
    made = new_connector("Acme", "--into", str(tmp_path))
    assert made.exit_code == 2
    assert "this folder is already there" in made.output
    assert list(there.iterdir()) == []


def test_a_title_cannot_break_out_of_where_it_stands(tmp_path: Path) -> None:
    made = new_connector("acme", "--into", str(tmp_path), "--title", 'Acme"; import os')
    assert made.exit_code == 2
    assert "expected letters, digits" in made.output


def test_programs_get_json(tmp_path: Path) -> None:
    made = new_connector("acme", "--into", str(tmp_path), "--json")
    answer = json.loads(made.stdout)
    assert answer["plugin"] == "acme"
    assert str(tmp_path / "contraflow-acme" / "pyproject.toml") in answer["files"]
