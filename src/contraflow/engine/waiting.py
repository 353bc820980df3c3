"""Items that wait for a parent, looked at once more."""

from __future__ import annotations

from collections.abc import Callable, Generator

import attrs

from contraflow.engine.changes import pages
from contraflow.engine.preparation import Preparation
from contraflow.engine.prepared import Prepared
from contraflow_hookspecs import Key


@attrs.define(kw_only=True)
class WaitingItems:
    """What a step execution has put off since a parent was not there.

    Args:
        preparation: Reads and processes the step's items.
        find: Finds their keys in the ledger, page by page.
        page_size: How many at once.
    """

    preparation: Preparation
    find: Callable[..., list[Key]]
    page_size: int
    released: int = attrs.field(default=0, init=False)
    """How many items did not have to wait any longer."""
    _done: set[str] = attrs.field(factory=set, init=False)

    def ready(self) -> Generator[Prepared, None, None]:
        """Yield those of them that need not wait any longer."""
        for prepared in self.preparation.waiting(pages(self.find, self.page_size)):
            if prepared.key_text not in self._done:
                self.released += 1
                if prepared.payload is None:  # filtered or rejected: the ledger may still have it as waiting
                    self._done.add(prepared.key_text)
                yield prepared
