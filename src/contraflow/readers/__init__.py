"""The built-in readers: plugins like any other, found by name.

``entity.by_id`` reads the entities whose ids are asked for, ``entity.all`` a whole entity, ``entity.changed`` what changed
in a large one, ``query`` the rows of a SELECT.
"""

from __future__ import annotations

from collections.abc import Mapping

READERS: Mapping[str, str] = {
    "entity.all": "contraflow.readers.all",
    "entity.by_id": "contraflow.readers.by_id",
    "entity.changed": "contraflow.readers.changed",
    "query": "contraflow.readers.query",
}
"""Plugin name to module. Each module also has ``check(parameters, source, location)``, which finds wrong parameters."""
