"""The first half of an item step: read items, and have them processed.

Every item read becomes exactly one :class:`Prepared`, in the order of reading.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from contraflow.contract import describe
from contraflow.engine.parents import Handed, Parents, Waiting, WithParents
from contraflow.engine.prepared import NO_KEY, Prepared, refused
from contraflow.engine.processing import Processing, StageFailedError
from contraflow.errors import HookContractError
from contraflow.ledger import display_key, encode_key, encode_position
from contraflow.readers import READERS
from contraflow_hookspecs import IdFilter, Item, ItemError, Key, Operation, StepContext

_AT_ONCE = 16
"""Items of the built-in readers that are processed together. More gain little, and nobody can stop the run meanwhile."""
_MOST_CONSECUTIVE_FAILURES = 20
_MOST_WAITS = 5


@attrs.define(kw_only=True)
class Preparation:
    """Reads the items of one step execution, and has them processed.

    Args:
        read: The ``read_items`` caller of the step.
        reader: Name of the reader plugin, for messages.
        processing: Processes the items.
        context: What the reader may know.
        owed: Pages of keys that are to be read by id behind all else.
        parents: Finds the parents of items; ``None`` if they have none.
        page_size: Items whose parents are looked up at once, and most items that are processed together.
    """

    read: Callable[..., Any]
    reader: str
    processing: Processing
    context: StepContext
    owed: Callable[[], Iterable[Sequence[Key]]] = tuple
    parents: Parents | None = None
    page_size: int = 100
    items_read: int = 0
    waits: list[str] = attrs.field(factory=list, init=False)
    """Some of the items that wait for others, with the reason."""
    reached: Key | None = attrs.field(default=None, init=False)
    """The highest position so far, of a reader that tells positions."""

    def __iter__(self) -> Generator[Prepared, None, None]:
        """Yield every item; in a resumed step first what lies behind the checkpoint, then what lies before it.

        Entities before the checkpoint may have changed since the interrupted execution read them.
        """
        yield from self._in_order()
        for keys in self.owed():
            yield from self._by_id(keys)

    def _in_order(self) -> Generator[Prepared, None, None]:
        checkpoint = self.context.checkpoint
        if checkpoint is None:
            yield from self._read(self.context, follow=True)
            return
        first: str | None = None
        for prepared in self._read(self.context):
            if first is None and prepared.key != NO_KEY:
                first = prepared.key_text
            if prepared.position is not None:
                self.reached = prepared.position
            yield prepared
        last = encode_position(checkpoint)
        # One by one: what lies behind the checkpoint is not to be processed again.
        for prepared in self._read(attrs.evolve(self.context, checkpoint=None), one_by_one=True):
            if prepared.key_text == first:
                self.items_read -= 1
                return
            if first is None and prepared.position is not None:
                self.reached = prepared.position
            yield prepared
            if _place(prepared) == last:
                return

    def _by_id(self, keys: Sequence[Key]) -> Generator[Prepared, None, None]:
        wanted = {encode_key(key) for key in keys}
        context = attrs.evolve(self.context, filter=IdFilter(ids=tuple(keys), changed=True), checkpoint=None)
        for prepared in self._read(context):
            if prepared.key_text in wanted:
                yield prepared._replace(position=())
            else:
                self.items_read -= 1  # a reader that does not read by id

    def waiting(self, pages: Iterable[Sequence[Key]]) -> Generator[Prepared, None, None]:
        """Yield those of the items with these keys that need not wait any longer. They have been counted as read."""
        self.waits.clear()
        parameters = {**self.context.parameters, "missing": "warn"}
        for keys in pages:
            wanted = {encode_key(key) for key in keys}
            context = attrs.evolve(
                self.context, filter=IdFilter(ids=tuple(keys)), checkpoint=None, parameters=parameters
            )
            for prepared in self._read(context):
                self.items_read -= 1
                if prepared.waits is None and prepared.key_text in wanted:
                    yield prepared._replace(position=(), again=True)

    @property
    def _at_once(self) -> int:
        """How many items may be read before the first of them is processed.

        One, where an entity may live no longer than until the next is read, as with a reader of somebody's own; or where
        parents are looked up anew for each page, of which none may be looked up too early.
        """
        return min(_AT_ONCE, self.page_size) if self.reader in READERS and self.parents is None else 1

    def _read(
        self, context: StepContext, *, follow: bool = False, one_by_one: bool = False
    ) -> Generator[Prepared, None, None]:
        """Yield what is to be read.

        Args:
            context: Says what that is.
            follow: Whether to keep track of how far that came.
            one_by_one: Whether each item is to be processed before the next is read.
        """
        given = self._items(context)
        items = given if self.parents is None else WithParents(given, self.parents, self.page_size)
        at_once = 1 if one_by_one else self._at_once
        failures = 0
        try:
            while True:
                page: list[Any] = []
                trouble: Exception | None = None
                try:
                    for _ in range(at_once):
                        page.append(next(items))  # noqa: PERF401 - nothing else: iterating anew may begin anew
                except Exception as error:  # noqa: BLE001 - its turn, or the end's, comes behind the items before it
                    trouble = error
                for item, prepared in self._prepared(page):
                    if item.position is not None:
                        prepared = prepared._replace(position=item.position)
                        if follow:
                            self.reached = item.position
                    self.items_read += 1
                    yield prepared
                if isinstance(trouble, StopIteration):
                    return
                if trouble is None:
                    failures = 0
                    continue
                if not isinstance(trouble, ItemError):
                    raise trouble
                failures = 1 if page else failures + 1
                self._check_reader(given, trouble, failures)
                self.items_read += 1
                yield refused(trouble.key or NO_KEY, trouble.reason, trouble.code)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _prepared(self, page: Sequence[Any]) -> Iterator[tuple[Any, Prepared]]:
        """What was read, and what became of it. Trouble with an item comes behind the items before it."""
        prepared: list[Prepared] = []
        trouble: Exception | None = None
        try:
            if all([type(item) is Item for item in page]):  # noqa: C419 - a list is quicker than a generator
                self.processing.prepare(page, prepared)
            else:
                for item in page:
                    self._prepare_other(item, prepared)
        except Exception as error:  # noqa: BLE001
            trouble = error
        yield from zip(page, prepared, strict=False)
        if trouble is not None:
            raise trouble

    def _items(self, context: StepContext) -> Iterator[Item]:
        answer = self.read(context=context)
        if answer is None or not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
            raise HookContractError(self.reader, "read_items", describe(answer), "an iterable of Item")
        return iter(answer)

    def _check_reader(self, items: Iterator[Item], error: ItemError, failures: int) -> None:
        if inspect.isgenerator(items):
            # A generator that raised is at its end: going on would pass over the rest of the entities in silence.
            raise StageFailedError(
                f"reader '{self.reader}' raised ItemError out of a generator, which cannot be read on: {error.reason}"
            ) from error
        if failures >= _MOST_CONSECUTIVE_FAILURES:
            raise StageFailedError(
                f"reader '{self.reader}' failed {failures} times in a row, last: {error.reason}"
            ) from error

    def _prepare_other(self, item: Any, prepared: list[Prepared]) -> None:
        """What is made of an item that may refer to others; or what is no item, and is refused."""
        if type(item) is Waiting:
            prepared.append(self._wait(item))
        elif type(item) is Handed:
            self.processing.prepare([item.item], prepared)
            prepared[-1] = prepared[-1]._replace(parents=item.parents)
        elif type(item) is Item:
            self.processing.prepare([item], prepared)
        else:
            raise HookContractError(self.reader, "read_items", describe(item), "an Item")

    def _wait(self, waiting: Waiting) -> Prepared:
        key = waiting.item.key
        if len(self.waits) < _MOST_WAITS:
            self.waits.append(f"{display_key(key)}: deferred: {waiting.reason}")
        try:
            key_text = encode_key(key)
        except ValueError as error:
            return refused(NO_KEY, f"the key cannot be kept: {error}", "key")
        return Prepared(key, key_text, Operation.UPSERT, None, "", None, waits=waiting.reason)


def _place(prepared: Prepared) -> str:
    return prepared.key_text if prepared.position is None else encode_position(prepared.position)
