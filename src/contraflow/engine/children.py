"""Children before their parents: an item is not removed while others that are still at the remote refer to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from contraflow.assembly import RunnableStep
from contraflow.engine.chunk import Chunk
from contraflow.ledger import ItemState, Ledger, display_key
from contraflow.references import Referrer
from contraflow_hookspecs import Key, Operation, StepContext

_MOST_NOTES = 5


@attrs.define(kw_only=True)
class Children:
    """Knows what refers to a step's items at the remote.

    Those of a step that removes nothing do not count: its items stay, whatever becomes of their parents. Nor does one that
    can do without its parent and is at rest: it may stand in the source, which says that nobody minds.

    Args:
        referrers: Which steps' items.
        ledger: Knows who refers to whom.
        context: Which step and integration it is about.
    """

    referrers: Sequence[Referrer]
    ledger: Ledger
    context: StepContext
    put_off: list[str] = attrs.field(factory=list, init=False)
    """Some of the removals that were put off, with the reason."""

    @classmethod
    def of(
        cls, step: RunnableStep, context: StepContext, ledger: Ledger, *, besides: Collection[str] = ()
    ) -> Children | None:
        """The children of a step's items; ``None`` if it can have none that matter.

        Args:
            step: The step.
            context: Of the step.
            ledger: Where to look.
            besides: Names of jobs whose steps do not count.
        """
        referrers = [each for each in step.referrers if each.removes and each.job not in besides]
        return cls(referrers=referrers, ledger=ledger, context=context) if referrers else None

    @property
    def own_names(self) -> Sequence[str]:
        """The names of the references of the step's items among themselves."""
        mine = (self.context.job, self.context.step)
        return [each.name for each in self.referrers if (each.job, each.step) == mine]

    def __call__(self, chunk: Chunk) -> None:
        """Put off those removals of a chunk whose records have children, before its intent is recorded."""
        removals = [key for key, each in chunk.intended.items() if each.change.operation is Operation.DELETE]
        for key, reason in self.reasons(removals).items():
            intended = chunk.intended.pop(key)
            prior = intended.prior or ItemState(key, "deferred", 0)
            if prior.status in ("in_doubt", "conflict"):
                chunk.counts[prior.status] += 1  # and stays so until it is resolved
                continue
            chunk.restored.append(prior._replace(status="deferred", pending=None, retry_at=None))
            chunk.counts["deferred"] += 1
            chunk.aside.append(("deferred", key, reason))
            if len(self.put_off) < _MOST_NOTES:
                self.put_off.append(f"{display_key(intended.change.key)}: deferred: {reason}")

    def reasons(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Why those of ``keys`` (canonical texts) that cannot be removed yet cannot."""
        found: dict[str, str] = {}
        for referrer, stream_id in self._streams() if keys else ():
            children = self.ledger.children_of(stream_id, referrer.name, keys, at_rest=referrer.required)
            for parent, (_, example, number) in children.items():
                found.setdefault(parent, _words(referrer, example, number))
        return found

    def _streams(self) -> Iterator[tuple[Referrer, int]]:
        for each in self.referrers:
            # Asked anew each time: another process may send the first children meanwhile.
            stream = self.ledger.stream(integration=self.context.integration, job=each.job, step=each.step)
            if stream is not None:
                yield each, stream.id


def _words(referrer: Referrer, example: Key, number: int) -> str:
    one = f"{display_key(example)} of step '{referrer.step}'"
    others = f" and {number - 1:,} more of its children are" if number > 1 else ", its child, is"
    return f"{one}{others} still at the remote"
