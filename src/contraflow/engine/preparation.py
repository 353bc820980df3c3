"""The first half of an item step: read items, process them, fingerprint the payloads.

Every item read becomes exactly one :class:`Prepared`, in the order of reading.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from contraflow.contract import describe
from contraflow.engine.moments import moment_of
from contraflow.engine.parents import Handed, Parents, Waiting, WithParents
from contraflow.errors import ContraflowError, HookContractError
from contraflow.fingerprint import canonical_form, fingerprint_of
from contraflow.ledger import display_key, encode_key, encode_position
from contraflow.options import Removal
from contraflow_hookspecs import ConnectorError, IdFilter, Item, ItemError, Key, Operation, Rejected, Skip, StepContext

_UPSERT, _DELETE = Operation.UPSERT, Operation.DELETE  # looked up for each item they would take long
DELETED = "deleted"
"""Stands for the fingerprint of an item that is to be removed."""
ARCHIVED = "archived"
"""The same of one that is to be archived."""

_FORGOTTEN = Skip(reason="it was forgotten, by contraflow forget", code="forgotten")
_MOST_CONSECUTIVE_FAILURES = 20
_MOST_WAITS = 5
NO_KEY = ("?",)
"""Stands for the key of an item of which not even that can be told."""


class Prepared(NamedTuple):
    """One item read, on its way to the comparison."""

    key: Key
    key_text: str
    operation: Operation
    payload: Mapping[str, Any] | None
    """``None`` if the item was filtered or rejected."""
    fingerprint: str
    rejected: Rejected | None
    canonical: str = ""
    """The payload's canonical form, for the intent."""
    position: Key | None = None
    """Where to read on behind the item: ``None`` for its key, ``()`` if it does not stand in the order of reading."""
    modified: datetime | None = None
    """When the entity was changed last, where the step asks for it."""
    is_plain: bool = False
    """Whether the canonical form spells the payload's very own values."""
    waits: str | None = None
    """Why the item has to wait for another one."""
    again: bool = False
    """Whether the item was read before, and had to wait."""
    archive: bool = False
    """Whether a removal means that the connector's ``archive_items`` puts the record away."""
    parents: str = ""
    """To which items of other steps it refers, as the ledger keeps that."""


_THE_REST = tuple(Prepared._field_defaults[name] for name in Prepared._fields[10:])
"""Of an item that was read in its place, and waits for nothing."""


def removal(key: Key, key_text: str, what: Removal) -> Prepared:
    """An item that is to be removed."""
    archive = what is Removal.ARCHIVE
    return Prepared(key, key_text, Operation.DELETE, {}, ARCHIVED if archive else DELETED, None, archive=archive)


class StageFailedError(ContraflowError):
    """A stage fails, and the trouble is not with the items."""


@attrs.define(kw_only=True)
class Preparation:
    """Reads and processes the items of one step execution.

    Args:
        read: The ``read_items`` caller of the step.
        process: Its ``process_item`` caller.
        reader: Name of the reader plugin, for messages.
        processor: Name of the processor plugin, for messages.
        context: What the stages may know.
        can_delete: Whether the remote can delete.
        modified_column: The attribute that tells when an entity was changed last, where that must be known.
        removal: What it means that the reader yields a deletion.
        filtered: Called with each item that ``process_item`` skips, and its ``Skip``.
        explain: Turns an exception of the processor into words, where it knows better than the exception itself.
        owed: Pages of keys that are to be read by id behind all else.
        parents: Finds the parents of items; ``None`` if they have none.
        page_size: Items whose parents are looked up at once.
        forgotten: Tells of a key's canonical text whether its item is not to be sent any more; ``None`` if none is.
    """

    read: Callable[..., Any]
    process: Callable[..., Any]
    reader: str
    processor: str
    context: StepContext
    can_delete: bool = True
    modified_column: str | None = None
    removal: Removal = Removal.DELETE
    filtered: Callable[..., None] | None = None
    explain: Callable[[BaseException, Any], str | None] = lambda error, entity: None
    owed: Callable[[], Iterable[Sequence[Key]]] = tuple
    parents: Parents | None = None
    page_size: int = 100
    forgotten: Callable[[str], bool] | None = None
    items_read: int = 0
    waits: list[str] = attrs.field(factory=list, init=False)
    """Some of the items that wait for others, with the reason."""
    reached: Key | None = attrs.field(default=None, init=False)
    """The highest position so far, of a reader that tells positions."""
    _failures: int = 0

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
        for prepared in self._read(attrs.evolve(self.context, checkpoint=None)):
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

    def _read(self, context: StepContext, *, follow: bool = False) -> Generator[Prepared, None, None]:
        """Yield what is to be read; ``follow`` keeps track of how far that came."""
        given = self._items(context)
        items = given if self.parents is None else WithParents(given, self.parents, self.page_size)
        failures = 0
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration:
                    return
                except ItemError as error:
                    failures += 1
                    self._check_reader(given, error, failures)
                    prepared = _rejected(error.key or NO_KEY, error.reason, error.code)
                else:
                    failures = 0
                    prepared = self._prepare(item) if type(item) is Item else self._prepare_other(item)
                    if item.position is not None:
                        prepared = prepared._replace(position=item.position)
                        if follow:
                            self.reached = item.position
                self.items_read += 1
                yield prepared
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

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

    def _prepare_other(self, item: Any) -> Prepared:
        """What was made of an item that refers to others; or what is no item, and is refused."""
        if type(item) is Handed:
            return self._prepare(item.item)._replace(parents=item.parents)
        return self._wait(item) if type(item) is Waiting else self._prepare(item)

    def _wait(self, waiting: Waiting) -> Prepared:
        key = waiting.item.key
        if len(self.waits) < _MOST_WAITS:
            self.waits.append(f"{display_key(key)}: deferred: {waiting.reason}")
        try:
            key_text = encode_key(key)
        except ValueError as error:
            return _rejected(NO_KEY, f"the key cannot be kept: {error}", "key")
        return Prepared(key, key_text, Operation.UPSERT, None, "", None, waits=waiting.reason)

    def _prepare(self, item: Item) -> Prepared:
        if type(item) is not Item:
            raise HookContractError(self.reader, "read_items", describe(item), "an Item")
        key = item.key
        try:
            key_text = encode_key(key)
        except ValueError as error:
            return _rejected(NO_KEY, f"the key cannot be kept: {error}", "key")
        if item.operation is _DELETE:
            if self.removal is Removal.DELETE and not self.can_delete:
                return _rejected(key, "the connector declares that its remote cannot delete", "delete")
            return removal(key, key_text, self.removal)
        if self.forgotten is not None and self.forgotten(key_text):
            return self._left_out(item, key_text, _FORGOTTEN)
        try:
            payload = self.process(item=item, context=self.context)
            if type(payload) is Skip:
                self._failures = 0
                return self._left_out(item, key_text, payload)
            if type(payload) is not dict and not isinstance(payload, Mapping):  # the quick question first
                raise HookContractError(self.processor, "process_item", describe(payload), "a mapping or Skip")
            data, is_plain = canonical_form(payload)
            modified = None if self.modified_column is None else moment_of(item, self.modified_column)
            known = (
                key,
                key_text,
                _UPSERT,
                payload,
                fingerprint_of(data),
                None,
                data.decode(),
                None,
                modified,
                is_plain,
            )
            prepared = tuple.__new__(Prepared, known + _THE_REST)  # as Prepared(…), in half of the time
        except ItemError as error:
            return Prepared(
                key, key_text, Operation.UPSERT, None, "", Rejected(key=key, code=error.code, reason=error.reason)
            )
        except (ContraflowError, ConnectorError):
            raise
        except Exception as error:  # noqa: BLE001 - one record that the processor trips over must not stop the others
            return self._tripped(item, key_text, error)
        self._failures = 0
        return prepared

    def _left_out(self, item: Item, key_text: str, skip: Skip) -> Prepared:
        if self.filtered is not None:
            self.filtered(item=item, skip=skip, context=self.context)
        return Prepared(item.key, key_text, Operation.UPSERT, None, "", None)

    def _tripped(self, item: Item, key_text: str, error: Exception) -> Prepared:
        key = item.key
        explanation = self.explain(error, item.entity)
        if explanation is not None:  # a mistake in the job, not in the item
            raise StageFailedError(f"processor '{self.processor}': {explanation}") from error
        self._failures += 1
        reason = f"{type(error).__name__}: {error}"
        if self._failures >= _MOST_CONSECUTIVE_FAILURES:
            raise StageFailedError(
                f"processor '{self.processor}' failed for {self._failures} items in a row, last: {reason}"
            ) from error
        self.context.logger.debug("process_item failed for %s", key, exc_info=error)
        return Prepared(
            key, key_text, Operation.UPSERT, None, "", Rejected(key=key, code="process_error", reason=reason)
        )


def _place(prepared: Prepared) -> str:
    return prepared.key_text if prepared.position is None else encode_position(prepared.position)


def _rejected(key: Key, reason: str, code: str) -> Prepared:
    try:
        key_text = encode_key(key)
    except ValueError:
        key, key_text = NO_KEY, encode_key(NO_KEY)
    return Prepared(key, key_text, Operation.UPSERT, None, "", Rejected(key=key, code=code, reason=reason))
