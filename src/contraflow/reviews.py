"""The review list: records that somebody changed at the remote, and that wait for a person to say which version holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.errors import ConfigError, Problem, near_match
from contraflow.payloads import decode_payload
from contraflow.readers import READERS
from contraflow_hookspecs import JobExecution, Key

if TYPE_CHECKING:
    from contraflow.engine.stopping import StopRequest
    from contraflow.ledger import ItemConflict
    from contraflow.project import Project

ALL = ""
"""Stands for all fields that are not named."""
_SIDES = ("local", "remote")


@attrs.frozen(kw_only=True)
class FieldConflict:
    """The three values of one field."""

    name: str
    base: Any
    """What the remote last confirmed; ``None`` if the step does not remember payloads."""
    local: Any
    remote: Any
    waits: bool
    """Whether it has to be decided; otherwise both sides agree, or a policy has decided."""


@attrs.frozen(kw_only=True)
class ConflictView:
    """An item of the review list."""

    id: int
    integration: str
    job: str
    step: str
    key: Key
    removal: bool
    """Whether the entity is gone, and the question is if the record is to be removed as well."""
    base_known: bool
    """Whether the ledger knows what was last confirmed."""
    fields: tuple[FieldConflict, ...]
    decision: Mapping[str, str] | None
    """What was decided and is not carried out yet."""
    execution: int
    """The job execution that found it."""
    since: datetime

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of the fields that have to be decided."""
        return tuple(field.name for field in self.fields if field.waits)


def conflicts(project: Project, *, integration: str | None = None, limit: int = 100) -> Sequence[ConflictView]:
    """The items that wait, by number."""
    ledger = project.existing_ledger()
    return [_view(each) for each in ledger.conflicts(integration=integration, limit=limit)] if ledger else []


def conflict(project: Project, number: int) -> ConflictView:
    """The item of this number.

    Raises:
        ConfigError: There is none.
    """
    return _view(_kept(project, number))


def settle(
    project: Project, number: int, take: Mapping[str, str], *, wait: bool = False, stop: StopRequest | None = None
) -> JobExecution:
    """Decide, and carry it out: a run of just that item sends ours where that was taken, and leaves the rest.

    The decision holds for what the person saw. If either side has changed meanwhile, the item waits again.

    Args:
        project: The project.
        number: The item's number.
        take: Field to ``local`` or ``remote``; under ``""`` what holds of all fields that are not named.
        wait: Whether to wait while another process runs the job.
        stop: Set it to end the run early.

    Returns:
        The execution.

    Raises:
        ConfigError: There is no such item or field, or a field is left undecided; nothing was changed.
        RequestRecordedError: Another process runs the job, and carries it out afterwards.
        ContraflowError: As ``sync``.
    """
    kept = _kept(project, number)
    problems = list(_problems(kept, take))
    if problems:
        raise ConfigError(*problems)
    if not project.ledger().decide_conflict(kept, take):
        raise ConfigError(
            Problem(
                message=f"conflict {number} has changed while it was looked at",
                hint=f"contraflow conflicts show {number}",
            )
        )
    return project.sync(
        kept.integration,
        job=kept.job,
        steps=(kept.step,),
        ids=[kept.key],
        parameters=_removing(project, kept),
        wait=wait,
        stop=stop,
    )


def _removing(project: Project, kept: ItemConflict) -> Mapping[str, str]:
    """What lets a run of just that item remove it, where a complete read had found that it is gone."""
    if kept.local is not None:
        return {}
    job = project.assemble(project.integration(kept.integration), kept.job)
    for step in job.steps:
        removal = step.parameters.get("deletions")
        if step.key == kept.step and step.reader is not None and step.reader.plugin in READERS:
            return {"missing": removal} if removal in ("delete", "archive") else {}
    return {}


def _kept(project: Project, number: int) -> ItemConflict:
    ledger = project.existing_ledger()
    found = ledger.conflict(number) if ledger else None
    if found is None:
        raise ConfigError(Problem(message=f"there is no conflict {number}", hint="`contraflow conflicts` lists them"))
    return found


def _problems(kept: ItemConflict, take: Mapping[str, str]) -> Iterator[Problem]:
    for name, side in take.items():
        if side not in _SIDES:
            yield Problem(
                message=f"'{side}' is no side", expected="local or remote", hint=near_match(str(side), _SIDES)
            )
        if name != ALL and name not in kept.fields:
            yield Problem(
                message=f"field '{name}' of conflict {kept.id} does not wait for a decision",
                expected=", ".join(kept.fields) or "local or remote, since the whole record is meant",
                hint=near_match(name, kept.fields),
            )
    left = [name for name in kept.fields or (ALL,) if name not in take]
    if left and ALL not in take:
        names = ", ".join(left)
        yield Problem(
            message=f"conflict {kept.id} is not decided" + (f": {names}" if names else ""),
            expected="local or remote for each field, or for all",
        )


def _view(kept: ItemConflict) -> ConflictView:
    base = _payload(kept.base)
    local, remote = _payload(kept.local), _payload(kept.remote)
    names = dict.fromkeys((*local, *remote))
    return ConflictView(
        id=kept.id,
        integration=kept.integration,
        job=kept.job,
        step=kept.step,
        key=kept.key,
        removal=kept.local is None,
        base_known=kept.base is not None,
        fields=tuple(
            FieldConflict(
                name=name,
                base=base.get(name),
                local=local.get(name),
                remote=remote.get(name),
                waits=name in kept.fields,
            )
            for name in names
        ),
        decision=kept.decision,
        execution=kept.execution_id,
        since=kept.recorded,
    )


def _payload(text: str | None) -> Mapping[str, Any]:
    from contraflow.ledger.failures import foreign_row

    try:
        return decode_payload(text) if text else {}
    except ValueError as error:
        raise foreign_row(f"a payload: {error}") from None
