"""What the program was told before its command, and the project that it was told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from contraflow.redaction import Redactor

if TYPE_CHECKING:
    from contraflow.project import Project


@attrs.define
class State:
    """What the program knows before it knows the project."""

    project: str = "."
    debug: bool = False
    json: bool = False
    redact: Redactor = attrs.field(factory=Redactor)


def load_project(state: State) -> Project:
    """Load the project that the person named, and from here on hide its secrets."""
    from contraflow.project import Project

    return Project.load(state.project, redact=state.redact)
