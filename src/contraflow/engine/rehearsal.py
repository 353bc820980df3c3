"""Read, process and compare everything, and write nothing: what a step would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from contraflow.assembly import Stage
from contraflow.engine.changes import owed_keys
from contraflow.engine.children import Children
from contraflow.engine.chunk import Chunk, Intended
from contraflow.engine.comparison import Comparison
from contraflow.engine.memory import Memory
from contraflow.engine.parents import Parents
from contraflow.engine.planned import PlannedComparison
from contraflow.engine.preparation import Preparation
from contraflow.engine.processing import Processing
from contraflow.engine.promise import Promise
from contraflow.engine.spool import Planned, Spool
from contraflow.engine.standing import is_new
from contraflow.engine.stopping import StopRequest
from contraflow.engine.vanished import FullComparison, reads_everything
from contraflow.ledger import Ledger
from contraflow.options import StepOptions
from contraflow.redaction import Redactor
from contraflow_hookspecs import Change, Operation, StepContext

_AFTER_ALL = 2**62
"""Higher than the number of any execution."""


@attrs.frozen(kw_only=True)
class Rehearsal:
    """One look at everything that a step would do.

    Args:
        reader: The step's reader.
        processor: Its processor.
        options: The engine's own parameters.
        promise: What the remote's capabilities allow.
        can_delete: Whether the remote can delete.
        context: What the stages may know.
        ledger: Where the items' states are kept.
        stream_id: The ledger's number for this step into this integration.
        stop: Ends it early.
        redact: Keeps secrets out of what is noted.
        explain: Turns an exception of the processor into words, where it knows better.
        now: The clock.
        force: Whether items are sent also if the remote holds them.
        plan: What may be sent, by key text; ``None`` for everything that differs.
        parents: Finds the parents of items; ``None`` if they have none.
        children: Puts off removals of what has children at the remote; ``None`` if that does not matter.
        values: Whether to note values also of records of which no earlier values are remembered.
    """

    reader: Stage
    processor: Stage
    options: StepOptions
    promise: Promise
    can_delete: bool
    context: StepContext
    ledger: Ledger
    stream_id: int
    stop: StopRequest
    redact: Redactor
    explain: Callable[[BaseException, object], str | None]
    now: Callable[[], datetime]
    force: bool = False
    plan: Mapping[str, Planned] | None = None
    values: bool = False
    parents: Parents | None = None
    children: Children | None = None

    def run(self, spool: Spool) -> Counter[str]:
        """Note in the spool what would be sent, and what not.

        Returns:
            How many items have which outcome, those that would be sent excepted.

        Raises:
            StopRequestedError: Somebody asked to stop.
            ContraflowError: A stage fails.
        """
        context = attrs.evolve(self.context, dry_run=True)
        preparation = Preparation(
            read=self.reader.call,
            reader=self.reader.plugin,
            processing=Processing(
                process=self.processor.call,
                processor=self.processor.plugin,
                context=context,
                can_delete=self.can_delete,
                removal=self.options.missing,
                explain=self.explain,
                forgotten=self.ledger.forgotten(self.stream_id),
            ),
            context=context,
            owed=partial(
                owed_keys, self.ledger, self.stream_id, self._at_the_end(), self.options.batch_size, self.parents
            ),
            parents=self.parents,
            page_size=self.options.batch_size,
        )
        memory = Memory(self.ledger.id)
        comparison = (Comparison if self.plan is None else partial(PlannedComparison, plan=self.plan))(
            ledger=self.ledger,
            stream_id=self.stream_id,
            identity=(self.ledger.id, self.context.integration, self.context.job, self.context.step),
            page_size=self.options.batch_size,
            chunk_size=self.options.batch_size,
            memory=memory,
            now=self.now,
            force=self.force,
            at_once=self.context.filter.ids is not None,
            resend_held=self.promise is Promise.AT_LEAST_ONCE,
            filtered=None if reads_everything(self.context) else self.options.filtered,
            resurrect=self.options.resurrect,
            settles_conflicts=self.options.conflicts is not None,
        )
        counts: Counter[str] = Counter()
        with (
            FullComparison(
                ledger=self.ledger, stream_id=self.stream_id, options=self.options, context=self.context
            ) as everything,
            closing(self._chunks(comparison, everything, preparation)) as chunks,
        ):
            for chunk in chunks:
                self.stop.check()
                if self.children is not None:
                    self.children(chunk)
                spool.add(self._entries(chunk, memory))
                counts.update(chunk.counts)
        ids = self.context.filter.ids
        if ids is not None and len(ids) > preparation.items_read:
            counts["missing"] = len(ids) - preparation.items_read
        return counts

    def _at_the_end(self) -> StepContext:
        """For the items that are owed: those that executions before this one left, and a plan comes after all of them."""
        return attrs.evolve(self.context, execution_id=self.context.execution_id or _AFTER_ALL)

    @staticmethod
    def _chunks(
        comparison: Comparison, everything: FullComparison, preparation: Preparation
    ) -> Generator[Chunk, None, None]:
        yield from comparison.chunks(everything.watch(iter(preparation)))
        if isinstance(comparison, PlannedComparison):
            yield from comparison.chunks(comparison.removals())
        elif everything.find():
            for removals in everything.rounds(()):
                yield from comparison.chunks(removals)

    def _entries(self, chunk: Chunk, memory: Memory) -> Iterator[Planned]:
        for each in chunk.intended.values():
            change, prior = each.change, each.prior
            emptied = memory.emptied(each.key_text, each.canonical, prior) if each.canonical else frozenset()
            yield Planned(
                key=each.key_text,
                operation=_operation(each),
                fingerprint=each.fingerprint,
                generation=each.generation,
                prior=None if prior is None else prior.fingerprint,
                changed=None if change.changed is None else self._names(change.changed),
                emptied=self._names(emptied) if emptied else None,
                values=self._values(change),
            )
        for refused in chunk.rejected:
            reason = f"{refused.rejected.code}: {refused.rejected.reason}"
            yield Planned(refused.key_text, "rejected", reason=self.redact(reason))
        for outcome, key_text, reason in chunk.aside:
            yield Planned(key_text, outcome, reason=reason)

    def _names(self, names: Iterable[str]) -> str:
        return json.dumps(sorted(map(self.redact, names)))

    def _values(self, change: Change) -> str | None:
        """Old and new values of the fields that differ, where both are known; on demand also what is known of the others."""
        before, after = change.previous, change.payload
        if change.operation is Operation.DELETE or (before is None and not self.values):
            return None
        names = change.changed if change.changed is not None else {*(before or {}), *after}
        values = {name: _pair(before, after, name) for name in sorted(names)}
        return json.dumps(self.redact.value(_plain(values)))


def _operation(intended: Intended) -> str:
    if intended.change.operation is Operation.DELETE:
        return "delete"
    return "create" if is_new(intended.prior) else "update"


def _pair(before: Mapping[str, Any] | None, after: Mapping[str, Any], name: str) -> dict[str, Any]:
    pair = {} if before is None or name not in before else {"old": before[name]}
    return {**pair, "new": after[name]} if name in after else pair


def _plain(value: Any) -> Any:
    """What JSON can spell; everything else as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
