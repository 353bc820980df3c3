"""Read, process and compare everything, and write nothing: what a step would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime

import attrs

from contraflow.assembly import Stage
from contraflow.engine.comparison import Chunk, Comparison, Intended
from contraflow.engine.memory import Memory
from contraflow.engine.preparation import Preparation
from contraflow.engine.promise import Promise
from contraflow.engine.spool import Planned, Spool
from contraflow.engine.stopping import StopRequest, StopRequestedError
from contraflow.ledger import Ledger
from contraflow.options import StepOptions
from contraflow_hookspecs import Operation, StepContext


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
        explain: Turns an exception of the processor into words, where it knows better.
        now: The clock.
        force: Whether items are sent also if the remote holds them.
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
    explain: Callable[[BaseException, object], str | None]
    now: Callable[[], datetime]
    force: bool = False

    def run(self, spool: Spool) -> None:
        """Note in the spool what would be sent.

        Raises:
            StopRequestedError: Somebody asked to stop.
            ContraflowError: A stage fails.
        """
        preparation = Preparation(
            read=self.reader.call,
            process=self.processor.call,
            reader=self.reader.plugin,
            processor=self.processor.plugin,
            context=attrs.evolve(self.context, dry_run=True),
            can_delete=self.can_delete,
            explain=self.explain,
        )
        comparison = Comparison(
            ledger=self.ledger,
            stream_id=self.stream_id,
            identity=(self.ledger.id, self.context.integration, self.context.job, self.context.step),
            page_size=self.options.batch_size,
            chunk_size=self.options.batch_size,
            memory=Memory(self.ledger.id),
            now=self.now,
            force=self.force,
            at_once=self.context.filter.ids is not None,
            resend_held=self.promise is Promise.AT_LEAST_ONCE,
        )
        with closing(comparison.chunks(preparation)) as chunks:
            for chunk in chunks:
                if self.stop.is_set:
                    raise StopRequestedError(self.stop.reason or "stopped")
                spool.add(_planned(chunk))


def _planned(chunk: Chunk) -> Iterator[Planned]:
    for each in chunk.intended.values():
        yield Planned(each.key_text, _operation(each), each.fingerprint)


def _operation(intended: Intended) -> str:
    if intended.change.operation is Operation.DELETE:
        return "delete"
    return "create" if intended.prior is None or intended.prior.fingerprint is None else "update"
