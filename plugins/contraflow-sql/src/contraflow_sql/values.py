"""Fit values into columns without loss, or say why they do not fit.

Databases and drivers differ in what they do with a value that is not quite the column's: PostgreSQL refuses, MySQL rounds
and warns, SQLite stores it as it is, and all of them drop or guess a time zone somewhere. Here the same value has the same
fate everywhere.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

_EXACT = Context(prec=1000)
"""The usual context gives up at 28 digits; MySQL keeps 65, PostgreSQL many more."""


class UnfitError(ValueError):
    """The value does not fit the column. The message describes the value and never shows it."""


class ExactNumeric(sa.types.TypeDecorator[Decimal]):
    """NUMERIC on SQLite without the detour over binary fractions that the driver would take.

    A decimal is sent as text, and the column's affinity turns it into an integer or a float. (Numbers that neither can
    hold are refused before: the affinity would keep their first 15 digits and say nothing.)
    """

    impl = sa.String
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__()
        self.precision = precision
        self.scale = scale

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """The decimal as text."""
        return None if value is None else format(value, "f")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        """A decimal of what SQLite kept: an integer, a float or text."""
        return None if value is None else Decimal(str(value))


def fit(value: Any, column: sa.Column[Any], backend: str) -> Any:
    """Return the value as the column can keep it.

    Args:
        value: A value of a payload.
        column: A reflected column.
        backend: SQLAlchemy's name of the database.

    Raises:
        UnfitError: It would lose something, or is of another kind altogether.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None:
        return None
    kind: TypeEngine[Any] = column.type
    while isinstance(kind, postgresql.DOMAIN):
        kind = kind.data_type
    for kinds, convert in _CONVERTERS:
        if isinstance(kind, kinds):
            return convert(value, kind, backend)
    return value


def _as_is(value: Any, _kind: Any, _backend: str) -> Any:
    return value


def _json(value: Any, _kind: Any, _backend: str) -> Any:
    return json.loads(_json_text(value))


def _json_text(value: Any) -> str:
    """JSON with what JSON lacks as text: dates and times in ISO 8601, decimals and UUIDs as they are written."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_leaf)
    except UnfitError:
        raise
    except ValueError:
        raise UnfitError("a structure with a number that is not finite; JSON has none") from None


def _json_leaf(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, date | time | Decimal | UUID):
        return _as_text(value, None)
    if isinstance(value, Mapping):
        return dict(value)
    raise UnfitError(f"a structure with {_kind_of(value)}, which JSON has not")


def _choice(value: Any, kind: Any, _backend: str) -> str:
    if value not in kind.enums:
        raise UnfitError(f"{_kind_of(value)} that is not one of the column's values: {', '.join(kind.enums)}")
    return str(value)


def _uuid(value: Any, _kind: Any, _backend: str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise _unfit(value, "a UUID") from None


def _boolean(value: Any, _kind: Any, _backend: str) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise _unfit(value, "true or false")


def _moment(value: Any, kind: Any, backend: str) -> datetime:
    """Aware moments are kept as UTC where the column has no zone; naive ones are taken as UTC where it has one."""
    if isinstance(value, str):
        value = _parsed(value, datetime.fromisoformat, "a date and time")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise _unfit(value, "a date and time")
    moment = value
    if kind.timezone and backend == "postgresql":
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=_microseconds(moment.microsecond, kind, backend))


def _day(value: Any, _kind: Any, _backend: str) -> date:
    if isinstance(value, str):
        value = _parsed(value, datetime.fromisoformat, "a date")
    if isinstance(value, datetime):
        if value.tzinfo or value.time() != time():
            raise UnfitError("a date with a time of day; the column keeps the date only")
        value = value.date()
    if not isinstance(value, date):
        raise _unfit(value, "a date")
    return value


def _time_of_day(value: Any, kind: Any, backend: str) -> time:
    if isinstance(value, str):
        value = _parsed(value, time.fromisoformat, "a time of day")
    if not isinstance(value, time):
        raise _unfit(value, "a time of day")
    if value.tzinfo and not (kind.timezone and backend == "postgresql"):
        raise UnfitError("a time of day with a time zone; the column keeps none")
    return value.replace(microsecond=_microseconds(value.microsecond, kind, backend))


def _microseconds(value: int, kind: Any, backend: str) -> int:
    """Cut, not rounded, to the digits that the column keeps: rounding could move a moment into the next day."""
    digits = getattr(kind, "fsp", None) if backend in ("mysql", "mariadb") else getattr(kind, "precision", None)
    if digits is None:
        digits = 0 if backend in ("mysql", "mariadb") else 6
    step = int(10 ** (6 - digits))
    return value - value % step


def _integer(value: Any, _kind: Any, _backend: str) -> int:
    number = _decimal(value, "a whole number")
    if number != number.to_integral_value():
        raise UnfitError("a number with a fraction; the column keeps whole numbers")
    return int(number)


def _float(value: Any, _kind: Any, _backend: str) -> float:
    number = float(_decimal(value, "a number"))
    if math.isinf(number):
        raise UnfitError("a number too large for the column")
    return number


def _numeric(value: Any, kind: Any, backend: str) -> Decimal:
    """Binary fractions are rounded to the column's scale; decimals must fit it exactly."""
    number = _decimal(value, "a number")
    if kind.scale is not None and (kind.precision is not None or kind.scale > 0):
        number = _scaled(number, value, kind)
    if backend == "sqlite" and number != Decimal(repr(float(number))) and not _is_int64(number):
        raise UnfitError("a number with more digits than SQLite can keep")
    return number


def _scaled(number: Decimal, value: Any, kind: Any) -> Decimal:
    try:
        rounded = number.quantize(Decimal(1).scaleb(-kind.scale), context=_EXACT)
    except InvalidOperation:
        raise UnfitError("a number of more digits than any column keeps") from None
    if rounded != number and not isinstance(value, float):
        raise UnfitError(f"a number with more than the {kind.scale} decimals that the column keeps")
    if kind.precision is not None and abs(rounded) >= Decimal(1).scaleb(kind.precision - kind.scale):
        raise UnfitError(f"a number too large for the column's {kind.precision} digits, {kind.scale} of them decimals")
    return rounded


def _is_int64(number: Decimal) -> bool:
    return number == number.to_integral_value() and -(2**63) <= number < 2**63


def _decimal(value: Any, expected: str) -> Decimal:
    if not isinstance(value, int | float | Decimal | str):
        raise _unfit(value, expected)
    try:
        number = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        raise _unfit(value, expected) from None
    if not number.is_finite():
        raise UnfitError(f"not a number or infinity; expected {expected}")
    return number


def _binary(value: Any, _kind: Any, _backend: str) -> bytes:
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise _unfit(value, "bytes")


def _text(value: Any, kind: Any, backend: str) -> str:
    text = _as_text(value, getattr(kind, "length", None))
    if isinstance(kind, sa.CHAR) and backend != "sqlite":
        text = text.rstrip(" ")  # such a column does not tell them from the blanks with which it fills itself
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnfitError("text with half of a surrogate pair, which no encoding can keep") from None
    length = getattr(kind, "length", None)
    if length is not None and len(text) > length:
        raise UnfitError(f"text of {len(text)} characters; the column keeps {length}")
    return text


def _as_text(value: Any, length: int | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, UUID):
        return value.hex if length == len(value.hex) else str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return _json_text(value)
    raise _unfit(value, "text")


def _untyped(value: Any, _kind: Any, backend: str) -> Any:
    """A column whose type SQLAlchemy does not know. On SQLite any value goes, but only of its five kinds."""
    if backend != "sqlite" or isinstance(value, int | float | str | bytes):
        return value
    return _as_text(value, None)


def _parsed(text: str, parse: Callable[[str], Any], expected: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        raise _unfit(text, expected) from None


def _unfit(value: Any, expected: str) -> UnfitError:
    return UnfitError(f"{_kind_of(value)} where the column keeps {expected}")


def _kind_of(value: Any) -> str:
    return "text" if isinstance(value, str) else f"a value of type {type(value).__name__}"


_CONVERTERS: tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any, Any, str], Any]], ...] = (
    (sa.JSON, _json),
    (sa.ARRAY, _as_is),
    (sa.Enum, _choice),
    (sa.Uuid, _uuid),
    (sa.Boolean, _boolean),
    (sa.DateTime, _moment),
    (sa.Date, _day),
    (sa.Time, _time_of_day),
    (sa.Integer, _integer),
    (sa.Float, _float),
    ((sa.Numeric, ExactNumeric), _numeric),
    (sa.types._Binary, _binary),
    (sa.String, _text),
    (sa.types.NullType, _untyped),
)
"""From the special to the general: Enum is a String, and Float was a Numeric."""
