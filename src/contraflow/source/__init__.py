"""The source database: the connection to it, its entities, and the keys by which they are known."""

from __future__ import annotations

from contraflow.source.database import Source
from contraflow.source.entities import Entity, EntitySpec
from contraflow.source.keys import KeyShape

__all__ = ["Entity", "EntitySpec", "KeyShape", "Source"]
