"""Where a ledger lies: the URL that the user wrote, checked, and how to show it without its password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import attrs
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from contraflow.errors import LedgerError, near_match

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg"}
_EXPECTED = "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"


@attrs.frozen(kw_only=True)
class Location:
    """A ledger's place."""

    url: URL
    """With the driver that contraflow uses."""
    path: Path | None
    """The file of an SQLite ledger."""

    @property
    def display(self) -> str:
        """For people: without password, driver and options (an option can be a password too)."""
        return self.url.set(drivername=self.url.get_backend_name(), query={}).render_as_string(hide_password=True)


def locate(url: str) -> Location:
    """Check ``url``.

    Raises:
        LedgerError: It is no URL, or names a database or a driver in which contraflow keeps no ledger. The message never
            repeats a URL that could not be parsed, as nobody can tell where its password stands.
    """
    try:
        parsed = make_url(url)
        backend, driver = parsed.get_backend_name(), parsed.drivername.partition("+")[2]
    except (ArgumentError, ValueError, TypeError, AttributeError):
        raise LedgerError(f"the ledger's URL cannot be understood; {_EXPECTED}") from None
    if backend not in _DRIVERS:
        hint = near_match(backend, _DRIVERS)
        raise LedgerError(f"a ledger cannot be kept in '{backend}'; {_EXPECTED}" + (f" ({hint})" if hint else ""))
    if driver not in ("", _DRIVERS[backend]):
        raise LedgerError(f"the ledger does not use the driver '{driver}'; write {backend}:// instead")
    parsed = parsed.set(drivername=f"{backend}+{_DRIVERS[backend]}")
    return Location(url=parsed, path=_file(parsed) if backend == "sqlite" else None)


def _file(url: URL) -> Path:
    """The file that an SQLite URL names, plainly or in SQLite's own ``file:`` form."""
    name = url.database or ""
    if name.startswith("file:"):
        name = unquote(name.removeprefix("file:"))
        name = name.removeprefix("//") if name.startswith("///") else name
    if name in ("", ":memory:") or url.query.get("mode") == "memory":
        raise LedgerError("a ledger in memory would forget everything; name a file, such as sqlite:///contraflow.db")
    return Path(name)
