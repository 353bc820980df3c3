"""Whom to tell what happens in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from contraflow.plugins import Plugins


@attrs.frozen(kw_only=True)
class Observers:
    """What is to be called when something happens; ``None`` where nobody listens."""

    job_started: Callable[..., None] | None = None
    job_finished: Callable[..., None] | None = None
    step_started: Callable[..., None] | None = None
    step_finished: Callable[..., None] | None = None
    chunk_settled: Callable[..., None] | None = None
    item_filtered: Callable[..., None] | None = None
    item_rejected: Callable[..., None] | None = None

    @classmethod
    def of(cls, plugins: Plugins) -> Observers:
        """Everybody among the plugins who wants to know."""
        return cls(**{field.name: plugins.notifier(field.name) for field in attrs.fields(cls)})

    @staticmethod
    def tell(observer: Callable[..., None] | None, **arguments: Any) -> None:
        """Call an observer, if there is one."""
        if observer is not None:
            observer(**arguments)
