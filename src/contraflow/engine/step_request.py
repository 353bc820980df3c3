"""What a run asks of one of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from contraflow.assembly import RunnableStep
from contraflow.engine.spool import Planned
from contraflow.options import StepOptions
from contraflow_hookspecs import IdFilter, Key


@attrs.frozen(kw_only=True)
class StepRequest:
    """One step of a run, with everything that the run says of it."""

    step: RunnableStep
    parameters: Mapping[str, Any]
    options: StepOptions
    filter: IdFilter
    digest: str
    """Of parameters and filter: only the same request may be resumed."""
    checkpoint: Key | None = None
    """Where an interrupted execution of the same request had come to."""
    force: bool = False
    """Whether items are sent also if the remote holds them."""
    cursor: str | None = None
    """Where the last complete one had come to, for readers of changes."""
    why_everything: str | None = None
    """Why a reader of changes has to read everything."""
    plan: Mapping[str, Planned] | None = None
    """What may be sent, by key text; ``None`` for everything that differs."""
