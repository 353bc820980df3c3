"""How a plan is shown: as rows, as JSON, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from contraflow.cli.output import plain
from contraflow.escaping import one_line
from contraflow.ledger import display_key
from contraflow.plans import Plan, PlannedItem, StepPlan

_SHOWN = ("create", "update", "delete", "rejected", "held", "deferred")
_ALWAYS = ("create", "update", "delete", "unchanged")
_LONGEST = 60
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&@:$=])")


def operations_of(plan: Plan) -> list[str]:
    """The headings of a plan's counts: always those of changes, the others where there is something to count."""
    names = dict.fromkeys((*_ALWAYS, *_SHOWN, *(name for step in plan.steps for name in step.counts)))
    return [name for name in names if name in _ALWAYS or any(step.counts.get(name) for step in plan.steps)]


def counts_of(step: StepPlan, names: Sequence[str]) -> list[str]:
    """A step's counts, as texts."""
    return [f"{step.counts.get(name, 0):,}" for name in names]


def details(step: StepPlan, limit: int) -> Iterator[tuple[str, str, str]]:
    """Operation, item and what of it: the first few of each operation, and how many more there are."""
    for operation in _SHOWN:
        shown = 0
        for item in step.items(operation, most=limit):
            yield operation, display_key(item.key), what(item)
            shown += 1
        more = step.counts.get(operation, 0) - shown
        if more > 0:
            yield operation, "…", f"{more:,} more"


def what(item: PlannedItem) -> str:
    """What of an item differs, or why it would not be sent."""
    if item.reason is not None:
        return item.reason
    if item.values is not None:
        return ", ".join(f"{name}: {_change(pair)}" for name, pair in item.values.items())
    if item.operation != "update":
        return ""
    return ", ".join(item.changed) if item.changed is not None else "nobody can say what of it"


def _change(pair: Any) -> str:
    new = _short(pair["new"]) if "new" in pair else "(none)"
    return f"{_short(pair['old'])} → {new}" if "old" in pair else new


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def document(plan: Plan) -> dict[str, Any]:
    """A plan as JSON tells it."""
    return {
        "integration": plan.integration,
        "job": plan.job,
        "ledger": plan.ledger,
        "made": plan.made.isoformat(),
        "changes": plan.changes,
        "digest": plan.digest,
        "steps": [
            {
                "step": step.step,
                "counts": dict(step.counts),
                "guard": step.guard,
                "approve": step.approval,
                "note": step.note,
                "items": [plain(item) for item in step.items(*_SHOWN)],
            }
            for step in plan.steps
        ],
    }


def markdown(plan: Plan, limit: int) -> Iterator[str]:
    """A plan as the lines of a comment on a pull request. Nothing that it tells of the data is read as markup."""
    yield f"### {_escaped(plan.integration)}, {_escaped(plan.job)}: {plan.changes:,} to be sent"
    yield ""
    names = operations_of(plan)
    yield _row(["step", *names])
    yield "| --- |" + " ---: |" * len(names)
    for step in plan.steps:
        yield _row([_escaped(step.step), *counts_of(step, names)])
    for step in plan.steps:
        rows = [list(map(_escaped, row)) for row in details(step, limit)]
        if rows:
            yield ""
            yield f"**{_escaped(step.step)}**"
            yield ""
            yield _row(["operation", "item", "what"])
            yield "| --- | --- | --- |"
            for row in rows:
                yield _row(row)
        for remark in remarks(step):
            yield ""
            yield _escaped(remark)
    yield ""
    yield f"Digest `{plan.digest}`, made {plan.made.isoformat(timespec='seconds')}. Nothing was written."


def remarks(step: StepPlan) -> Iterator[str]:
    """What else there is to say of a step."""
    if step.note:
        yield f"{step.step}: {step.note}."
    if step.guard:
        release = f"; --approve {step.approval} would release it" if step.approval else ""
        yield f"{step.step}: a guard would stop it: {step.guard}{release}."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))
