"""A plan, as it is shown and saved."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import attrs

from contraflow.engine.spool import CHANGES, Planned, Spool
from contraflow.ledger import decode_key
from contraflow.redaction import Redactor
from contraflow_hookspecs import Key

LEFT_OUT = ("rejected", "held", "deferred")
"""What would not be sent although it differs."""


@attrs.frozen(kw_only=True)
class PlannedItem:
    """What would become of one item."""

    key: Key
    operation: str
    """``create``, ``update`` or ``delete``; ``rejected``, ``held`` or ``deferred`` if it would not be sent."""
    changed: tuple[str, ...] | None = None
    """Names of the fields that differ; ``None`` where nobody can say."""
    values: Mapping[str, Mapping[str, Any]] | None = None
    """By field, ``old`` and ``new``, without secrets; only where they are remembered, or were asked for."""
    reason: str | None = None
    """Why it would not be sent."""


@attrs.frozen(kw_only=True)
class StepPlan:
    """What one step would do."""

    step: str
    counts: Mapping[str, int]
    """How many items would be ``create``, ``update``, ``delete``, and have which other outcome."""
    guard: str | None = None
    """The limits that would stop it."""
    approval: str | None = None
    """The digest that would release it."""
    note: str | None = None
    """Why there is nothing to see, or what else people should know."""
    spool: Spool = attrs.field(repr=False, eq=False)

    @property
    def changes(self) -> int:
        """How many items would be sent."""
        return sum(self.counts.get(operation, 0) for operation in CHANGES)

    def items(self, *operations: str, most: int = -1) -> Iterator[PlannedItem]:
        """What would be done, by operation: all that would be sent, unless others are named; or the first few of it."""
        return map(_item, self.spool.entries(*(operations or CHANGES), most=most))

    def entries(self) -> Iterator[Planned]:
        """What would be sent, as a file keeps it."""
        return self.spool.entries(*CHANGES)


@attrs.frozen(kw_only=True)
class Plan:
    """What a run would do. A context manager; close it to give back its place on the disk."""

    project: str
    """Digest of what the run reads and where it sends."""
    ledger: str | None
    """Id of the ledger; ``None`` if there is none yet."""
    integration: str
    job: str
    force: bool
    parameters: Mapping[str, Any]
    """The parameters of the run, as they were given."""
    made: datetime
    steps: Sequence[StepPlan]
    redact: Redactor = attrs.field(repr=False, eq=False)

    @property
    def changes(self) -> int:
        """How many items would be sent."""
        return sum(step.changes for step in self.steps)

    @property
    def digest(self) -> str:
        """Of everything that would be sent: two plans of one digest would do the same."""
        return content_digest((step.step, step.entries()) for step in self.steps)

    def save(self, path: str | os.PathLike[str], *, values: bool = False) -> int:
        """Write the plan to a file, from which :meth:`contraflow.project.Project.apply` carries it out.

        Args:
            path: Where. What is there is replaced.
            values: Whether the file is to hold old and new values of the fields, for people.

        Returns:
            How many items are left out, because their keys spell a secret of the project.

        Raises:
            PlanError: The file cannot be written, or a parameter of the run is a secret.
        """
        from contraflow.plans.file import write_plan

        return write_plan(self, path, redact=self.redact, values=values)

    def close(self) -> None:
        """Forget what would be done."""
        for step in self.steps:
            step.spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def content_digest(steps: Iterable[tuple[str, Iterable[Planned]]]) -> str:
    """The digest of what would be sent."""
    digest = hashlib.blake2b(digest_size=16)
    for step, entries in steps:
        digest.update(json.dumps(step).encode())
        for entry in entries:
            digest.update(json.dumps(entry[:5]).encode())
    return digest.hexdigest()


def _item(entry: Planned) -> PlannedItem:
    return PlannedItem(
        key=decode_key(entry.key),
        operation=entry.operation,
        changed=None if entry.changed is None else tuple(json.loads(entry.changed)),
        values=None if entry.values is None else json.loads(entry.values),
        reason=entry.reason,
    )
