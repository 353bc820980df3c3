"""A connector that leans on what is not the contract. (In a file of its own: all of a file counts.)"""

from __future__ import annotations

from sound import Upsert

from contraflow.errors import near_match


class ImportsTheEngine(Upsert):
    """Imports a module of `contraflow` itself."""

    def nearest(self, name: str) -> str | None:
        return near_match(name, ["name"])
