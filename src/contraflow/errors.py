"""The errors that contraflow itself raises. Connectors raise those of :mod:`contraflow_hookspecs.errors`.

::

    ContraflowError            exit code 1
    ├── ConfigError            2   what the user wrote cannot be honoured; carries every problem found
    ├── PlanError              2   a plan cannot be applied: edited, old, of something else, or applied before
    ├── PluginError            2   a plugin cannot be loaded, or breaks the contract at registration
    ├── SourceError            1   the source database cannot be reached or read
    ├── LedgerError            6   the ledger cannot be opened, trusted or written
    │   ├── LedgerMissingError     there is none yet
    │   ├── RestoredLedgerError    it is older than this project has seen it
    │   └── FencedError        5   another run has taken the job over; this one may record nothing more
    └── HookContractError      1   a plugin answered a hook with something that is no answer
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import attrs


class ContraflowError(Exception):
    """Base of all errors that contraflow raises on purpose; the message is for people."""

    exit_code = 1


class PluginError(ContraflowError):
    """A plugin cannot be loaded, or breaks the contract at registration."""

    exit_code = 2


class PlanError(ContraflowError):
    """A plan cannot be applied: it was edited, is old, of something else, or was applied before."""

    exit_code = 2


class SourceError(ContraflowError):
    """The source database cannot be reached or read."""


class LedgerError(ContraflowError):
    """The ledger cannot be opened, trusted or written."""

    exit_code = 6


class LedgerMissingError(LedgerError):
    """There is no ledger yet: nothing ever ran."""


class RestoredLedgerError(LedgerError):
    """The ledger is an older copy of itself: what was sent since is not known to it.

    Args:
        ledger: Its URL for people.
        found: What shows it.
    """

    def __init__(self, ledger: str, found: str) -> None:
        super().__init__(
            f"the ledger {ledger} is older than this project has seen it: {found}. Was it restored from a backup? What was "
            "sent since is not known to it. Put the newer one back if there is one; otherwise `contraflow accept-ledger` "
            "goes on with this one, and goes through all items anew"
        )


class FencedError(LedgerError):
    """Another run has taken the job over: this one may record nothing more, and must stop calling the remote."""

    exit_code = 5


class HookContractError(ContraflowError):
    """A plugin answered a hook with something that is no answer.

    Args:
        plugin: The plugin's name.
        hook: The hook's name.
        found: What came back.
        expected: What was due.
    """

    def __init__(self, plugin: str, hook: str, found: str, expected: str) -> None:
        super().__init__(f"plugin '{plugin}', hook {hook}: found {found}; expected {expected}")
        self.plugin = plugin
        self.hook = hook


@attrs.frozen(kw_only=True)
class Location:
    """A place in a configuration file: file name, line (from 1), and the path of keys to the value."""

    file: str | None = None
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return " ".join(part for part in (place, f"({self.path})" if self.path else "") if part)


@attrs.frozen(kw_only=True)
class Problem:
    """One thing in the configuration that cannot be honoured."""

    message: str
    """What is wrong, one sentence without a full stop."""
    location: Location = Location()
    found: str | None = None
    expected: str | None = None
    hint: str | None = None
    """What to do, or the nearest valid name."""

    @property
    def sentence(self) -> str:
        """The problem in one line, without its place."""
        details = (("found", self.found), ("expected", self.expected), (None, self.hint))
        return "; ".join([self.message, *(f"{label} {text}" if label else text for label, text in details if text)])

    def __str__(self) -> str:
        place = str(self.location)
        lines = [f"{place}: {self.message}" if place else self.message]
        lines += [
            f"    {label}: {text}"
            for label, text in (("found", self.found), ("expected", self.expected), ("hint", self.hint))
            if text
        ]
        return "\n".join(lines)


class ConfigError(ContraflowError):
    """What the user wrote cannot be honoured; carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(message=p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def near_match(name: str, valid: Iterable[str]) -> str | None:
    """The hint "did you mean 'x'?" for a name that is not among the valid ones, or ``None`` if nothing is near."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else None
