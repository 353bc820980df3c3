"""The full comparison: which items the ledger knows, and a complete read did not yield.

While a step reads everything, each key is noted on disk: as its hash, 64 bits that Python salts anew in each process. Then
the ledger's keys of the step are paged through in their order, and those that were not noted have vanished. No row costs a
look-up of its own, and memory holds a page. Two keys of one hash put off a deletion, until a run salts them differently.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from types import TracebackType
from typing import Self

import attrs

from contraflow.engine.key_types import check_key_type
from contraflow.engine.prepared import NO_KEY, Prepared, removal
from contraflow.ledger import KnownKey, Ledger, decode_key
from contraflow.options import Removal, StepOptions
from contraflow_hookspecs import StepContext

_PAGE = 1000
_MOST_ROUNDS = 1000
"""Deeper trees of records that vanished are taken away from their leaves by several runs."""
_DEPTHS = """
WITH RECURSIVE found (key, depth) AS (
    SELECT key, 0 FROM vanished WHERE key NOT IN (SELECT child FROM edge WHERE parent IN (SELECT key FROM vanished))
    UNION
    SELECT edge.child, depth + 1 FROM edge JOIN found ON edge.parent = found.key WHERE depth < ?
)
UPDATE vanished SET depth = (SELECT max(depth) FROM found WHERE found.key = vanished.key)
"""
"""How far each record that vanished stands below one that has no parent among them; NULL of those in a circle."""
_SEEN = "SELECT hash, min(filtered) FROM seen WHERE hash IN (SELECT value FROM json_each(?)) GROUP BY hash"


def reads_everything(context: StepContext) -> bool:
    """Whether what a step does not read is not there: nobody asked for certain ids, or only for what changed."""
    return context.filter.ids is None and not context.filter.changed


def put_aside(
    items: Generator[Prepared, None, None], which: Callable[[Prepared], bool], take: Callable[[Prepared], None]
) -> Generator[Prepared, None, None]:
    """Yield the items but for some, which are handed over instead."""
    with closing(items):
        for item in items:
            if which(item):
                take(item)
            else:
                yield item


@attrs.define(kw_only=True)
class FullComparison:
    """Holds all that a step reads against all that the ledger knows of it, if the step wants that. A context manager.

    Args:
        ledger: The ledger.
        stream_id: The ledger's number for the step into its integration.
        options: The step's.
        context: What its reader is asked.
    """

    ledger: Ledger
    stream_id: int
    options: StepOptions
    context: StepContext
    items: int = attrs.field(default=0, init=False)
    """How many vanished items were yielded."""
    nameless: int = attrs.field(default=0, init=False)
    """Items read whose key could not be told: one of them may be any that the ledger knows."""
    known: int = attrs.field(default=0, init=False)
    """How many records the remote held from this step before: what the run itself has created would hide how many go."""
    to_remove: int = attrs.field(default=0, init=False)
    """How many of them are to be removed."""
    read: int = attrs.field(default=0, init=False)
    """How many items were read that have a key."""
    _db: sqlite3.Connection = attrs.field(init=False)
    _is_open: bool = attrs.field(default=False, init=False)

    @property
    def wanted(self) -> bool:
        """Whether anything may be removed after the run has read what it is to read."""
        removes = self.options.deletions is not None or self.options.filtered is not None
        return removes and reads_everything(self.context)

    def __enter__(self) -> Self:
        self.open()
        return self

    def open(self) -> None:
        """Begin.

        Raises:
            LedgerError: The ledger cannot be read; nothing is open then.
        """
        if self.wanted:
            self.known = self.ledger.known_items(self.stream_id)
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file, of which no name remains
        self._is_open = True
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE seen (hash INTEGER NOT NULL, filtered INTEGER NOT NULL)")
        self._db.execute(
            "CREATE TABLE vanished (key TEXT NOT NULL, removal TEXT NOT NULL, sent INTEGER NOT NULL, depth INTEGER)"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the notes. Closing twice does no harm."""
        if self._is_open:
            self._db.close()

    def watch(self, items: Generator[Prepared, None, None]) -> Generator[Prepared, None, None]:
        """Note each item on its way to the comparison.

        Raises:
            KeyTypeChangedError: The keys are of other types than those that the ledger knows.
        """
        items = self._with_known_types(items)
        if not self.wanted:
            yield from items
            return
        noted: list[tuple[int, bool]] = []
        try:
            for item in items:
                if item.key == NO_KEY:
                    self.nameless += 1
                else:
                    self.read += 1
                    is_filtered = item.payload is None and item.rejected is None and item.waits is None
                    noted.append((hash(item.key_text), is_filtered))
                if len(noted) >= _PAGE:
                    self._note(noted)
                    noted = []
                yield item
        finally:
            items.close()
        self._note(noted)

    def _with_known_types(self, items: Generator[Prepared, None, None]) -> Generator[Prepared, None, None]:
        with closing(items):
            for item in items:
                if item.key != NO_KEY:
                    check_key_type(self.ledger, self.stream_id, item.key_text, self.context.step)
                    yield item
                    break
                yield item
            yield from items

    def _note(self, noted: list[tuple[int, bool]]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO seen VALUES (?, ?)", noted)
        self._db.execute("COMMIT")

    def find(self) -> bool:
        """Find what has vanished, after everything was read; whether there is any. ``to_remove`` is known then."""
        if not self.wanted:
            return False
        if self.nameless:
            self.context.logger.warning(
                "%s: nothing is removed, since of %d items that were read not even the key could be told",
                self.context.step,
                self.nameless,
            )
            return False
        self._db.execute("CREATE INDEX seen_hash ON seen (hash, filtered)")
        for page in self._known():
            hashes = [hash(each.key) for each in page]
            seen = dict(self._db.execute(_SEEN, [json.dumps(hashes)]))
            gone = [
                (each.key, what.value, each.sent)
                for each, number in zip(page, hashes, strict=True)
                if (what := self._removal_of(seen.get(number))) is not None
            ]
            self.to_remove += sum(sent for _, _, sent in gone)
            self._add(gone)
        return self.found

    @property
    def found(self) -> bool:
        """Whether there are removals: found ones, or others."""
        return self._db.execute("SELECT 1 FROM vanished LIMIT 1").fetchone() is not None

    def add(self, removals: Iterable[Prepared]) -> None:
        """Let removals that need not be found go with those that are."""
        self._add(
            (each.key_text, (Removal.ARCHIVE if each.archive else Removal.DELETE).value, True) for each in removals
        )

    def _add(self, rows: Iterable[tuple[str, str, bool]]) -> None:
        self._db.executemany("INSERT INTO vanished VALUES (?, ?, ?, 0)", rows)

    def _known(self) -> Iterator[list[KnownKey]]:
        after = ""
        while page := self.ledger.known_keys(self.stream_id, after=after, limit=_PAGE):
            yield page
            after = page[-1].key

    def _removal_of(self, seen: int | None) -> Removal | None:
        """What is to become of a known item.

        Args:
            seen: ``None`` if it was not read, 0 if it was, 1 if the processor skipped it.
        """
        if seen is None:
            return self.options.deletions
        return self.options.filtered if seen else None

    def keys(self) -> Iterator[str]:
        """The keys of what is to be removed at the remote, in ascending order."""
        yield from (key for (key,) in self._pages("SELECT key FROM vanished WHERE sent ORDER BY key"))

    def rounds(self, names: Sequence[str]) -> Iterator[Generator[Prepared, None, None]]:
        """Yield the removals of the vanished items, in rounds: children before their parents.

        Args:
            names: Of the references of the step's items among themselves.
        """
        if names:
            self._db.execute("CREATE TABLE edge (parent TEXT NOT NULL, child TEXT NOT NULL)")
            self._find_edges(names)
            self._db.execute("CREATE INDEX edge_parent ON edge (parent, child)")
            self._db.execute("CREATE INDEX vanished_key ON vanished (key)")
            self._db.execute(_DEPTHS, [_MOST_ROUNDS])
            self._db.execute("CREATE INDEX vanished_depth ON vanished (depth)")
        # NULL last: nobody can say which of those is to go first.
        depths = self._db.execute("SELECT DISTINCT depth FROM vanished ORDER BY depth DESC").fetchall()
        for (depth,) in depths:
            yield self._removals(depth)

    def _removals(self, depth: int | None) -> Generator[Prepared, None, None]:
        for key, what in self._pages("SELECT key, removal FROM vanished WHERE depth IS ? ORDER BY rowid", depth):
            self.items += 1
            yield removal(decode_key(key), key, Removal(what))._replace(position=())

    def _find_edges(self, names: Sequence[str]) -> None:
        cursor = self._db.execute("SELECT key FROM vanished")
        while page := [key for (key,) in islice(cursor, _PAGE)]:
            for name in names:
                pairs = self.ledger.parents_of(self.stream_id, name, page)
                self._db.executemany("INSERT INTO edge (child, parent) VALUES (?, ?)", pairs)

    def _pages(self, query: str, *given: int | None) -> Iterable[tuple[str, ...]]:
        cursor = self._db.execute(query, given)
        while page := list(islice(cursor, _PAGE)):
            yield from page
