"""Whether a record is due, why or why not, and what comes next."""

from __future__ import annotations

import attrs

from contraflow.engine.looking import Seen
from contraflow.ledger.explaining import ItemRecord

_NEXT_IF_MISSING = "the remote keeps it, unless the step's parameter `deletions`, or by id `missing`, says otherwise"


@attrs.frozen(kw_only=True)
class Verdict:
    """Whether the next run sends a record."""

    due: bool | None
    """``None`` if that cannot be told."""
    why: str
    """Why, or why not."""
    fields: tuple[str, ...] = ()
    """The fields that differ."""
    next: str
    """What comes next."""


def verdict_on(
    record: ItemRecord | None, sent: int | None, seen: Seen | None, trouble: str, *, looks_first: bool
) -> Verdict:
    """Whether the record is due, why or why not, and what comes next.

    Args:
        record: What the ledger knows of it; ``None`` for nothing.
        sent: The execution that sent it, where no outcome is on record.
        seen: What a look at its entity has shown; ``None`` if that failed ...
        trouble: ... with this error.
        looks_first: Whether a run looks at the remote before it sends.
    """
    status = None if record is None else record.state.status
    if sent is not None:
        return _no("a sending of it has no outcome yet", "the next run finds out what became of it")
    if status == "in_doubt":
        return _no(
            "it is held, as it might arrive twice", "look at the remote, and settle or resend it by `contraflow held`"
        )
    if seen is None:
        return Verdict(due=None, why=f"its entity cannot be looked at: {trouble}", next="run `contraflow check`")
    if status == "conflict" and seen.outcome in ("update", "create", "delete") and record and record.conflict:
        number = record.conflict.id
        return _no("it waits for a decision", f"`contraflow conflicts settle {number} --take local` or `remote`")
    if seen.outcome in ("create", "update", "delete"):
        return _due(seen, looks_first=looks_first)
    return _not_due(seen, record)


def _due(seen: Seen, *, looks_first: bool) -> Verdict:
    look_first = " after a look at what the remote has" if looks_first and seen.outcome != "create" else ""
    fields = tuple(sorted(seen.changed)) if seen.changed is not None else ()
    why, verb = "the remote has nothing of it", "sends"
    if seen.outcome == "delete" and seen.reason:
        following = "the next run removes it, unless that is still there then"
        return Verdict(due=True, why=f"it is to be removed; {seen.reason}", next=following)
    if seen.outcome == "delete":
        why, verb = "it is to be removed", "removes"
    elif seen.outcome == "update" and fields:
        why = f"it differs: {', '.join(fields)}"
    elif seen.outcome == "update":
        why = "it may differ: what the remote has of its fields is not known"
    return Verdict(due=True, why=why, fields=fields, next=f"the next run {verb} it{look_first}")


def _not_due(seen: Seen, record: ItemRecord | None) -> Verdict:
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


def _no(why: str, following: str) -> Verdict:
    return Verdict(due=False, why=why, next=following)
