"""``import contraflow``: the Python API is at hand, and costs only those who ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import contraflow
from contraflow import Project
from contraflow.project import Project as OfItsModule


def test_the_project_is_at_the_front_door() -> None:
    assert Project is OfItsModule


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'contraflow' has no attribute 'Projekt'"):
        contraflow.Projekt  # noqa: B018


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, contraflow; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.startswith("contraflow.")]
    assert not {"sqlalchemy", "yaml", "click"} & loaded
