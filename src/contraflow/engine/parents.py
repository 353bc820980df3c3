"""Hand items the remote ids of their parents, as the ledger knows them, and tell which have to wait for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import orjson

from contraflow.assembly import RunnableStep
from contraflow.errors import ContraflowError
from contraflow.ledger import ItemState, Ledger, display_key, encode_key
from contraflow.reference_check import entity_of
from contraflow.references import Reference
from contraflow.source.key_values import convert
from contraflow_hookspecs import Item, Key, Operation, StepContext

if TYPE_CHECKING:
    from contraflow.source import Source

_NOT_THERE = ("deleted", "archived", "gone")
_FORGOTTEN = "its parent {0.name} of step '{0.step}' was forgotten, by contraflow forget"


class MissingColumnError(ContraflowError):
    """The items of a step do not have a column of one of its references."""


class Waiting(NamedTuple):
    """An item that waits for a parent."""

    item: Item
    reason: str

    @property
    def position(self) -> Key | None:
        """The item's."""
        return self.item.position


class Handed(NamedTuple):
    """An item that refers to others, with their remote ids as far as they are there."""

    item: Item
    parents: str
    """As the ledger keeps them: :class:`contraflow.ledger.Referring`."""

    @property
    def position(self) -> Key | None:
        """The item's."""
        return self.item.position


@attrs.frozen(kw_only=True)
class _Lookup:
    """How one reference is followed."""

    reference: Reference
    names: tuple[str, ...]
    """Of the key columns, as an item's entity has them."""
    types: tuple[type[Any] | None, ...]
    to_itself: bool


@attrs.frozen(kw_only=True)
class Parents:
    """Finds the parents of a step's items.

    Args:
        lookups: How the step's references are followed.
        ledger: Knows the parents' remote ids.
        integration: Where they are.
    """

    lookups: Sequence[_Lookup]
    ledger: Ledger
    integration: str
    _streams: dict[str, int] = attrs.field(factory=dict, init=False)
    _forgotten: dict[str, Callable[[str], bool] | None] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, step: RunnableStep, context: StepContext, ledger: Ledger) -> Parents | None:
        """The parents of a step's items; ``None`` if it refers to none."""
        if not step.references:
            return None
        lookups = [
            _Lookup(
                reference=each,
                names=_names(each, context.parameters, context.source),
                types=_types(each, context.source),
                to_itself=(each.job, each.step) == (context.job, context.step),
            )
            for each in step.references
        ]
        return cls(lookups=lookups, ledger=ledger, integration=context.integration)

    @property
    def refer_to_themselves(self) -> bool:
        """Whether items have parents among themselves."""
        return any(lookup.to_itself for lookup in self.lookups)

    def find(self, items: Sequence[Any]) -> list[Any]:
        """The items with their parents, looked up together: as :class:`Handed`, or as :class:`Waiting` if they lack one."""
        found: list[dict[str, str]] = [{} for _ in items]
        named: list[dict[str, tuple[str, bool]]] = [{} for _ in items]
        lacking: list[str | None] = [None] * len(items)
        for lookup in self.lookups:
            keys = [self._parent_key(lookup, item) for item in items]
            texts = [None if key is None else _text(key) for key in keys]
            states = self._states(lookup, texts)
            for place, (key, text) in enumerate(zip(keys, texts, strict=True)):
                if key is None:
                    continue
                state = None if text is None else states.get(text)
                remote_id = None if state is None or not _is_there(state) else state.remote_id
                forgotten = text is not None and self._is_forgotten(lookup, text)
                if text is not None and not forgotten:  # the ledger keeps no name of what is forgotten
                    named[place][lookup.reference.name] = (text, remote_id is not None)
                if remote_id is not None:
                    found[place][lookup.reference.name] = remote_id
                elif lookup.reference.required and lacking[place] is None:
                    lacking[place] = (
                        _FORGOTTEN.format(lookup.reference) if forgotten else _why(lookup.reference, key, state)
                    )
        return [self._handed(*each) for each in zip(items, found, named, lacking, strict=True)]

    @staticmethod
    def _handed(item: Any, found: Mapping[str, str], named: Mapping[str, Any], lacking: str | None) -> Any:
        if lacking is not None:
            return Waiting(item, lacking)
        if type(item) is not Item or item.operation is Operation.DELETE:
            return item
        return Handed(attrs.evolve(item, parents=found) if found else item, orjson.dumps(named).decode())

    def optional(self) -> Iterator[tuple[str, int]]:
        """The references without which items are sent: their names, and the streams of the parents."""
        for lookup in self.lookups:
            if not lookup.reference.required and (stream := self._stream(lookup)) is not None:
                yield lookup.reference.name, stream

    def _states(self, lookup: _Lookup, texts: Sequence[str | None]) -> Mapping[str, ItemState]:
        stream = self._stream(lookup)
        wanted = dict.fromkeys(text for text in texts if text is not None)
        return {} if stream is None else self.ledger.item_states(stream, list(wanted))

    def _stream(self, lookup: _Lookup) -> int | None:
        name, reference = lookup.reference.name, lookup.reference
        if name not in self._streams:  # asked anew until there is one: another process may send the parents meanwhile
            stream = self.ledger.stream(integration=self.integration, job=reference.job, step=reference.step)
            if stream is None:
                return None
            self._streams[name] = stream.id
            self._forgotten[name] = self.ledger.forgotten(stream.id)
        return self._streams[name]

    def _is_forgotten(self, lookup: _Lookup, text: str) -> bool:
        forgotten = self._forgotten.get(lookup.reference.name)
        return forgotten is not None and forgotten(text)

    @staticmethod
    def _parent_key(lookup: _Lookup, item: Any) -> Key | None:
        """The parent's key; ``None`` if the item has no parent, or needs none."""
        if type(item) is not Item or item.operation is Operation.DELETE:
            return None
        values = [_value(item.entity, name, lookup.reference) for name in lookup.names]
        if None in values:
            return None
        key = tuple(map(_converted, values, lookup.types))
        # Some trees mark their roots by letting them be their own parents.
        return None if lookup.to_itself and key == item.key else key


@attrs.define
class WithParents(Iterator[Any]):
    """A reader's items with their parents, looked up page by page.

    Args:
        items: The reader's.
        parents: Finds them.
        page_size: Items looked up at once.
    """

    items: Iterator[Any]
    parents: Parents
    page_size: int
    _page: deque[Any] = attrs.field(factory=deque, init=False)
    _error: Exception | None = attrs.field(default=None, init=False)

    def __next__(self) -> Any:
        """The next item.

        Raises:
            Exception: What the reader raised, once the items before are through.
        """
        if not self._page and self._error is None:
            self._page.extend(self.parents.find(self._read_page()))
        if self._page:
            return self._page.popleft()
        error, self._error = self._error, None
        raise error if error is not None else StopIteration

    def close(self) -> None:
        """Close the reader's."""
        close = getattr(self.items, "close", None)
        if close is not None:
            close()

    def _read_page(self) -> list[Any]:
        page: list[Any] = []
        try:
            while len(page) < self.page_size:
                page.append(next(self.items))
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 - raised in its turn
            self._error = error
        return page


def _names(reference: Reference, parameters: Mapping[str, Any], source: Source | None) -> tuple[str, ...]:
    """Of mapped classes those of the attributes, which may differ from the columns'."""
    entity = None if source is None else entity_of(parameters, source)
    if entity is None or entity.mapper is None:
        return reference.key
    columns = ((name, entity.column(name)) for name in reference.key)
    return tuple(name if column is None else str(column.key) for name, column in columns)


def _types(reference: Reference, source: Source | None) -> tuple[type[Any] | None, ...]:
    shape = None if source is None else source.key_shape(reference.parameters)
    return (None,) * len(reference.key) if shape is None else shape.types


def _value(entity: Any, name: str, reference: Reference) -> Any:
    row = entity if isinstance(entity, Mapping) else getattr(entity, "_mapping", None)
    try:
        return getattr(entity, name) if row is None else row[name]
    except (AttributeError, KeyError):
        raise MissingColumnError(f"reference '{reference.name}': the items have no column '{name}'") from None


def _converted(value: Any, kind: type[Any] | None) -> Any:
    """As the parent's reader gives it: the same number may be an integer here and a decimal there."""
    try:
        if kind is int and isinstance(value, Decimal | float) and value == int(value):
            return int(value)
        return convert(value, kind)
    except (ValueError, OverflowError):
        return value


def _text(key: Key) -> str | None:
    try:
        return encode_key(key)
    except ValueError:
        return None  # nothing that the ledger could know


def _is_there(state: ItemState) -> bool:
    return state.fingerprint is not None and state.status not in _NOT_THERE


def _why(reference: Reference, key: Key, state: ItemState | None) -> str:
    parent = f"its parent {reference.name}, {display_key(key)} of step '{reference.step}',"
    if state is None:
        return f"{parent} was not sent yet"
    if _is_there(state):
        return f"{parent} has no remote id: its writer tells none"
    return f"{parent} is not at the remote: {state.status.replace('_', ' ')}"
