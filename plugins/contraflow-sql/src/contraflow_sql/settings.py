"""What an integration's ``settings:`` may say, and what of it can be judged without a connection."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

BACKENDS = ("sqlite", "postgresql", "mysql", "mariadb")
"""The databases that this connector writes to, as SQLAlchemy names them."""

_LONGEST_NAME = 128


class Mode(enum.Enum):
    """What an upserted item may do to the target table."""

    UPSERT = "upsert"
    """Create the row, or update it where it exists."""
    CREATE = "create"
    """Create the row; one that exists is left alone and the item rejected."""
    UPDATE = "update"
    """Update the row; an item without one is reported as gone."""


def _name(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A database identifier: checked against the real schema later, here only against the absurd."""
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{attribute.name}: expected the name of a table, schema or column, found none")
    if len(value) > _LONGEST_NAME or any(ord(character) < ord(" ") for character in value):
        raise ValueError(
            f"{attribute.name}: expected a name of at most {_LONGEST_NAME} characters without control characters"
        )


def _key(instance: Any, attribute: attrs.Attribute[Any], value: Mapping[Any, Any] | None) -> None:
    """A mapping from target key columns to attributes or positions."""
    if value is None:
        return
    if not value:
        raise ValueError("key: expected at least one column, found none")
    for column, source in value.items():
        _name(instance, attribute, column)
        if isinstance(source, str) and source.strip():
            _name(instance, attribute, source)
        elif isinstance(source, bool) or not isinstance(source, int):
            raise ValueError(
                f"key.{column}: expected an attribute's name or a position in the item's key; "
                f"found a value of type {type(source).__name__}"
            )
        if position(source) == 0:
            raise ValueError(f"key.{column}: expected a position in the item's key, from 1; found 0 or less")


def _columns(instance: Any, attribute: attrs.Attribute[Any], value: Mapping[str, str] | None) -> None:
    """A mapping from target columns to attributes."""
    for column, source in (value or {}).items():
        _name(instance, attribute, column)
        _name(instance, attribute, source)


def _parents(instance: Any, attribute: attrs.Attribute[Any], value: Mapping[str, str]) -> None:
    """A mapping from target columns to references."""
    for column, reference in value.items():
        _name(instance, attribute, column)
        if not reference.strip():
            raise ValueError(f"parents.{column}: expected the name of one of the step's references, found none")


def _names(instance: Any, attribute: attrs.Attribute[Any], value: tuple[str, ...] | None) -> None:
    """The columns of a natural key."""
    if value is not None and not value:
        raise ValueError("find: expected at least one column, found none")
    for column in value or ():
        _name(instance, attribute, column)


def _constants(instance: Any, attribute: attrs.Attribute[Any], value: Mapping[str, Any] | None) -> None:
    """A mapping from target columns to values."""
    if value is not None and not value:
        raise ValueError(f"{attribute.name}: expected at least one column and its value, found none")
    for column in value or {}:
        _name(instance, attribute, column)


def position(source: str | int) -> int | None:
    """The position in the item's key (counted from 1) that a ``key:`` entry names, or ``None`` if it is an attribute."""
    if isinstance(source, int):
        return max(source, 0)
    return int(source) if source.isdecimal() else None


@attrs.frozen(kw_only=True)
class TableSettings:
    """One target table, and how items become its rows."""

    table: str = attrs.field(validator=_name)
    """The table's name in the target database."""
    key: Mapping[str, Any] | None = attrs.field(default=None, validator=_key)
    """Target column -> attribute of the entity (text, dotted), or position in the item's key (a number, from 1).
    ``None``: the columns of the target's primary key, each from the attribute of its name."""
    columns: Mapping[str, str] | None = attrs.field(default=None, validator=_columns)
    """Target column -> attribute of the entity (dotted). ``None``: all columns that both have."""
    parents: Mapping[str, str] = attrs.field(factory=dict, validator=_parents)
    """Target column -> one of the step's references, beside ``columns``. It holds the parent's remote id, or NULL."""
    mode: Mode = Mode.UPSERT
    """``upsert``, ``create`` or ``update``."""
    only_changed: bool = False
    """Whether an update sets only the columns that differ from what was last confirmed, where that is known."""
    find: tuple[str, ...] | None = attrs.field(default=None, validator=_names)
    """Target columns by which a row that is there already is found. From then on it is told by its own key."""
    archive: Mapping[str, Any] | None = attrs.field(default=None, validator=_constants)
    """Target column -> value: what a row is set to that is put away."""
    forget: Mapping[str, Any] | None = attrs.field(default=None, validator=_constants)
    """Target column -> value: what a row is set to that is made anonymous. ``None``: it is deleted."""

    def __attrs_post_init__(self) -> None:
        if self.only_changed and self.mode is Mode.CREATE:
            raise ValueError("only_changed: mode create updates no row; leave it out")
        twice = sorted(set(self.key or ()) & set(self.columns or ()))
        if twice:
            raise ValueError(f"columns.{twice[0]}: the column is in key: already; leave it out of columns:")
        for part in ("key", "columns"):
            if twice := sorted(set(getattr(self, part) or ()) & set(self.parents)):
                raise ValueError(f"parents.{twice[0]}: the column is in {part}: already; leave it out of one of them")


def _url(_instance: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    """The URL may hold a password: no message shows any part of it."""
    backend = parse_url(value).get_backend_name()
    if backend not in BACKENDS:
        raise ValueError(f"url: expected the URL of one of {', '.join(BACKENDS)}; found another database")


def parse_url(text: str) -> URL:
    """Read a SQLAlchemy URL.

    Raises:
        ValueError: It is none. The message does not show it, since it may hold a password.
    """
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("url: expected a SQLAlchemy URL such as postgresql://user@host/database") from None


@attrs.frozen(kw_only=True)
class SqlSettings:
    """The settings of an integration whose connector is ``sql``."""

    url: str = attrs.field(repr=False, metadata={"secret": True}, validator=_url)
    """The target database as a SQLAlchemy URL; the driver may be left out."""
    tables: Mapping[str, TableSettings] = attrs.field(validator=attrs.validators.min_len(1))
    """The target tables by the names under which steps choose them."""
    schema: str | None = attrs.field(default=None, validator=_name)
    """The schema of all tables; ``None`` for the connection's own."""
    lock_timeout: int = attrs.field(default=30, validator=attrs.validators.ge(1))
    """Seconds to wait for a lock in the target before the chunk is given back for a retry."""
    connect_timeout: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """Seconds to wait for a connection (PostgreSQL and MySQL)."""
