"""contraflow keeps remote systems in step with your own database.

>>> from contraflow import Project
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contraflow.project import Project

__all__ = ["Project", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Only for those who ask: the command line, and each of its parts, import this package first.
    if name == "Project":
        return import_module("contraflow.project").Project
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
