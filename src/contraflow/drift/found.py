"""What a comparison with the remote found."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from contraflow_hookspecs import JobExecution, Key

Kind = Literal["edited", "missing", "extra"]


@attrs.frozen(kw_only=True)
class FieldDrift:
    """One field that somebody edited."""

    name: str
    confirmed: Any
    """What the remote last confirmed; ``None`` if the step does not remember payloads."""
    remote: Any


@attrs.frozen(kw_only=True)
class ItemDrift:
    """One record that is not as it was last confirmed."""

    job: str
    step: str
    kind: Kind
    key: Key | None
    """``None`` for a record that is not ours."""
    remote_id: str | None
    fields: tuple[FieldDrift, ...] = ()
    values_known: bool = False
    """Whether the ledger knows what was confirmed, and not only digests of it."""


@attrs.frozen(kw_only=True)
class StepDrift:
    """What the comparison of one step came to."""

    job: str
    step: str
    compared: int = 0
    edited: int = 0
    missing: int = 0
    extra: int | None = None
    """``None`` where the remote's records were not listed."""
    unread: int = 0
    """Records that the remote did not tell."""
    blind: bool = False
    """Whether nothing could be compared."""
    note: str = ""
    """Why something could not be compared."""


@attrs.frozen(kw_only=True)
class Drift:
    """What a comparison found."""

    integration: str
    sampled: bool
    steps: tuple[StepDrift, ...]
    items: tuple[ItemDrift, ...]
    repairs: tuple[JobExecution, ...] = ()
    """The runs that repaired it."""

    @property
    def found(self) -> bool:
        """Whether anything differs."""
        return bool(self.items)
