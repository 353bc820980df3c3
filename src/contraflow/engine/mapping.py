"""Notice that entities are turned into payloads in another way than when all of them were last compared.

The ledger would send again what that changes in any case; here people are told why a run sends so much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from contraflow.ledger import Lease, Ledger


@attrs.define(kw_only=True)
class MappingWatch:
    """Watches the mapping of one step execution.

    Args:
        ledger: Where the last mapping is recorded.
        lease: The right to write there.
        stream_id: The ledger's number of the step into its integration.
        mapping: What turns entities into payloads now (:attr:`contraflow.assembly.RunnableStep.mapping`).
        keeps_payloads: Whether the step remembers payloads.
    """

    ledger: Ledger
    lease: Lease
    stream_id: int
    mapping: Mapping[str, Any]
    keeps_payloads: bool
    reason: str | None = attrs.field(default=None, init=False)
    """What has changed, and since when; ``None`` if nothing has, or nobody knows."""

    def begin(self) -> None:
        """Look for what has changed; payloads that are not to be remembered any more are forgotten."""
        before = self.ledger.mapping(self.stream_id)
        known = before if isinstance(before, Mapping) else {}
        if not self.keeps_payloads and known.get("payloads") is not False:
            self.ledger.forget_payloads(self.lease, self.stream_id)
        differences = differences_of(before, self.mapping)
        if differences:
            self.reason = f"the mapping changed since execution {known.get('execution')}: {differences}"

    def compared_all(self, execution_id: int) -> None:
        """Record that all items were compared, in this job execution."""
        value = {**self.mapping, "payloads": self.keeps_payloads, "execution": execution_id}
        self.ledger.note_mapping(self.lease, self.stream_id, value)


def differences_of(before: Any, now: Mapping[str, Any]) -> str:
    """How a step's mapping differs from the recorded one, in words; empty if it does not, or if none is known."""
    return ", ".join(_differences(before, now)) if now and before and isinstance(before, Mapping) else ""


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """In words."""
    plugin, version, source = now["processor"], now["version"], now["source"]
    if before.get("processor") != plugin:
        yield f"processor {before.get('processor')} -> {plugin}"
    elif before.get("version") != version:
        yield f"{plugin} {_short(before.get('version'), version)} -> {_short(version, before.get('version'))}"
    elif before.get("source") != source:
        yield f"the source of {plugin}"
    old, new = before.get("parameters") or {}, now["parameters"]
    for name in sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
        yield f"parameter {name}"


def _short(version: Any, other: Any) -> str:
    """``1.0`` of ``acme-connector 1.0``, if the other is a version of the same distribution."""
    name, _, number = str(version).rpartition(" ")
    return number if name and name == str(other).rpartition(" ")[0] else str(version)
