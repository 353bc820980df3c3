"""The project on disk that the tests of the commands use, here to be attacked."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[1] / "cli" / "conftest.py"
_spec = importlib.util.spec_from_file_location("project_on_disk", _FILE)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

directory = _module.directory
project = _module.project
make_project = _module.make_project


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Make a project for several tests, to be run and then copied; the current directory is its own meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        made = []

        def make(name: str) -> Any:
            directory = tmp_path_factory.mktemp(name)
            patch.chdir(directory)
            made.append(make_project(directory))
            return made[-1]

        yield make
        for each in made:
            each.forget_modules()
