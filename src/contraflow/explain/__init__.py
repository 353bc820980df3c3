"""What happened to one record, whether it is due, and what comes next: for ``contraflow explain``."""

from __future__ import annotations

from contraflow.explain.explaining import explain
from contraflow.explain.place import Explanation, Place
from contraflow.explain.subject import steps_of

__all__ = ["Explanation", "Place", "explain", "steps_of"]
