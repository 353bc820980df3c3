"""Looking at the file system without stumbling over names that no file can have."""

from __future__ import annotations

import os
from pathlib import Path


def display_name(path: Path) -> str:
    """The path as messages show it: relative to the current directory where that is shorter."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - Path.absolute() keeps "..", which would make it longer
    try:
        return min(os.path.relpath(absolute), absolute, key=len)
    except (ValueError, OSError):  # Another drive, or a current directory that is gone.
        return absolute


def is_file(path: Path) -> bool:
    """Whether the path is a file; false, too, for names that are too long or not allowed."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_directory(path: Path) -> bool:
    """Whether the path is a directory; false, too, for names that are too long or not allowed."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def names_in(directory: Path) -> list[str]:
    """The names in a directory, sorted; none if it cannot be read."""
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except (OSError, ValueError):
        return []
