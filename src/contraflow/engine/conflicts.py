"""Look at the remote before it is changed, and leave, take or ask about what somebody edited there.

The changes of a chunk that have a record at the remote are fetched before their intent is recorded. What was last confirmed,
ours and the remote's come together field by field (:mod:`contraflow.merge`). Of what was confirmed digests are enough: a
field whose value at the remote has the remembered digest was not edited.

A field that is left to the remote has two digests from then on: that of ours, so that it counts as changed when we change
it, and that of the remote's (``kept``), so that it counts as edited when somebody edits it again. Neither is told for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import attrs
import orjson

from contraflow.conflict_rules import ConflictRules
from contraflow.engine.chunk import Chunk, Intended, Waiting
from contraflow.engine.fetching import Fetcher
from contraflow.engine.memory import Memory
from contraflow.engine.moments import as_moment
from contraflow.errors import HookContractError
from contraflow.field_digests import spell
from contraflow.fingerprint import canonical
from contraflow.ledger import ItemState, Ledger, NewConflict
from contraflow.ledger.conflicts import Decided
from contraflow.merge import Merged, Rules, Side, resolve
from contraflow_hookspecs import Deferred, Gone, ItemError, Operation, RemoteItem

_UNREAD = "its record at the remote could not be read, and is not overwritten unseen"


class Edits(NamedTuple):
    """What the remote has of an item's fields, and which of them somebody edited."""

    remote: Mapping[str, Any]
    """The fields that we send, as far as the remote told them."""
    changed: frozenset[str]
    """Those that are not as they were last confirmed."""


def edits_of(state: ItemState | None, ours: Iterable[str], found: RemoteItem, memory: Memory) -> Edits:
    """Hold a record of the remote against what it last confirmed.

    A field that was never confirmed counts as edited if there is something in it.

    Args:
        state: What the ledger knows of the item.
        ours: The names of the fields that we have.
        found: The remote's record.
        memory: What is remembered of fields.

    Raises:
        ItemError: The record holds a value that no digest is defined for.
    """
    confirmed = confirmed_digests(state)
    payload = found.payload or {}
    remote = {name: payload[name] for name in dict.fromkeys((*ours, *confirmed)) if name in payload}
    digests = memory.digests(state.key, canonical(remote)) if state is not None else {}
    changed = frozenset(
        name
        for name, value in remote.items()
        if (digests.get(name) != confirmed[name] if name in confirmed else value is not None)
    )
    return Edits(remote, changed)


def confirmed_digests(state: ItemState | None) -> Mapping[str, int]:
    """The digests of what the remote last confirmed; empty where nobody can say."""
    if state is None or state.status == "in_doubt":
        return {}
    return {**_parsed(state.digests), **_parsed(state.kept)}


def _parsed(text: str | None) -> Mapping[str, int]:
    digests: Mapping[str, int] = orjson.loads(text) if text else {}
    return digests


@attrs.frozen(kw_only=True)
class ConflictPass:
    """Goes through each chunk before its intent is recorded.

    Args:
        rules: What holds in a conflict.
        fetcher: Asks the remote.
        ledger: Where decisions of people are.
        stream_id: The ledger's number of the step into its integration.
        memory: What is remembered of the items' fields.
        force: Whether items are sent also if the remote has them as they should be.
    """

    rules: ConflictRules
    fetcher: Fetcher
    ledger: Ledger
    stream_id: int
    memory: Memory
    force: bool = False

    def __call__(self, chunk: Chunk) -> None:
        """Change the chunk so that nothing is overwritten that the rules leave to the remote."""
        suspects = [each for each in chunk.intended.values() if self._may_conflict(each)]
        self._look(chunk, suspects)

    def again(self, refused: Sequence[Intended]) -> Chunk:
        """A chunk of changes that the remote refused since somebody had changed their records, made anew."""
        chunk = Chunk(intended={each.key_text: each for each in refused})
        self._look(chunk, refused)
        for each in chunk.intended.values():
            # The remote may keep its refusal under the key of the first sending.
            chunk.intended[each.key_text] = _under_another_key(each)
        return chunk

    def _may_conflict(self, intended: Intended) -> bool:
        waits = intended.prior is not None and intended.prior.status == "conflict"
        if self.rules.rules.all_local and not waits:
            return False
        known = intended.prior is not None and intended.prior.fingerprint is not None
        return known or intended.change.remote_id is not None

    def _look(self, chunk: Chunk, suspects: Sequence[Intended]) -> None:
        found = self.fetcher.fetch([each.change for each in suspects])
        waiting = [each.key_text for each in suspects if each.prior is not None and each.prior.status == "conflict"]
        decided = self.ledger.decided_conflicts(self.stream_id, waiting)
        for each in suspects:
            record = found.get(each.change.key)
            if record is None:
                self._answer(chunk, each, Deferred(key=each.change.key, reason=_UNREAD))
            elif isinstance(record, Gone):
                if each.change.operation is Operation.UPSERT:
                    self._answer(chunk, each, record)
            else:
                try:
                    self._settle(chunk, each, record, decided.get(each.key_text))
                except ItemError as error:
                    raise HookContractError(
                        self.fetcher.stage.plugin, "fetch_items", error.reason, "values as process_item gives them"
                    ) from error

    @staticmethod
    def _answer(chunk: Chunk, intended: Intended, result: Deferred | Gone) -> None:
        del chunk.intended[intended.key_text]
        chunk.answered.append((intended, result))

    def _settle(self, chunk: Chunk, intended: Intended, found: RemoteItem, decided: Decided | None) -> None:
        edits = edits_of(intended.prior, intended.change.payload, found, self.memory)
        remote = canonical(edits.remote).decode()
        rules = self.rules.rules
        if decided is not None and (decided.local, decided.remote) == (_local(intended), remote):
            sides: Mapping[str, Any] = decided.sides
            rules = Rules(default=sides.get("", "ask"), fields={name: side for name, side in sides.items() if name})
        if edits.changed:
            chunk.counts["foreign"] += 1
        if intended.change.operation is Operation.DELETE:
            self._settle_removal(chunk, intended, edits, remote, rules)
            return
        merged = self._merge(intended, edits, as_moment(found.modified), rules)
        if merged.undecided:
            self._wait(chunk, intended, tuple(sorted(merged.undecided)), remote)
        elif merged.outgoing or self.force:
            chunk.intended[intended.key_text] = self._merged(intended, merged, found)
        else:
            del chunk.intended[intended.key_text]
            chunk.restored.append(self._confirmed(intended, merged, found))
            chunk.counts["unchanged"] += 1

    def _merge(self, intended: Intended, edits: Edits, modified: datetime | None, rules: Rules) -> Merged:
        ours = dict(intended.change.payload)
        digests = self.memory.digests(intended.key_text, intended.canonical)
        prior = intended.prior
        before = _parsed(prior.digests) if prior is not None and prior.status != "in_doubt" else {}
        changed_here = {name for name in {*ours, *before} if digests.get(name) != before.get(name)}
        told = {name: value for name, value in ours.items() if name in edits.remote}
        merged = resolve(
            told, edits.remote, changed_here, edits.changed, rules, newer=self._newer(intended.modified, modified)
        )
        # What the remote did not tell cannot be compared: it is sent if we changed it.
        untold = {name: value for name, value in ours.items() if name not in edits.remote}
        payload = {**merged.payload, **untold}
        order = {name: index for index, name in enumerate(ours)}
        return attrs.evolve(
            merged,
            payload={name: payload[name] for name in sorted(payload, key=lambda name: order.get(name, len(order)))},
            outgoing=merged.outgoing | (changed_here & untold.keys()),
        )

    def _newer(self, local: datetime | None, remote: datetime | None) -> Side | None:
        if local is None or remote is None:
            return None
        seconds = (local - remote).total_seconds()
        if abs(seconds) <= self.rules.tolerance:
            return None
        return "local" if seconds > 0 else "remote"

    def _settle_removal(self, chunk: Chunk, intended: Intended, edits: Edits, remote: str, rules: Rules) -> None:
        """Whether a record that we no longer have, and that somebody edited at the remote, is removed there."""
        policy = rules.fallback if rules.default == "merge" else rules.default
        if not edits.changed or policy == "local":
            return
        del chunk.intended[intended.key_text]
        if policy == "remote":  # it is theirs from now on
            chunk.restored.append(ItemState(intended.key_text, "deleted", intended.generation))
            chunk.counts["unchanged"] += 1
        else:
            chunk.intended[intended.key_text] = intended
            self._wait(chunk, intended, (), remote)

    def _wait(self, chunk: Chunk, intended: Intended, fields: Sequence[str], remote: str) -> None:
        del chunk.intended[intended.key_text]
        prior = intended.prior or ItemState(intended.key_text, "conflict", 0)
        state = prior._replace(
            status="conflict", pending=intended.fingerprint, remote_id=intended.change.remote_id, retry_at=None
        )
        conflict = NewConflict(intended.key_text, fields, prior.payload, _local(intended), remote)
        chunk.waiting.append(Waiting(state, conflict, intended.change.key, prior.status == "rejected"))
        chunk.counts["conflict"] += 1

    def _merged(self, intended: Intended, merged: Merged, found: RemoteItem) -> Intended:
        """The change as it is sent: with the remote's values where they stay."""
        change = attrs.evolve(
            intended.change,
            payload=merged.payload,
            changed=merged.outgoing,
            remote_id=intended.change.remote_id or found.remote_id,
            remote_version=found.remote_version or intended.change.remote_version,
        )
        text = canonical(merged.payload).decode()
        sent = intended._replace(
            change=change,
            canonical=text,
            payload=None if intended.payload is None else text,
            kept=self._kept(intended, merged),
        )
        return sent if text == intended.canonical else _under_another_key(sent)

    def _confirmed(self, intended: Intended, merged: Merged, found: RemoteItem) -> ItemState:
        """What is known of an item of which the remote has all that it should have."""
        prior = intended.prior or ItemState(intended.key_text, "written", intended.generation)
        return prior._replace(
            status="written",
            fingerprint=intended.fingerprint,
            pending=None,
            remote_id=intended.change.remote_id or found.remote_id,
            remote_version=found.remote_version or prior.remote_version,
            digests=intended.digests,
            payload=None if intended.payload is None else canonical(merged.payload).decode(),
            retry_at=None,
            kept=self._kept(intended, merged),
        )

    def _kept(self, intended: Intended, merged: Merged) -> str | None:
        theirs = {name: merged.payload[name] for name in merged.kept if name in merged.payload}
        return spell(self.memory.digests(intended.key_text, canonical(theirs))) if theirs else None


def _local(intended: Intended) -> str | None:
    return None if intended.change.operation is Operation.DELETE else intended.canonical


def _under_another_key(intended: Intended) -> Intended:
    """The same change under an idempotency key of its own: one that depends on what is sent, and on top of what."""
    change = intended.change
    text = f"{change.idempotency_key}\x00{intended.canonical}\x00{change.remote_version}"
    digest = hashlib.blake2b(text.encode(), digest_size=18).hexdigest()
    return intended._replace(change=attrs.evolve(change, idempotency_key=f"cf1-{digest}"))
