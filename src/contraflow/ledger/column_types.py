"""How the ledger's columns keep moments, JSON and words, and that a row which somebody else wrote does not pass for ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, DateTime, Dialect, Text, TypeDecorator, cast

from contraflow.ledger.failures import foreign_row


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware datetimes in, UTC datetimes out, on databases with time zones and without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn to UTC; without the zone where the database keeps none."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("the ledger keeps moments; a datetime without time zone is none")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Let a text that is no moment be the ledger's error, and not the driver's."""
        process = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return process(value) if process is not None else value
            except (ValueError, TypeError):
                raise foreign_row("a value is no moment") from None

        return read

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the zone again."""
        if value is None:
            return None
        if not isinstance(value, datetime):
            raise foreign_row("a value is no moment")
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """A JSON value in a text column. What JSON cannot spell is kept as its ``str``.

    Args:
        kind: What the value must be when it is read: a ``list`` of texts, a ``dict``, or anything.
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[list[Any]] | type[dict[str, Any]] | None = None) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Spell the value, in ASCII only."""
        return None if value is None else json.dumps(value, default=str, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Parse it again."""
        if value is None:
            return None
        try:
            parsed = json.loads(value)
        except (ValueError, TypeError, RecursionError):
            raise foreign_row("a value is not JSON") from None
        texts_wanted = self.kind is list and isinstance(parsed, list)
        if (self.kind is not None and not isinstance(parsed, self.kind)) or (
            texts_wanted and not all(isinstance(each, str) for each in parsed)
        ):
            raise foreign_row("JSON of another kind")
        return parsed


class Words(TypeDecorator[str]):
    """Text that is shown, and is seen to be text: SQLite keeps bytes in any column."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Let nothing but text through."""
        if value is not None and not isinstance(value, str):
            raise foreign_row("a value is no text")
        return value


class LongText(TypeDecorator[Any]):
    """Text that is given as UTF-8, and comes back as text.

    SQLite takes it as it is. Of a Python text of some 100 KB it would make UTF-8 anew, while all other threads wait.
    """

    impl = Text
    cache_ok = True

    def bind_expression(self, bindvalue: BindParameter[Any]) -> ColumnElement[Any]:
        """Have SQLite see that the bytes are text."""
        return cast(bindvalue, Text)

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> str | bytes | None:
        """Give the bytes to SQLite's driver, and text to others."""
        return value if value is None or dialect.name == "sqlite" else value.decode()
