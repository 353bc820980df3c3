"""Turn a chunk's results into what the ledger records: item states, dead letters, the checkpoint and the counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import attrs

from contraflow.engine.chunk import Chunk, Intended
from contraflow.engine.standing import LONGEST_PAUSE, is_new
from contraflow.ledger import (
    UNKNOWN_CONTENT,
    ItemState,
    ItemStatus,
    NewConflict,
    NewDeadLetter,
    Referring,
    display_key,
)
from contraflow.ledger.dead_letters import CONFLICT
from contraflow.merge import POLICIES
from contraflow.redaction import Redactor
from contraflow_hookspecs import (
    Action,
    Conflict,
    Deferred,
    Gone,
    Key,
    Operation,
    Rejected,
    Unknown,
    WriteResult,
    Written,
)

_UPSERT, _DELETE = Operation.UPSERT, Operation.DELETE  # looked up for each item they would take long
_CREATED = Action.CREATED
_STAYING: tuple[ItemStatus, ...] = ("in_doubt", "archived", "gone")
"""What an item stays when a version of it is refused before it is sent: there is more to know of it than that."""
_LONGEST_REASON = 1000
_CONFLICT = (
    "the remote's record was changed by somebody else; the step's parameter `conflicts` says what holds then: "
    f"{', '.join(POLICIES[:-1])} or {POLICIES[-1]}"
)
_MOST_NOTES = 3  # of one outcome in one settlement: more would tell nothing new


@attrs.frozen(kw_only=True)
class Settled:
    """What the ledger is to record of one chunk."""

    states: list[ItemState]
    dead_letters: list[NewDeadLetter]
    resolved: list[str]
    rejections: list[Rejected]
    """For observers: every item that became a dead letter, without secrets."""
    counts: Counter[str]
    conflicts: list[NewConflict] = attrs.field(factory=list)
    references: list[Referring] = attrs.field(factory=list)
    renumbered: list[str] = attrs.field(factory=list)
    """Keys of items to which the remote gave another id than they had before."""
    notes: dict[str, list[str]] = attrs.field(factory=dict)
    """By outcome, some of the items whose reason is kept nowhere else, each with its reason, without secrets."""

    def note(self, outcome: str, key: Key, reason: str, redact: Redactor) -> None:
        """Tell people of an item."""
        notes = self.notes.setdefault(outcome, [])
        if len(notes) < _MOST_NOTES:
            words = f"{display_key(key)}: {outcome.replace('_', ' ')}: {reason}"
            notes.append(_shortened(redact(words)))

    def add(self, other: Settled) -> None:
        """Record this, too."""
        self.states.extend(other.states)
        self.dead_letters.extend(other.dead_letters)
        self.resolved.extend(other.resolved)
        self.conflicts.extend(other.conflicts)
        self.references.extend(other.references)
        self.renumbered.extend(other.renumbered)
        self.rejections.extend(other.rejections)
        self.counts.update(other.counts)
        for outcome, notes in other.notes.items():
            self.notes.setdefault(outcome, []).extend(notes)


def settle_chunk(chunk: Chunk, redact: Redactor) -> Settled:
    """Work out what to record of the items of a chunk that were not sent.

    Args:
        chunk: The chunk as it was cut.
        redact: Keeps secrets out of reasons.
    """
    settled = Settled(
        states=list(chunk.restored),
        dead_letters=[],
        resolved=[state.key for state in chunk.restored],
        rejections=[],
        counts=Counter(chunk.counts),
        references=list(chunk.referring),
    )
    for key, moment in chunk.not_due:
        settled.note(
            "deferred", key, f"not due before {datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC", redact
        )
    for each in chunk.waiting:
        settled.states.append(each.state)
        settled.conflicts.append(each.conflict)
        if each.was_rejected:
            settled.resolved.append(each.state.key)
        fields = ", ".join(each.conflict.fields) or "the whole record"
        settled.note("conflict", each.key, f"changed at the remote by somebody else: {fields}", redact)
    for refused in chunk.rejected:
        prior = refused.prior
        if prior is None:
            settled.states.append(ItemState(refused.key_text, "rejected", 0))
        elif prior.status == "conflict":
            settled.resolved.append(refused.key_text)
            settled.states.append(prior._replace(status="rejected", retry_at=None))
        elif prior.status not in _STAYING:
            settled.states.append(prior._replace(status="rejected", retry_at=None))
        _bury(settled, refused.key_text, refused.rejected, redact)
    return settled


def settle_sent(
    sent: Iterable[Intended], results: Mapping[Key, WriteResult], redact: Redactor, now: datetime
) -> Settled:
    """Work out what to record of items that were sent.

    Args:
        sent: The items.
        results: One result for each.
        redact: Keeps secrets out of reasons.
        now: The present moment, from which a remote counts the seconds that it wants to be left alone.
    """
    settled = Settled(states=[], dead_letters=[], resolved=[], rejections=[], counts=Counter())
    written: list[Action | None] = []
    for intended in sent:
        result = results[intended.change.key]
        if (
            type(result) is Written
            and intended.prior is None
            and not intended.parents
            and intended.change.operation is _UPSERT
        ):  # as most in a first run: there is no more to say
            settled.states.append(_written(intended, result, result.remote_id or None))
            written.append(result.action or _CREATED)
            continue
        if intended.prior is not None and intended.prior.status == "conflict":
            settled.resolved.append(intended.key_text)  # whatever became of it, it no longer waits for a person
        if isinstance(result, Gone) and intended.change.operation is Operation.DELETE:
            # What was to go is gone. There is nothing to be archived any more, either.
            intended = intended._replace(archive=False)
            result = Written(key=result.key, action=Action.DELETED)
        if isinstance(result, Written):
            written.append(_confirm(settled, intended, result))
        else:
            _record(settled, intended, result, redact, now)
    _count(settled.counts, written)
    return settled


def _count(counts: Counter[str], written: list[Action | None]) -> None:
    if written:
        counts["written"] += len(written)
    if None in written:
        counts["archived"] += written.count(None)
    for action in (Action.CREATED, Action.UPDATED, Action.DELETED):
        if action in written:
            counts[action.value] += written.count(action)


def _record(settled: Settled, intended: Intended, result: WriteResult, redact: Redactor, now: datetime) -> None:
    match result:
        case Rejected():
            settled.states.append(_unconfirmed(intended, "rejected"))
            settled.counts["rejected"] += 1
            _bury(settled, intended.key_text, result, redact)
        case Deferred(retry_after=wait):
            retry_at = None if wait is None else now.timestamp() + min(wait, LONGEST_PAUSE)
            settled.states.append(_unconfirmed(intended, "deferred", retry_at))
            settled.counts["deferred"] += 1
            settled.note("deferred", result.key, result.reason, redact)
        case Unknown():
            settled.states.append(_unconfirmed(intended, "in_doubt"))
            if intended.parents:  # or to those of the version before
                settled.references.append(Referring(intended.key_text, intended.parents, replaces=False))
            settled.counts["in_doubt"] += 1
            settled.note("in_doubt", result.key, result.reason, redact)
        case Conflict():
            # What the remote holds is no longer what it last confirmed to us.
            state = _unconfirmed(intended, "rejected")
            settled.states.append(state._replace(fingerprint=UNKNOWN_CONTENT, remote_version=None))
            settled.counts["rejected"] += 1
            _bury(settled, intended.key_text, Rejected(key=result.key, code=CONFLICT, reason=_CONFLICT), redact)
        case Gone():
            settled.states.append(ItemState(intended.key_text, "gone", intended.generation))
            settled.counts["gone"] += 1
            settled.note("gone", result.key, "somebody else removed it at the remote", redact)
            _resolve(settled, intended)


def _written(intended: Intended, result: Written, remote_id: str | None) -> ItemState:
    changed = intended.change.changed
    fields = (
        intended.key_text,
        "written",
        intended.generation,
        intended.fingerprint,
        None,
        remote_id,
        result.remote_version,
        intended.digests,
        intended.payload,
        None if changed is None else _names(changed),
        None,
        intended.kept,
    )
    return tuple.__new__(ItemState, fields)  # as ItemState(…), in half of the time


def _confirm(settled: Settled, intended: Intended, result: Written) -> Action | None:
    """Record a written item; what the remote did with it, ``None`` if it put it away."""
    prior, deleted = intended.prior, intended.change.operation is _DELETE
    remote_id = result.remote_id or (prior.remote_id if prior else None)
    if intended.archive:
        # It has its place still, to which the entity can come back.
        state = ItemState(
            intended.key_text,
            "archived",
            intended.generation,
            remote_id=remote_id,
            remote_version=result.remote_version,
        )
    elif deleted:
        # A deleted record's id and version are no longer the remote's.
        state = ItemState(intended.key_text, "deleted", intended.generation)
    else:
        if prior is not None and remote_id != prior.remote_id and _had_id(prior):
            settled.renumbered.append(intended.key_text)
        state = _written(intended, result, remote_id)
    settled.states.append(state)
    if deleted or intended.parents:
        # An item that was never sent refers to nothing else.
        settled.references.append(Referring(intended.key_text, intended.parents, replaces=prior is not None))
    _resolve(settled, intended)
    if intended.archive:
        return None
    if result.action is not None:
        return result.action
    if deleted:
        return Action.DELETED
    return _CREATED if is_new(prior) else Action.UPDATED


def _resolve(settled: Settled, intended: Intended) -> None:
    """Take away the dead letter of an item that needs nobody's eyes any more."""
    if intended.prior is not None and intended.prior.status != "written":  # whatever it is called, it may have one
        settled.resolved.append(intended.key_text)


def _had_id(prior: ItemState) -> bool:
    return prior.remote_id is not None or prior.status in ("deleted", "archived", "gone")


def _unconfirmed(intended: Intended, status: ItemStatus, retry_at: float | None = None) -> ItemState:
    """What is known of an item that was sent and is not confirmed: what was before, and what was tried."""
    prior = intended.prior or ItemState(intended.key_text, status)
    if prior.status == "in_doubt" and status != "in_doubt":
        # The sending before this one may have arrived.
        prior = prior._replace(fingerprint=UNKNOWN_CONTENT, digests=None, payload=None, kept=None)
    return prior._replace(
        status=status,
        generation=intended.generation,
        pending=intended.fingerprint,
        changed=_names(intended.change.changed),
        retry_at=retry_at,
    )


def _names(changed: frozenset[str] | None) -> str | None:
    return None if changed is None else json.dumps(sorted(changed))


def _bury(settled: Settled, key_text: str, rejected: Rejected, redact: Redactor) -> None:
    reason, code = _shortened(redact(rejected.reason)), redact(rejected.code)
    settled.dead_letters.append(NewDeadLetter(key=key_text, code=code, reason=reason))
    settled.rejections.append(attrs.evolve(rejected, code=code, reason=reason))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
