"""Forget one record: remove or anonymise it in every remote that has it, and in the ledger. For ``contraflow forget``.

Begun is recorded first, and each remote is settled for itself, so that whoever was interrupted calls it again: forgetting
what is forgotten does nothing. A digest of the key stays, by which later runs leave the record out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep, Stage
from contraflow.engine.chunk import Intended
from contraflow.engine.leadership import Leadership, take
from contraflow.engine.rate import RateLimiter
from contraflow.engine.retry import Retries
from contraflow.engine.sending import Sender
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, Problem
from contraflow.explain import steps_of
from contraflow.ledger import ItemState, Ledger, display_key, encode_key
from contraflow.options import options_of
from contraflow.readers.entity_parameters import select_entity
from contraflow.readers.ids import read_by_ids
from contraflow.readers.parameters import Missing
from contraflow.references import Referrer
from contraflow.step_check import lacking_for
from contraflow_hookspecs import Change, ConnectorError, Gone, Key, Operation, StepContext, WriteResult, Written

if TYPE_CHECKING:
    from contraflow.workspace import Workspace


@attrs.frozen(kw_only=True)
class ForgottenPlace:
    """One step into one integration, and what becomes of the record there."""

    integration: str
    job: str
    step: str
    key: Key
    remote_id: str | None
    what: str
    """``forget``, ``delete``, or ``nothing`` where the remote has nothing of it."""
    children: Mapping[str, int] = attrs.field(factory=dict)
    """How many records there refer to it and stay, by the names of their jobs and steps, ``JOB/STEP``."""
    done: bool = False
    trouble: str = ""
    """Why it is not done; then call it again."""


@attrs.frozen(kw_only=True)
class Forgotten:
    """What became of a record."""

    entity: str
    id: str
    places: tuple[ForgottenPlace, ...]
    in_source: bool | None
    """Whether the source still has it; ``None`` if that could not be looked at."""

    @property
    def done(self) -> bool:
        """Whether it is forgotten everywhere."""
        return all(place.done for place in self.places)


@attrs.frozen
class _Spot:
    """A place with all that is needed to act there."""

    place: ForgottenPlace
    job: RunnableJob
    step: RunnableStep
    stream_id: int
    referring: Sequence[tuple[int, str]]
    """The streams whose items may refer to the record, with the names of these references."""


def forget(
    project: Workspace,
    entity: str,
    id: Any,  # noqa: A002 - what people call it
    *,
    now: Callable[[], datetime],
    dry_run: bool = False,
    wait: bool = False,
    stop: StopRequest | None = None,
) -> Forgotten:
    """Forget one record everywhere.

    Args:
        project: The project.
        entity: The record's entity.
        id: As for ``sync``.
        now: The clock.
        dry_run: Only say where it is and what would be done.
        wait: Whether to wait while another process runs a job.
        stop: Ends it early; what is left is done by the next call.

    Returns:
        What became of it, for each place where it was.

    Raises:
        ConfigError: There is no such entity; the id has another shape than the key; or a remote that has the record cannot
            remove it. Nothing was done then.
        JobRunningError: Another process runs one of the jobs.
        LedgerError: The ledger cannot be opened or written.
    """
    ledger = project.existing_ledger()
    job, step = steps_of(project, entity)[0]
    (key,) = project.item_keys(job.integration, job.name, step.key, [id])
    in_source = _in_source(project, entity, key)
    spots = list(_spots(project, ledger, entity, id)) if ledger else []
    if ledger is None or dry_run:
        return Forgotten(entity=entity, id=str(id), places=tuple(spot.place for spot in spots), in_source=in_source)
    stop, key_text = stop if stop is not None else StopRequest(), encode_key(key)
    if spots:
        ledger.begin_forgetting(entity, key_text)
    done = []
    for spot in spots:
        names = (spot.job.integration, spot.job.name)
        with take(ledger, *names, now=now, stop=stop, wait=wait) as leadership:
            done.append(_forget_there(project, ledger, spot, leadership, stop))
    found = Forgotten(entity=entity, id=str(id), places=tuple(done), in_source=in_source)
    if found.done:
        ledger.end_forgetting(entity, key_text)
    return found


def allow_again(project: Workspace, entity: str, id: Any, *, now: Callable[[], datetime]) -> int:  # noqa: A002
    """Let a forgotten record be sent again; in how many steps it was forgotten.

    Raises:
        ConfigError: There is no such entity, or the id has another shape than the key.
        JobRunningError: Another process runs one of the jobs.
        LedgerError: The ledger cannot be opened or written.
    """
    ledger = project.existing_ledger()
    if ledger is None:
        return 0
    number = 0
    for job, step in steps_of(project, entity):
        stream = ledger.stream(integration=job.integration, job=job.name, step=step.key)
        (key,) = project.item_keys(job.integration, job.name, step.key, [id])
        if stream is not None:
            with take(ledger, job.integration, job.name, now=now, stop=StopRequest()) as leadership:
                number += ledger.allow_again(leadership.lease, stream.id, encode_key(key))
    return number


def _spots(project: Workspace, ledger: Ledger, entity: str, id: Any) -> Iterator[_Spot]:  # noqa: A002
    """Every step that the ledger knows to have the record.

    Raises:
        ConfigError: One of them cannot remove it, or is not sure what is there; names all.
    """
    problems: list[Problem] = []
    spots = []
    for job, step in steps_of(project, entity):
        names = {"integration": job.integration, "job": job.name, "step": step.key}
        (key,) = project.item_keys(job.integration, job.name, step.key, [id])
        stream = ledger.stream(**names)
        text = encode_key(key)
        record = None if stream is None else ledger.item_record(stream.id, text)
        if stream is None or (record is None and ledger.in_flight_since(stream.id, text) is None):
            continue
        where = f"{job.integration}, {job.name}, {step.key}: {display_key(key)}"
        if record is None or record.state.status == "in_doubt" or ledger.in_flight_since(stream.id, text) is not None:
            problems.append(
                Problem(
                    message=f"{where}: nobody can say whether what was sent last has arrived",
                    hint="run `contraflow sync`, and settle what is held by `contraflow held`, first",
                )
            )
            continue
        what = _what(job, step, record.state)
        lacking: Sequence[str] = ()
        if what == "forget" and step.forgetter is not None:
            context = job.context(step, project.source, "forget")
            lacking = lacking_for(project.plugins, [step.forgetter.plugin], context, "forget")
        problems += [Problem(message=f"{where}: {project.redact(sentence)}") for sentence in lacking]
        if what is None:
            problems.append(
                Problem(
                    message=f"{where}: its connector can neither forget nor delete",
                    found=f"no hook forget_items, and a remote that declares no delete ('{job.connector}')",
                    hint="remove it there by hand; `contraflow drift --repair` then notes that it is gone",
                )
            )
            continue
        place = ForgottenPlace(
            integration=job.integration,
            job=job.name,
            step=step.key,
            key=key,
            remote_id=record.state.remote_id,
            what=what,
            children=_children(ledger, job.integration, step, text),
        )
        spots.append(_Spot(place, job, step, stream.id, list(_referring(ledger, job.integration, step).values())))
    if problems:
        raise ConfigError(*problems)
    yield from spots


def _referring(ledger: Ledger, integration: str, step: RunnableStep) -> dict[Referrer, tuple[int, str]]:
    found = {}
    for each in step.referrers:
        stream = ledger.stream(integration=integration, job=each.job, step=each.step)
        if stream is not None:
            found[each] = (stream.id, each.name)
    return found


def _children(ledger: Ledger, integration: str, step: RunnableStep, key_text: str) -> Mapping[str, int]:
    numbers: dict[str, int] = {}
    for each, (stream_id, name) in _referring(ledger, integration, step).items():
        for children in ledger.children_of(stream_id, name, [key_text]).values():
            place = f"{each.job}/{each.step}"
            numbers[place] = numbers.get(place, 0) + children.number
    return numbers


def _what(job: RunnableJob, step: RunnableStep, state: ItemState) -> str | None:
    if state.status in ("deleted", "gone") or (state.fingerprint is None and state.remote_id is None):
        return "nothing"
    if step.forgetter is not None:
        return "forget"
    return "delete" if job.capabilities.delete and step.writer is not None else None


def _context(
    project: Workspace, job: RunnableJob, step: RunnableStep, *, parameters: Mapping[str, Any], resource: Any = None
) -> StepContext:
    return attrs.evolve(job.context(step, project.source, "forget"), parameters=parameters, resource=resource)


def _forget_there(
    project: Workspace, ledger: Ledger, spot: _Spot, leadership: Leadership, stop: StopRequest
) -> ForgottenPlace:
    place, text = spot.place, encode_key(spot.place.key)
    state = ledger.item_states(spot.stream_id, [text]).get(text)
    stage = spot.step.forgetter if place.what == "forget" else spot.step.writer
    if place.what != "nothing" and state is not None and stage is not None:
        with spot.job.open_resource() as resource:
            result = _send(project, ledger, spot, state, stage, resource, leadership, stop)
        if not isinstance(result, Written | Gone):
            reason = getattr(result, "reason", "the record was changed at the remote meanwhile")
            return attrs.evolve(place, trouble=project.redact(reason))
    ledger.forget_item(leadership.lease, spot.stream_id, text, referring=spot.referring)
    return attrs.evolve(place, done=True)


def _send(
    project: Workspace,
    ledger: Ledger,
    spot: _Spot,
    state: ItemState,
    stage: Stage,
    resource: Any,
    leadership: Leadership,
    stop: StopRequest,
) -> WriteResult:
    job, step = spot.job, spot.step
    options = options_of(step.parameters, job.capabilities, step.parameter_location)
    digest = hashlib.blake2b(f"{ledger.id}\0{spot.stream_id}\0{state.key}\0{state.generation}".encode(), digest_size=16)
    change = Change(
        key=spot.place.key,
        operation=Operation.DELETE,
        remote_id=state.remote_id,
        remote_version=state.remote_version,
        idempotency_key=f"cf1-f{digest.hexdigest()}",
    )
    sender = Sender(
        writer=stage,
        archiver=None,
        context=_context(project, job, step, parameters=step.parameters, resource=resource),
        retries=Retries(policy=options.retry, stop=stop),
        limiter=RateLimiter(rate=options.rate, stop=stop),
        stop=stop,
        check=leadership.check,
    )
    sent = sender.send(
        [Intended(change, state.key, "forgotten", state.generation + 1, state)], lambda certain, results, attempt: None
    )
    return sent.results[change.key]


def _in_source(project: Workspace, entity: str, key: Key) -> bool | None:
    """Whether the source has the record, so that people know where it is left."""
    if project.source is None or entity not in project.source.entity_names:
        return None
    selection = select_entity({"entity": entity}, project.source)
    found = read_by_ids(
        project.source,
        selection,
        [key],
        page_size=1,
        missing=Missing.WARN,
        logger=logging.getLogger("contraflow.forget.source"),
    )
    try:
        return next(found, None) is not None
    except ConnectorError:
        return None


def summary(found: Forgotten) -> Sequence[str]:
    """What became of a record, a line for each place."""
    verbs = {
        "forget": "forgotten by its connector",
        "delete": "deleted",
        "nothing": "forgotten in the ledger; the remote has nothing of it",
    }
    lines = []
    for place in found.places:
        remote = f" (record {place.remote_id})" if place.remote_id else ""
        if place.done:
            what = verbs[place.what]
        else:
            what = f"NOT DONE: {place.trouble}" if place.trouble else f"to be {verbs[place.what]}"
        lines.append(f"{place.integration}, {place.job}, {place.step}{remote}: {what}")
        lines += [f"  {_records(number)}, {step}: not touched" for step, number in place.children.items()]
    return lines


def _records(number: int) -> str:
    return "1 record refers to it" if number == 1 else f"{number:,} records refer to it"
