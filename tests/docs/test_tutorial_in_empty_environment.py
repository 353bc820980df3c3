"""The tutorial for authors, followed for real: in an empty environment, with its pip, its python and its contraflow."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_PIP = """#!/bin/bash
# What the page installs of the clone is named from there.
paths=()
for path in "${{@:2}}"; do
    [ "$path" = -e ] || [ -e "${{path%%\\[*}}/pyproject.toml" ] || path={root}/$path
    paths+=("$path")
done
exec {python} -m pip install --quiet --disable-pip-version-check "${{paths[@]}}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with nothing in it but pip."""
    path = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True, timeout=120)
    pip = [path / "bin" / "python", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path / "tried"]
    tried = subprocess.run([*pip, "attrs"], capture_output=True, text=True, timeout=120, check=False)
    if tried.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(tried.stderr)
        pytest.skip(f"no package index: {tried.stderr[-200:]}")
    return path


def test_from_nothing_to_a_first_sync(environment: Path, follower: Any, tutorial: Any) -> None:
    own = follower.home / "bin"
    for program in ("python", "contraflow"):
        (own / program).unlink()
    named = {"root": shlex.quote(str(ROOT)), "python": shlex.quote(str(environment / "bin" / "python"))}
    (own / "pip").write_text(_PIP.format(**named), encoding="utf-8")
    for name in ("PYTHONPATH", "PYTHONWARNINGS"):
        follower.environ.pop(name)
    follower.environ["PATH"] = f"{own}:{environment / 'bin'}:{os.environ['PATH']}"
    follower.give_port("ACME_PORT")

    follower.follow(tutorial)

    found = subprocess.run(
        [environment / "bin" / "python", "-c", "import contraflow, contraflow_acme; print(contraflow.__file__)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=follower.home,
    )
    assert found.stdout.startswith(str(environment))
