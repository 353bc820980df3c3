"""The second half of an item step's reading side: hold prepared items against the ledger, and cut chunks of changes.

An item that the remote already holds goes no further. The others become :class:`~contraflow_hookspecs.Change` values. A
chunk ends when it has as many changes as one call may carry, or when very many items went into it without becoming changes,
so that the checkpoint moves on also through a table in which little has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence, Set
from contextlib import closing
from datetime import datetime

import attrs

from contraflow.engine.chunk import Chunk, Intended, Refused
from contraflow.engine.memory import NOTHING, Memory, previous_of
from contraflow.engine.prepared import NO_KEY, Prepared, removal
from contraflow.engine.read_ahead import ReadAhead
from contraflow.engine.standing import is_ours, pause_of
from contraflow.ledger import AWAY, ItemState, ItemStatus, Ledger, Referring
from contraflow.options import Removal
from contraflow_hookspecs import Change, Operation

_UPSERT, _DELETE = Operation.UPSERT, Operation.DELETE  # looked up for each item it would take long
_FIRST_GENERATION = 1
_MOST_ITEMS_PER_CHANGE = 10


@attrs.define(kw_only=True)
class Comparison:
    """Cuts a stream of prepared items into chunks.

    Args:
        ledger: Where the items' states are kept.
        stream_id: The ledger's number for this step into this integration.
        identity: What makes idempotency keys of this ledger and stream different from all others.
        page_size: Items looked up in the ledger at once.
        chunk_size: Most changes in a chunk.
        memory: What is remembered of the items' fields.
        now: The clock.
        resend_held: Whether items that an earlier run held, since their fate is unknown, are sent again.
        force: Whether items are sent also if the remote holds them, or has refused them.
        at_once: Whether deferred items are due before their time.
        filtered: What is to become at once of items that were sent, and that the processor now skips; ``None``: nothing.
        resurrect: Whether records that somebody removed at the remote are made again.
        settles_conflicts: Whether the step says what holds in a conflict: then what was refused for one is sent again.
        settle: Called with keys before anything is looked up of them: what was cut before, and concerns one of them, must
            be settled then, and nothing else be on its way into the ledger.
    """

    ledger: Ledger
    stream_id: int
    identity: Sequence[str]
    page_size: int
    chunk_size: int
    memory: Memory
    now: Callable[[], datetime]
    resend_held: bool = False
    force: bool = False
    at_once: bool = False
    filtered: Removal | None = None
    resurrect: bool = False
    settles_conflicts: bool = False
    settle: Callable[[Collection[str]], None] = lambda keys: None
    _states: dict[str, ItemState] = attrs.field(factory=dict, init=False)
    _base: hashlib.blake2b = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._base = hashlib.blake2b(json.dumps(list(self.identity)).encode(), digest_size=18)

    def remember(self, states: Iterable[ItemState]) -> None:
        """Take note of what was just settled, since the present page may hold the same key again."""
        for state in states:
            self._states[state.key] = state

    def chunks(self, items: Generator[Prepared, None, None] | ReadAhead[Prepared]) -> Generator[Chunk, None, None]:
        """Yield the chunks in the order of the items; the last may hold nothing that must be sent.

        Args:
            items: They are closed when nobody wants more.
        """
        ahead = items if isinstance(items, ReadAhead) else ReadAhead(items, 0)
        with closing(ahead):
            yield from self._cut(ahead)

    @property
    def _may_pass(self) -> bool:
        """Whether nothing is to be learned of an item that the remote holds as it is."""
        return not self.force and not self.memory.keeps_payloads

    def _cut(self, stream: ReadAhead[Prepared]) -> Generator[Chunk, None, None]:
        chunk = Chunk()
        longest = self.chunk_size * _MOST_ITEMS_PER_CHANGE
        may_pass = self._may_pass
        while page := stream.take(self.page_size):
            keys = [item.key_text for item in page]
            self.settle(keys)
            self._states = {}  # what was settled of earlier pages is looked up where it is wanted
            known = self.ledger.confirmed(self.stream_id, keys)
            mentioned = chunk.intended.keys() | chunk.noted
            at_once = may_pass and not mentioned
            if at_once and known and _all_unchanged(page, keys, known):
                chunk.counts["unchanged"] += len(page)
                chunk.size += len(page)
                chunk.position = page[-1].key
                if chunk.size >= longest:
                    yield chunk
                    chunk = Chunk()
                continue
            if at_once and not known and _all_new(page, keys):
                chunk = yield from self._cut_new(page, chunk)
                continue
            doubtful = {
                item.key_text
                for item in page
                if item.key_text in known
                and (known[item.key_text] != item.fingerprint or item.key_text in mentioned or not may_pass)
            }
            self._look_up(doubtful)
            for number, item in enumerate(page, start=1):
                passes = item.key_text in known and item.key_text not in doubtful
                if not passes and _must_be_settled(chunk, item):
                    yield chunk
                    chunk = Chunk()
                    self.settle(keys[number - 1 :])
                _take_in(chunk, item)
                if passes:
                    # Most items of most runs: the remote holds this very version, and there is nothing to learn of it.
                    chunk.counts["unchanged"] += 1
                else:
                    self._add(chunk, item)
                if (
                    len(chunk.intended) >= self.chunk_size
                    or len(chunk.rejected) >= self.chunk_size
                    or chunk.size >= longest
                ):
                    yield chunk
                    chunk = Chunk()
                    if number < len(page):  # otherwise the next page is read first
                        self.settle(keys[number:])
        if chunk.size or chunk.counts:
            yield chunk

    def _cut_new(self, page: Sequence[Prepared], chunk: Chunk) -> Generator[Chunk, None, Chunk]:
        """Take in items of which the ledger knows nothing, as they would be one by one; the last chunk is returned."""
        longest = self.chunk_size * _MOST_ITEMS_PER_CHANGE
        while page:
            room = min(self.chunk_size - len(chunk.intended), longest - chunk.size)
            self._intend_new(chunk, page[:room])
            page = page[room:]
            if len(chunk.intended) >= self.chunk_size or chunk.size >= longest:
                yield chunk
                chunk = Chunk()
        return chunk

    def _intend_new(self, chunk: Chunk, items: Sequence[Prepared]) -> None:
        """Do as :meth:`_add` and :meth:`_intend` do, in half of the time: each step of it for all items."""
        chunk.size += len(items)
        chunk.position = items[-1].key
        changes = [
            Change(
                key=item.key,
                payload=item.payload or {},
                idempotency_key=self._idempotency_key(
                    key_text=item.key_text, generation=_FIRST_GENERATION, fingerprint=item.fingerprint
                ),
            )
            for item in items
        ]
        digests = self.memory.spelled(
            [(item.key_text, item.canonical, item.payload if item.is_plain else None) for item in items]
        )
        intended = chunk.intended
        for item, change, spelled in zip(items, changes, digests, strict=True):
            key_text, modified, parents = item.key_text, item.modified, item.parents
            # As Intended(…), in half of the time.
            fields = (
                change,
                key_text,
                item.fingerprint,
                _FIRST_GENERATION,
                None,
                item.canonical,
                spelled,
                None,
                None,
                modified,
                False,
                parents,
            )
            intended[key_text] = tuple.__new__(Intended, fields)

    def _idempotency_key(self, *, key_text: str, generation: int, fingerprint: str) -> str:
        digest = self._base.copy()
        # The fingerprint tells a removal, too.
        digest.update(f"{key_text}\x00{generation}\x00{fingerprint}".encode())
        return f"cf1-{digest.hexdigest()}"

    def _look_up(self, keys: Set[str]) -> None:
        self._states = self.ledger.item_states(self.stream_id, list(keys))
        if self.settles_conflicts:
            self._release_conflicts()

    def _release_conflicts(self) -> None:
        """Forget that the remote refused these very versions while nobody had said what holds in a conflict."""
        refused = [key for key, state in self._states.items() if state.status == "rejected" and state.pending]
        for key in self.ledger.refused_for_conflict(self.stream_id, refused):
            self._states[key] = self._states[key]._replace(pending=None)

    def _add(self, chunk: Chunk, item: Prepared) -> None:
        key_text = item.key_text
        if item.waits is not None:
            self._put_off(chunk, item, item.waits)
            return
        state = self._states.get(key_text)
        if item.rejected is None and item.payload is None:
            if self.filtered is None or not is_ours(state):
                chunk.counts["filtered"] += 1
                return
            item = removal(item.key, key_text, self.filtered)
        if item.rejected is not None:
            chunk.rejected.append(Refused(item.rejected, key_text, state))
            chunk.counts["rejected"] += 1
            if item.key != NO_KEY:
                chunk.noted.add(key_text)
            return
        if key_text in chunk.intended:
            # The newest version of an item is the one to send: the earlier one would be overwritten at once.
            del chunk.intended[key_text]
            chunk.counts["coalesced"] += 1
        self._place(chunk, item, state)

    def _put_off(self, chunk: Chunk, item: Prepared, reason: str) -> None:
        """An item that waits for a parent: nothing is tried, so nothing is pending."""
        state = self._states.get(item.key_text)
        if state is not None and state.status in ("in_doubt", "conflict"):
            chunk.counts[state.status] += 1  # and stays so until it is resolved
            return
        chunk.counts["deferred"] += 1
        chunk.aside.append(("deferred", item.key_text, reason))
        state = state or ItemState(item.key_text, "deferred", 0)
        chunk.restore(state._replace(status="deferred", pending=None, retry_at=None))

    def _place(self, chunk: Chunk, item: Prepared, state: ItemState | None) -> None:
        if _is_at_remote(item, state) and not (self.force and item.operation is Operation.UPSERT):
            chunk.counts["unchanged"] += 1
            self._note_unchanged(chunk, item, state)
        elif state is not None and state.status == "gone" and not self.resurrect and not (self.force and self.at_once):
            chunk.counts["gone"] += 1
            chunk.aside.append(("gone", item.key_text, "somebody else removed it at the remote"))
        elif state is not None and state.status == "in_doubt" and not self.resend_held:
            # Only recovery may send it again; until then a newer version would race with the older one.
            chunk.counts["in_doubt"] += 1
            chunk.aside.append(("held", item.key_text, "it is in doubt whether an earlier version arrived"))
        elif self.force or state is None:
            chunk.intended[item.key_text] = self._intend(item, state)
        elif state.status == "rejected" and state.pending == item.fingerprint:
            chunk.counts["rejected"] += 1  # the remote has refused this very version: it would again
            chunk.aside.append(("rejected", item.key_text, "the remote has refused this very version"))
        elif not self.at_once and (not_before := pause_of(state, self.now())) is not None:
            chunk.counts["deferred"] += 1
            chunk.not_due.append((item.key, not_before))
            chunk.aside.append(("deferred", item.key_text, "the time of its next attempt has not come"))
        else:
            chunk.intended[item.key_text] = self._intend(item, state)

    def _note_unchanged(self, chunk: Chunk, item: Prepared, state: ItemState | None) -> None:
        if state is None:
            return
        settled: ItemStatus = "deleted" if item.operation is _DELETE else "written"
        if state.status not in (settled, *AWAY):
            chunk.restore(state._replace(status=settled, pending=None, retry_at=None))
        elif item.operation is Operation.UPSERT and (known := self.memory.learn(state, item.canonical)) is not None:
            chunk.restore(known)

    def _intend(self, item: Prepared, state: ItemState | None) -> Intended:
        if state is None:
            generation = _FIRST_GENERATION
        elif state.pending == item.fingerprint and (not self.force or state.status == "in_doubt"):
            generation = state.generation  # the same change as last time: the remote must be able to recognise it
        else:
            generation = state.generation + 1
        is_delete = item.operation is _DELETE
        own_values = item.payload if item.is_plain else None
        kept = NOTHING if is_delete else self.memory.of(item.key_text, item.canonical, state, own_values)
        change = Change(
            key=item.key,
            operation=item.operation,
            payload=item.payload or {},
            previous=None if state is None else previous_of(state),
            changed=kept.changed,
            remote_id=None if state is None else state.remote_id,
            remote_version=None if state is None else state.remote_version,
            idempotency_key=self._idempotency_key(
                key_text=item.key_text, generation=generation, fingerprint=item.fingerprint
            ),
        )
        return Intended(
            change,
            item.key_text,
            item.fingerprint,
            generation,
            state,
            item.canonical,
            kept.digests,
            kept.payload,
            None,
            item.modified,
            item.archive,
            item.parents,
        )


def _must_be_settled(chunk: Chunk, item: Prepared) -> bool:
    """Whether what the chunk says of an item must be in the ledger, before anything is to be said of its next version.

    Not where both are to be sent: then the next one takes the place of the first.
    """
    return item.key_text in chunk.noted or (item.payload is None and item.key_text in chunk.intended)


def _take_in(chunk: Chunk, item: Prepared) -> None:
    """Count an item, and note how far the reader has come with it."""
    if item.again:
        chunk.counts["deferred"] -= 1
    else:
        chunk.size += 1
    if item.position:
        chunk.position = item.position
    elif item.position is None:
        chunk.position = chunk.position if item.key == NO_KEY else item.key
    elif item.parents:  # it was read by id
        chunk.referring.append(Referring(item.key_text, item.parents))


def _all_unchanged(page: Sequence[Prepared], keys: Sequence[str], known: Mapping[str, str | None]) -> bool:
    """Whether the remote holds each of these items as it is, as in most pages of most runs, and all stand in key order."""
    in_order = all([item.position is None for item in page])  # noqa: C419 - a list is quicker than a generator
    return in_order and list(map(known.get, keys)) == [item.fingerprint for item in page]


def _all_new(page: Sequence[Prepared], keys: Sequence[str]) -> bool:
    """Whether each of these items, of which the ledger knows nothing, is to be sent, as in most pages of a first run."""
    return len(set(keys)) == len(keys) and all(
        [item.payload is not None and item.operation is _UPSERT and item.position is None for item in page]  # noqa: C419
    )


def _is_at_remote(item: Prepared, state: ItemState | None) -> bool:
    if item.operation is _DELETE:
        return not is_ours(state)
    return state is not None and state.fingerprint == item.fingerprint and state.status != "in_doubt"
