"""Removals that a run does not carry out, since somebody edited the records at the remote and a decision is due.

A plan does not look at the remote. But of these an earlier run has, and the next one leaves them waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from contraflow.engine.spool import Planned, Spool
from contraflow.ledger import ItemConflict, Ledger, encode_key
from contraflow.options import StepOptions
from contraflow_hookspecs import StepContext

_PAGE = 1000


def set_aside(spool: Spool, options: StepOptions, context: StepContext, ledger: Ledger) -> None:
    """Make conflicts of the planned removals that wait for a decision.

    Args:
        spool: What a run would do, if nobody had edited anything at the remote.
        options: Of the step.
        context: Which step that is.
        ledger: Knows what waits.
    """
    if options.conflicts is None or options.conflicts.rules.of_removal in ("local", "remote"):
        return
    undecided = {encode_key(each.key): each.id for each in _conflicts(ledger, context) if not _is_decided(each)}
    if undecided:
        waiting = [each.key for each in spool.entries("delete") if each.key in undecided]
        spool.add(Planned(key, "conflict", reason=_reason(undecided[key])) for key in waiting)


def _conflicts(ledger: Ledger, context: StepContext) -> Iterator[ItemConflict]:
    last = 0
    while page := ledger.conflicts(integration=context.integration, job=context.job, limit=_PAGE, after=last):
        yield from (each for each in page if each.step == context.step)
        last = page[-1].id


def _is_decided(conflict: ItemConflict) -> bool:
    """Whether somebody decided about the removal; a decision about an earlier content does not hold for it."""
    return conflict.local is None and conflict.decision is not None


def _reason(number: int) -> str:
    return (
        f"somebody edited it at the remote, and it waits for a decision: see `contraflow conflicts show {number}`; "
        "it is removed only if that edit is undone there"
    )
