"""Look for records that the remote has already, before items are sent of which the ledger knows nothing.

So a first run against a filled remote, or one after the loss of the ledger, makes no doubles: what the connector finds by a
natural key becomes an update of that record. A record that two items find is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from contraflow.contract import describe
from contraflow.engine.chunk import Chunk, Intended, Refused
from contraflow.engine.fetching import Fetcher
from contraflow.engine.standing import is_new
from contraflow.errors import HookContractError
from contraflow.ledger import ItemState
from contraflow_hookspecs import Key, Operation, Rejected, RemoteItem


@attrs.frozen(kw_only=True)
class AdoptionPass:
    """Goes through each chunk before its intent is recorded.

    Args:
        finder: Asks the remote, with the connector's ``find_items``.
    """

    finder: Fetcher

    def __call__(self, chunk: Chunk) -> None:
        """Make updates of what the remote has already.

        Raises:
            ConnectorError: The remote cannot be asked; nothing of the chunk was sent.
            HookContractError: The answer is none.
        """
        unknown = [each for each in chunk.intended.values() if _is_unknown(each)]
        if not unknown:
            return
        changes = [each.change for each in unknown]
        found = self._by_key(self.finder.ask(changes, "find_items"), {change.key for change in changes})
        takers: dict[str, list[Key]] = {}
        for key, records in found.items():
            for record in records:
                takers.setdefault(str(record.remote_id), []).append(key)
        for each in unknown:
            records = found.get(each.change.key, [])
            if len(records) > 1:
                _refuse(chunk, each, f"the remote has {len(records)} records that match it: {_ids(records)}")
            elif records and len(takers[str(records[0].remote_id)]) > 1:
                _refuse(chunk, each, f"other items match the same record of the remote, {_ids(records)}")
            elif records:
                chunk.intended[each.key_text] = _adopted(each, records[0])
                chunk.counts["adopted"] += 1

    def _by_key(self, answer: Any, due: set[Key]) -> Mapping[Key, list[RemoteItem]]:
        if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
            raise self._broken(describe(answer), "a sequence of RemoteItem")
        found: dict[Key, list[RemoteItem]] = {}
        for each in answer:
            if not isinstance(each, RemoteItem):
                raise self._broken(describe(each), "RemoteItem")
            if each.key not in due:
                raise self._broken(f"a record for {each.key!r}, which was not asked for", "the changes' own keys")
            if not isinstance(each.remote_id, str) or not each.remote_id:
                raise self._broken(f"a record with the remote_id {each.remote_id!r}", "text")
            records = found.setdefault(each.key, [])
            if all(other.remote_id != each.remote_id for other in records):
                records.append(each)
        return found

    def _broken(self, found: str, expected: str) -> HookContractError:
        return HookContractError(self.finder.stage.plugin, "find_items", found, expected)


def _is_unknown(intended: Intended) -> bool:
    return intended.change.operation is Operation.UPSERT and is_new(intended.prior)


def _adopted(intended: Intended, record: RemoteItem) -> Intended:
    """The same change as an update. Nothing of the record is ours before that is confirmed, so nothing may remove it."""
    prior = intended.prior or ItemState(intended.key_text, "deferred", 0)
    return intended._replace(
        change=attrs.evolve(
            intended.change, remote_id=record.remote_id, remote_version=record.remote_version, changed=None
        ),
        prior=prior._replace(remote_id=record.remote_id, remote_version=record.remote_version),
    )


def _refuse(chunk: Chunk, intended: Intended, reason: str) -> None:
    del chunk.intended[intended.key_text]
    rejected = Rejected(key=intended.change.key, code="ambiguous", reason=reason)
    chunk.rejected.append(Refused(rejected, intended.key_text, intended.prior))
    chunk.counts["rejected"] += 1


def _ids(records: Sequence[RemoteItem]) -> str:
    return ", ".join(str(record.remote_id) for record in records[:5])
