"""The entries under ``jobs:`` of a project file: paths and patterns to files."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from contraflow.config.files import is_directory, is_file, names_in
from contraflow.config.nodes import ScalarNode, shortened
from contraflow.errors import Problem, near_match


def find_job_files(directory: Path, entries: Iterable[ScalarNode], problems: list[Problem]) -> tuple[Path, ...]:
    """The job files, absolute, each once, in the order of the entries; the files of one pattern in alphabetic order.

    Args:
        directory: Where relative paths begin.
        entries: Paths, or patterns with ``*``, ``?``, ``[…]``, and ``**`` for any depth of directories.
        problems: Where a file that is missing is noted.
    """
    files: dict[Path, Path] = {}
    for entry in entries:
        path = directory / entry.text
        found = [path] if is_file(path) else _matching(directory, entry.text)
        if not found:
            problems.append(_missing(path, entry))
        for file in found:
            files.setdefault(file.resolve(), file)
    return tuple(files.values())


def _matching(directory: Path, pattern: str) -> list[Path]:
    if not glob.has_magic(pattern):
        return []
    # Path.glob() takes no absolute patterns, and would read the directory's own name as a pattern.
    names = glob.glob(pattern, root_dir=directory, recursive=True)  # noqa: PTH207
    return sorted(match for match in (directory / name for name in names) if is_file(match))


def _missing(path: Path, entry: ScalarNode) -> Problem:
    shown = "the file" if entry.from_environment else f"'{shortened(entry.text)}'"
    location = entry.place.location
    if is_directory(path):
        hint = f"for all its files: {entry.text.rstrip('/')}/*.yml"
        return Problem(message=f"{shown} is a directory, not a job file", location=location, hint=hint)
    if glob.has_magic(entry.text):
        return Problem(message=f"{shown} matches no file", location=location, expected="at least one job file")
    near = near_match(path.name, names_in(path.parent))
    return Problem(message=f"{shown} does not exist", location=location, expected="a job file", hint=near)
