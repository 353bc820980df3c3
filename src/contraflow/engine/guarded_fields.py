"""Notice fields under ``guards: emptied`` that no payload has: a misspelt name is a limit that guards nothing.

Only the processor knows the names of its fields, so this shows when it has made payloads of everything, and not before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs

from contraflow.assembly import Stage
from contraflow.errors import near_match

_MOST_NAMES = 1000  # kept for a hint; there are payloads whose keys are data


@attrs.define
class GuardedFields:
    """Watches a processor that goes through everything.

    Args:
        fields: The names of the fields that have a limit of their own.
    """

    fields: Collection[str]
    _absent: set[str] = attrs.field(init=False)
    _present: set[str] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._absent = set(self.fields)

    def watch(self, processor: Stage) -> Stage:
        """The processor, watched; the very same if there is nothing to watch for."""
        if not self._absent:
            return processor

        def call(**arguments: Any) -> Any:
            payload = processor.call(**arguments)
            if self._absent and isinstance(payload, Mapping):
                self._look(map(str, payload))
            return payload

        return attrs.evolve(processor, call=call)

    def _look(self, names: Iterator[str]) -> None:
        for name in names:
            self._absent.discard(name)
            if len(self._present) < _MOST_NAMES:
                self._present.add(name)

    def notes(self, emptied: Collection[str]) -> list[str]:
        """What people should know of fields that no payload had; nothing if there was no payload.

        Args:
            emptied: Names of fields that records would lose: those the limits do count.
        """
        if not self._present:
            return []
        return [self._note(field) for field in sorted(self._absent.difference(emptied))]

    def _note(self, field: str) -> str:
        hint = near_match(field, self._present)
        meant = f" ({hint})" if hint else ""
        return f"guards.emptied limits the field '{field}', which no payload of this run has{meant}: it guards nothing"
