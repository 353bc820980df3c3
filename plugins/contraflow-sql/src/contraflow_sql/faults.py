"""What a database error means for the items, and what of its message may be shown.

The databases say the same things in three dialects: SQLSTATE classes (PostgreSQL), error numbers (MySQL and MariaDB) and
result codes (SQLite).
"""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Iterable
from typing import Any, NoReturn

import attrs
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, StatementError

from contraflow_hookspecs import SystemicError, TransientError

_LONGEST_REASON = 300


class Reach(enum.Enum):
    """How far a fault reaches, and what is known of the transaction."""

    ITEM = "item"
    """The row is refused."""
    CONTENTION = "contention"
    """Deadlock, lock timeout, serialization failure: surely rolled back, worth another try."""
    UNAVAILABLE = "unavailable"
    """The connection, or the server, went away."""
    SYSTEM = "system"
    """Somebody must act: privileges, schema, disk."""


@attrs.frozen(kw_only=True)
class Fault:
    """A database error, understood."""

    reach: Reach
    code: str
    """For ``Rejected``: ``integrity``, ``data`` or ``refused``."""
    reason: str
    """The database's message on one line, without values."""


_ITEM_INTEGRITY = (Reach.ITEM, "integrity")
_ITEM_DATA = (Reach.ITEM, "data")
_ITEM_REFUSED = (Reach.ITEM, "refused")
_CONTENTION = (Reach.CONTENTION, "locked")
_UNAVAILABLE = (Reach.UNAVAILABLE, "unavailable")
_SYSTEM = (Reach.SYSTEM, "system")

_SQLSTATES = {
    "22": _ITEM_DATA,
    "23": _ITEM_INTEGRITY,
    "54": _ITEM_DATA,  # too long for an index
    "44": _ITEM_INTEGRITY,  # WITH CHECK OPTION
    "P0": _ITEM_REFUSED,  # a trigger raised
    "42804": _ITEM_DATA,  # the value's type is not the column's
    "40": _CONTENTION,
    "55P03": _CONTENTION,
    "57014": _CONTENTION,  # statement_timeout, or cancelled by an administrator
    "08": _UNAVAILABLE,
    "53300": _UNAVAILABLE,
    "57P": _UNAVAILABLE,
}
_MYSQL_NUMBERS = {
    **dict.fromkeys(
        (1048, 1062, 1216, 1217, 1364, 1369, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025), _ITEM_INTEGRITY
    ),
    **dict.fromkeys((1153, 1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1416, 1441, 1690, 3140, 3156), _ITEM_DATA),
    1644: _ITEM_REFUSED,  # SIGNAL
    **dict.fromkeys((1205, 1213, 1317, 1969, 3024), _CONTENTION),
    **dict.fromkeys((1040, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1203, 1927, 2002, 2003), _UNAVAILABLE),
    **dict.fromkeys((0, 2006, 2013, 2055, 4031), _UNAVAILABLE),
}
_SQLITE_CODES = {
    sqlite3.SQLITE_CONSTRAINT: _ITEM_INTEGRITY,
    sqlite3.SQLITE_MISMATCH: _ITEM_DATA,
    sqlite3.SQLITE_TOOBIG: _ITEM_DATA,
    sqlite3.SQLITE_BUSY: _CONTENTION,
    sqlite3.SQLITE_LOCKED: _CONTENTION,
}
# Refusals of a PostgreSQL server at connect carry no SQLSTATE; these pass by themselves.
_PASSING_REFUSALS = ("starting up", "shutting down", "too many", "connection slots", "recovery")


def diagnose(error: BaseException, values: Iterable[Any] = ()) -> Fault:
    """Say what a database error means.

    Args:
        error: SQLAlchemy's error, or the driver's own.
        values: The row's values, to be kept out of the reason.
    """
    origin = getattr(error, "orig", None) or error
    reach, code = _classify(error, origin)
    return Fault(reach=reach, code=code, reason=_reason(origin, values))


def raise_fault(error: BaseException, url: URL, doing: str) -> NoReturn:
    """Raise the contract's error for a fault before anything was committed; the cause is cut off, since it shows values.

    Raises:
        TransientError: It may pass; nothing was carried out.
        SystemicError: Somebody must act.
    """
    fault = diagnose(error)
    reason = f"{doing}: {fault.reason}"
    if url.password:
        reason = reason.replace(url.password, "***")
    if fault.reach in (Reach.CONTENTION, Reach.UNAVAILABLE):
        raise TransientError(reason) from None
    raise SystemicError(reason) from None


def _classify(error: BaseException, origin: BaseException) -> tuple[Reach, str]:
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return _ITEM_DATA  # SQLAlchemy could not convert a value
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _UNAVAILABLE
    if isinstance(origin, sqlite3.Error):
        return _SQLITE_CODES.get(getattr(origin, "sqlite_errorcode", 0) & 0xFF, _by_class(origin))
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    number = origin.args[0] if origin.args else None
    if isinstance(number, int):  # MySQL drivers have SQLSTATEs too, but the numbers tell more
        return _MYSQL_NUMBERS.get(number, _by_class(origin))
    if state:
        return next((_SQLSTATES[state[:n]] for n in (5, 3, 2) if state[:n] in _SQLSTATES), _SYSTEM)
    if "FATAL:" in str(origin) and not any(words in str(origin) for words in _PASSING_REFUSALS):
        return _SYSTEM
    return _by_class(origin)


def _by_class(origin: BaseException) -> tuple[Reach, str]:
    """What the driver's class says, for codes that no table above names."""
    names = {base.__name__ for base in type(origin).__mro__}
    if "IntegrityError" in names:
        return _ITEM_INTEGRITY
    if "DataError" in names:
        return _ITEM_DATA
    if "ProgrammingError" in names and not _has_code(origin):  # the driver itself: it cannot send such a value
        return _ITEM_DATA
    if isinstance(origin, sqlite3.Error) or not names & {"OperationalError", "InterfaceError"}:
        return _SYSTEM
    # A code that is not listed is an answer of a living server; without a code there was no answer.
    return _SYSTEM if _has_code(origin) else _UNAVAILABLE


def _has_code(origin: BaseException) -> bool:
    states = (getattr(origin, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorcode"))
    return any(states) or bool(origin.args and isinstance(origin.args[0], int))


def _reason(origin: BaseException, values: Iterable[Any]) -> str:
    diagnosis = getattr(origin, "diag", None)
    primary = getattr(diagnosis, "message_primary", None)  # PostgreSQL's DETAIL line holds values
    if primary is None and len(origin.args) > 1 and isinstance(origin.args[0], int):
        primary = str(origin.args[1])
    text = primary if primary is not None else str(origin).split("\nDETAIL:")[0]
    text = " ".join(text.split())
    text = re.sub(r"Duplicate entry '.*' for key", "Duplicate entry for key", text)
    text = re.sub(r"value: '.*' for (column|function)", r"value for \1", text)
    if primary is not None:
        text = re.sub(r': ".*"?$', "", text)
    for value in values:
        for quoted in (f"'{value}'", f'"{value}"'):
            text = text.replace(quoted, "(value)")
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
