"""What happened to one record, whether it is due, and what comes next: for ``contraflow explain``."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.engine.looking import Seen, look
from contraflow.engine.memory import previous_of
from contraflow.errors import ConfigError, ContraflowError, Problem, near_match
from contraflow.ledger import DeadLetter, Ledger, encode_key
from contraflow.ledger.explaining import ItemRecord
from contraflow.options import options_of
from contraflow.readers.loading import explain_lazy_load
from contraflow_hookspecs import ConnectorError, IdFilter, Key

if TYPE_CHECKING:
    from contraflow.workspace import Workspace

logging.getLogger("contraflow.explain").setLevel(logging.ERROR)  # what a reader warns of is what is explained

_STATUSES: Mapping[str, str] = {
    "written": "the remote has it as it was last sent",
    "deleted": "it was removed at the remote, or left to it",
    "archived": "it was archived at the remote",
    "rejected": "it was refused",
    "deferred": "it was put off",
    "in_doubt": "it was sent, and nobody can say whether it arrived",
    "gone": "somebody else removed it at the remote",
    "conflict": "somebody else changed it at the remote, and it waits for a decision",
}


@attrs.frozen(kw_only=True)
class Place:
    """What is known of the record in one step into one integration."""

    integration: str
    job: str
    step: str
    key: Key
    status: str | None
    """The ledger's; ``in_flight`` if it was sent and no outcome is on record; ``None`` if it was never seen."""
    words: str
    """The status in plain words."""
    execution: int | None = None
    """The job execution that last changed it ..."""
    since: datetime | None = None
    """... and when that began."""
    confirmed: str | None = None
    """The fingerprint of what the remote last confirmed, shortened; ``None`` for nothing, or where nobody can say."""
    values: Mapping[str, Any] | None = None
    """What the remote last confirmed, where that was asked for and is remembered."""
    sent: tuple[str, ...] | None = None
    """The fields that were sent last; ``None`` for all of them, or where nothing was."""
    kept: tuple[str, ...] = ()
    """Fields that were left to the remote."""
    changes: int = 0
    """How many changes were sent."""
    remote_id: str | None = None
    remote_version: str | None = None
    dead_letter: DeadLetter | None = None
    conflict: int | None = None
    """The number in the review list."""
    held: bool = False
    """Whether no run resolves it by itself."""
    retry_at: datetime | None = None
    due: bool | None = None
    """Whether the next run sends it; ``None`` if that cannot be told."""
    why: str
    """Why, or why not."""
    fields: tuple[str, ...] = ()
    """The fields that differ."""
    next: str
    """What comes next."""


@attrs.frozen(kw_only=True)
class Explanation:
    """All places that a record may have gone to."""

    subject: str
    id: str
    places: tuple[Place, ...]


def explain(project: Workspace, subject: str, id: Any, *, show_values: bool = False) -> Explanation:  # noqa: A002
    """Explain one record, from the ledger and a look at its entity as it is now. Nothing is written.

    Args:
        project: The project.
        subject: An entity of the project; or an integration, ``INTEGRATION/JOB`` or ``INTEGRATION/JOB/STEP``.
        id: As for ``sync``.
        show_values: Whether to tell what the remote last confirmed, where the step remembers it.

    Raises:
        ConfigError: There is no such entity or integration, or the id has another shape than the key.
        LedgerError: The ledger cannot be opened.
    """
    places = []
    for job, step in steps_of(project, subject):
        with job.open_resource() as resource:
            (key,) = project.item_keys(job.integration, job.name, step.key, [id])
            places.append(_Explainer(project, job, step, resource, show_values=show_values).place(key))
    return Explanation(subject=subject, id=str(id), places=tuple(places))


def steps_of(project: Workspace, subject: str) -> Sequence[tuple[RunnableJob, RunnableStep]]:
    """The item steps that are meant."""
    config = project.config
    name, *narrower = subject.split("/")
    if subject in config.entities:
        found = [
            (job, step)
            for integration in config.integrations
            for job, step in _of_integration(project, integration, None)
            if step.parameters.get("entity") == subject
        ]
        if not found:
            raise ConfigError(Problem(message=f"no step of an integration exports the entity '{subject}'"))
        return found
    if name not in config.integrations or len(narrower) > 2:
        known = [*config.entities, *config.integrations]
        raise ConfigError(
            Problem(
                message=f"there is no entity and no integration '{subject}'",
                expected=f"one of {', '.join(known)}, or INTEGRATION/JOB/STEP",
                hint=near_match(subject, known),
            )
        )
    found = list(_of_integration(project, name, narrower[0] if narrower else None))
    if len(narrower) == 2:
        keys = [step.key for _, step in found]
        found = [(job, step) for job, step in found if step.key == narrower[1]]
        if not found:
            raise ConfigError(
                Problem(
                    message=f"job '{narrower[0]}' has no step '{narrower[1]}'",
                    expected=", ".join(keys),
                    hint=near_match(narrower[1], keys),
                )
            )
    return found


def _of_integration(project: Workspace, name: str, job: str | None) -> Iterator[tuple[RunnableJob, RunnableStep]]:
    integration = project.integration(name)
    names = project.job_names(integration) if job is None else (project.job_name(integration, job),)
    for each in names:
        runnable = project.assemble(integration, each)
        yield from ((runnable, step) for step in runnable.steps if step.reader is not None)


@attrs.frozen
class _Explainer:
    """Explains a record in one step."""

    project: Workspace
    job: RunnableJob
    step: RunnableStep
    resource: Any
    show_values: bool = attrs.field(kw_only=True)

    def place(self, key: Key) -> Place:
        ledger = self.project.existing_ledger()
        names: dict[str, Any] = {"integration": self.job.integration, "job": self.job.name, "step": self.step.key}
        stream = None if ledger is None else ledger.stream(**names)
        stream_id = None if stream is None else stream.id
        text = encode_key(key)
        record = None if ledger is None or stream_id is None else ledger.item_record(stream_id, text)
        sent = None if ledger is None or stream_id is None else ledger.in_flight_since(stream_id, text)
        seen: Seen | None = None
        try:
            seen = self._look(key, ledger, stream_id)
            trouble = ""
        except (ContraflowError, ConnectorError) as error:
            trouble = self.project.redact(str(error))
        verdict = _verdict(record, sent, seen, trouble, looks_first=self.step.parameters.get("conflicts") is not None)
        known: dict[str, Any] = {} if record is None else self._known(record)
        if sent is not None and (record is None or record.state.status != "in_doubt"):
            known |= {"status": "in_flight", "words": f"it was sent in execution {sent}, and no outcome is on record"}
        known.setdefault("status", None)
        known.setdefault("words", "it was never seen here")
        held = record is not None and record.state.status == "in_doubt" and sent is None
        return Place(**names, key=key, held=held, **known, **verdict)

    def _known(self, record: ItemRecord) -> dict[str, Any]:
        state = record.state
        return {
            "status": state.status,
            "words": _STATUSES[state.status],
            "execution": record.execution_id,
            "since": record.since,
            "confirmed": state.fingerprint[:16] if state.fingerprint else None,
            "values": previous_of(state) if self.show_values else None,
            "sent": None if state.changed is None else tuple(json.loads(state.changed)),
            "kept": tuple(sorted(json.loads(state.kept))) if state.kept else (),
            "changes": state.generation,
            "remote_id": state.remote_id,
            "remote_version": state.remote_version,
            "dead_letter": record.dead_letter,
            "conflict": record.conflict.id if record.conflict else None,
            "retry_at": None if state.retry_at is None else datetime.fromtimestamp(state.retry_at, UTC),
        }

    def _look(self, key: Key, ledger: Ledger | None, stream_id: int | None) -> Seen:
        job, step = self.job, self.step
        options = options_of(step.parameters, job.capabilities, step.parameter_location)
        # What `missing` says holds in runs by id, and the next one may be none.
        by_id = {} if step.wants_ids else {"missing": "warn"}
        context = attrs.evolve(
            job.context(step, self.project.source, "explain"),
            parameters={**step.parameters, "batch_size": 1, **by_id},
            resource=self.resource,
            filter=IdFilter(ids=(key,)),
        )
        return look(
            job, step, options, context, ledger, stream_id, explain=explain_lazy_load, now=lambda: datetime.now(UTC)
        )


def _verdict(
    record: ItemRecord | None, sent: int | None, seen: Seen | None, trouble: str, *, looks_first: bool
) -> dict[str, Any]:
    """Whether the record is due, why or why not, and what comes next."""
    status = None if record is None else record.state.status
    if sent is not None:
        return _no("a sending of it has no outcome yet", "the next run finds out what became of it")
    if status == "in_doubt":
        return _no(
            "it is held, as it might arrive twice", "look at the remote, and settle or resend it by `contraflow held`"
        )
    if seen is None:
        return {"due": None, "why": f"its entity cannot be looked at: {trouble}", "next": "run `contraflow check`"}
    if status == "conflict" and seen.outcome in ("update", "create", "delete") and record and record.conflict:
        number = record.conflict.id
        return _no("it waits for a decision", f"`contraflow conflicts settle {number} --take local` or `remote`")
    if seen.outcome in ("create", "update", "delete"):
        return _due(seen, looks_first=looks_first)
    return _not_due(seen, record)


def _due(seen: Seen, *, looks_first: bool) -> dict[str, Any]:
    look_first = " after a look at what the remote has" if looks_first and seen.outcome != "create" else ""
    fields = tuple(sorted(seen.changed)) if seen.changed is not None else ()
    why, verb = "the remote has nothing of it", "sends"
    if seen.outcome == "delete":
        why, verb = "it is to be removed", "removes"
    elif seen.outcome == "update" and fields:
        why = f"it differs: {', '.join(fields)}"
    elif seen.outcome == "update":
        why = "it may differ: what the remote has of its fields is not known"
    return {"due": True, "why": why, "fields": fields, "next": f"the next run {verb} it{look_first}"}


def _not_due(seen: Seen, record: ItemRecord | None) -> dict[str, Any]:
    match seen.outcome:
        case "unchanged":
            return _no("nothing has changed", "it is sent when its entity or the mapping changes")
        case "filtered":
            return _no(f"the processor leaves it out: {seen.reason}", "it is looked at again in each run")
        case "rejected" if seen.refused_before:
            return _no(seen.reason, "it is tried again when it changes, or by `contraflow dead-letters retry`")
        case "rejected":
            return _no(f"it cannot be sent as it is: {seen.reason}", "it is tried again in each run")
        case "deferred":
            return _no(seen.reason, "it is sent when that time has come, or by `contraflow sync --id`")
        case "missing":
            there = record is not None and record.state.fingerprint is not None
            return _no("the source does not have it", _NEXT_IF_MISSING if there else "nothing, unless it appears there")
    return _no(seen.reason or seen.outcome, "nothing, unless the step's parameters change")


_NEXT_IF_MISSING = "the remote keeps it, unless the step's parameter `deletions`, or by id `missing`, says otherwise"


def _no(why: str, following: str) -> dict[str, Any]:
    return {"due": False, "why": why, "next": following}
