"""The shape of a key, and the many ways in which people and programs write ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

import attrs
import sqlalchemy as sa

from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.source.key_values import convert
from contraflow_hookspecs import Key

_MOST_PROBLEMS = 10


class _BadIdError(Exception):
    def __init__(self, expected: str, hint: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


@attrs.frozen(kw_only=True)
class KeyShape:
    """Names and Python types of the key columns, in their order."""

    of: str
    """Whose key it is, for messages."""
    names: tuple[str, ...]
    types: tuple[type[Any] | None, ...]
    """``None`` where the type is not known: values are then taken as they are given."""

    @classmethod
    def of_columns(cls, of: str, columns: Sequence[sa.ColumnElement[Any]]) -> Self:
        """The shape of these columns."""
        return cls(
            of=of,
            names=tuple(str(column.name) for column in columns),
            types=tuple(python_type(column.type) for column in columns),
        )

    def parse(self, raw: Any, location: Location | None = None) -> tuple[Key, ...]:
        """The keys that were asked for, each once, in the order of the request.

        Args:
            raw: One id or an iterable of ids. An id is a value (for a key of one column), a mapping by column name, a
                list or tuple in the order of the key columns, or text: for a key of one column the value itself, commas
                and all; for several, ``a=1,b=2`` or JSON (``{"a": 1, "b": 2}``, ``[1, 2]``).
            location: Where the ids were written, for messages.

        Raises:
            ConfigError: Some ids have another shape than the key; names up to ten of them.
        """
        keys: dict[tuple[tuple[type[Any], Any], ...], Key] = {}
        problems: list[Problem] = []
        for given in [raw] if _is_one(raw) else raw:
            try:
                key = self._key(given)
            except _BadIdError as error:
                problems.append(self._problem(given, error, location))
                if len(problems) == _MOST_PROBLEMS:
                    break
            else:
                # Equal is not the same: 1 == True == 1.0.
                keys.setdefault(tuple((type(value), value) for value in key), key)
        if problems:
            raise ConfigError(*problems)
        return tuple(keys.values())

    def _problem(self, given: Any, error: _BadIdError, location: Location | None) -> Problem:
        shown = given if isinstance(given, str) else repr(given)
        shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
        return Problem(
            message=f"id '{shown}' is no key of {self.of} ({', '.join(self.names)})",
            location=location or Location(),
            expected=error.expected,
            hint=error.hint,
        )

    def _key(self, given: Any) -> Key:
        if isinstance(given, str) and len(self.names) > 1:
            given = self._from_text(given)
        if isinstance(given, Mapping):
            values = self._by_name(given)
        elif isinstance(given, Sequence) and not isinstance(given, (str, bytes, bytearray, memoryview)):
            values = list(given)
        else:
            values = [given]
        if len(values) != len(self.names):
            raise self._wrong_number(len(values))
        return tuple(map(self._value, self.names, values, self.types))

    def _value(self, name: str, value: Any, to: type[Any] | None) -> Any:
        try:
            return convert(value, to)
        except ValueError as error:
            place = f" for column '{name}'" if len(self.names) > 1 else ""
            raise _BadIdError(f"{error}{place}") from None

    def _wrong_number(self, found: int) -> _BadIdError:
        names = ", ".join(self.names)
        if len(self.names) == 1:
            return _BadIdError(f"one value ({names}), not {found}")
        example = ",".join(f"{name}=…" for name in self.names)
        return _BadIdError(
            f"{len(self.names)} values ({names}), not {found}", f"write {example}, or a mapping by column"
        )

    def _by_name(self, given: Mapping[Any, Any]) -> list[Any]:
        for name in given:
            if name not in self.names:
                raise _BadIdError(
                    f"the columns {', '.join(self.names)}, not '{name}'", near_match(str(name), self.names)
                )
        missing = [name for name in self.names if name not in given]
        if missing:
            raise _BadIdError(f"also column {', '.join(missing)}")
        return [given[name] for name in self.names]

    def _from_text(self, text: str) -> Any:
        """An id of several columns as a person types it."""
        if text.lstrip()[:1] in ("{", "["):
            try:
                return json.loads(text, parse_float=Decimal, object_pairs_hook=_each_once)
            except (ValueError, RecursionError) as error:
                raise _BadIdError(f"JSON; {error}") from None
        known = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
        parts = list(re.finditer(rf"(?:^|,)\s*({known})=", text))
        if not parts or parts[0].start() != 0:
            other = re.match(r"\s*([^=,]*)=", text)
            if other is None:
                raise self._wrong_number(1)
            return {other[1]: ""}  # refused by name
        values: dict[str, str] = {}
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            value = text[part.end() : following.start() if following else len(text)]
            if part[1] in values:
                raise _BadIdError(f"column '{part[1]}' once")
            values[part[1]] = value
        self._refuse_swallowed(values)
        return values

    def _refuse_swallowed(self, values: Mapping[str, str]) -> None:
        """Where a column is missing, a misspelt one may hide in the value before it."""
        if len(values) == len(self.names):
            return
        for value in values.values():
            other = re.search(r",\s*(\w+)=", value)
            if other is not None:
                self._by_name({other[1]: ""})


def python_type(column_type: sa.types.TypeEngine[Any]) -> type[Any] | None:
    """The Python type of a column's values; ``None`` where SQLAlchemy does not say."""
    try:
        found = column_type.python_type
    except NotImplementedError:
        return None
    return None if found is object else found


def _is_one(raw: Any) -> bool:
    """Whether this is an id rather than several."""
    return isinstance(raw, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(raw, Iterable)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a column is given twice")
    return values
