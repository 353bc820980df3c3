"""The engine's own parameters of a step: chunks, patience with the remote, limits. Validated before anything runs."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from contraflow.conflict_rules import ConflictRules, read_conflicts
from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.guards import Guards, read_guards
from contraflow_hookspecs import Capabilities

PARAMETERS: Mapping[str, str] = {
    "entity": "the project's entity that the step exports",
    "batch_size": "most items in a chunk (default 100)",
    "concurrency": "most chunks in flight at once (default 1)",
    "rate_limit": "most calls or items: 10/s, 600 requests/min, 5000 items/h (default: no limit)",
    "attempts": "most sendings of one item in a run (default 5)",
    "retry_wait": "seconds of the first wait's ceiling before another attempt; it doubles each time (default 1)",
    "max_wait": "longest wait in seconds; a remote that asks for more ends the run, to be resumed (default 60)",
    "retry_budget": "most seconds of waiting for attempts in one run (default 600)",
    "skip_limit": "most rejected items, counted after each chunk, before the step fails (default: no limit)",
    "max_rejected": "largest share of items that may be rejected for one reason, from 20 of them on (default 0.2)",
    "remember": "what the ledger keeps of what was sent: fingerprint (digests of the fields, the default) or payload",
    "conflicts": "what holds when somebody edited a record at the remote: local, remote, newest, merge or ask, or a mapping",
    "modified_column": "the attribute that tells when an entity was changed last, for conflicts by newest",
    "references": "the items of other steps to which a payload refers: {name: {job, step, key: [column], required}}",
    "deletions": "what becomes of records whose entity is gone: ignore (default), delete, archive",
    "filtered": "what becomes of records that were sent, and that the processor now skips: keep (default), delete, archive",
    "adopt": "whether records that the remote has already are looked for before new ones are made (default: false)",
    "resurrect": "whether a record that somebody removed at the remote is made again (default: false)",
    "in_doubt": "what to do with an item whose fate is unknown: hold or resend (default: what the remote allows)",
    "guards": "most creates, updates, deletes and emptied fields of one run (default: deletes 30%)",
    "add_to_job_summary": "whether the step's counters make the job's headline (default: all steps' do)",
}
"""The step parameters that the engine itself understands."""

_RATE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>requests?|items?)?\s*/\s*(?P<per>s|min|h)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How stubborn a step is."""

    attempts: int = 5
    """Most sendings of one item in a run."""
    wait: float = 1.0
    """Seconds of the first wait's ceiling; it doubles with each attempt."""
    max_wait: float = 60.0
    """Longest wait in seconds."""
    budget: float = 600.0
    """Most seconds of waiting in one run of a step."""


class Removal(enum.Enum):
    """How a record that is no longer wanted goes away."""

    DELETE = "delete"
    ARCHIVE = "archive"


@attrs.frozen(kw_only=True)
class Rate:
    """So many requests, or items, a second."""

    per_second: float
    counts_items: bool = False

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``10/s``, ``600 requests/min``, ``5000 items/h``.

        Raises:
            ValueError: The text is no rate, or no positive one.
        """
        match = _RATE.fullmatch(text)
        if match is None or float(match["number"]) <= 0:
            raise ValueError(f"'{text}' is no rate")
        return cls(
            per_second=float(match["number"]) / _SECONDS[match["per"]],
            counts_items=(match["unit"] or "").startswith("item"),
        )


@attrs.frozen(kw_only=True)
class StepOptions:
    """The engine's own parameters of a step."""

    batch_size: int = 100
    concurrency: int = 1
    rate: Rate | None = None
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    skip_limit: int | None = None
    max_rejected: float = 0.2
    in_doubt: str | None = None
    remembers_payloads: bool = False
    guards: Guards = attrs.field(factory=Guards)
    conflicts: ConflictRules | None = None
    deletions: Removal | None = None
    """Of what a complete read did not yield; ``None``: it is ignored."""
    filtered: Removal | None = None
    """Of what was sent, and is skipped now; ``None``: it is kept."""
    missing: Removal = Removal.DELETE
    """What a deletion means that the reader yields."""
    resurrect: bool = False
    adopt: bool = False
    summary: bool | None = None


def options_of(
    parameters: Mapping[str, Any], capabilities: Capabilities, locate: Callable[[str], Location]
) -> StepOptions:
    """Validate the engine's own parameters.

    Args:
        parameters: All parameters of the step.
        capabilities: What the remote can do.
        locate: Where a parameter was written.

    Raises:
        ConfigError: A value is of the wrong type or out of range, or asks for what the remote cannot do.
    """
    given = _Given(parameters, locate)
    usual = RetryPolicy()
    batch_size = given.whole("batch_size", 1, 100)
    options = StepOptions(
        batch_size=min(batch_size, capabilities.max_batch or batch_size),
        concurrency=given.whole("concurrency", 1, 1),
        rate=given.read("rate_limit", Rate.parse, "a rate such as 10/s, 600 requests/min or 5000 items/h"),
        retry=RetryPolicy(
            attempts=given.whole("attempts", 1, usual.attempts),
            wait=given.number("retry_wait", usual.wait),
            max_wait=given.number("max_wait", usual.max_wait),
            budget=given.number("retry_budget", usual.budget),
        ),
        skip_limit=given.whole("skip_limit", 0, None),
        max_rejected=given.number("max_rejected", 0.2, most=1.0),
        in_doubt=given.choice("in_doubt", ("hold", "resend")),
        remembers_payloads=given.choice("remember", ("fingerprint", "payload")) == "payload",
        guards=read_guards(parameters.get("guards"), locate("guards"), given.problems.append),
        conflicts=read_conflicts(parameters, locate, given.problems.append),
        deletions=given.removal("deletions", "ignore"),
        filtered=given.removal("filtered", "keep"),
        missing=_missing(parameters),
        resurrect=bool(given.truth("resurrect")),
        adopt=bool(given.truth("adopt")),
        summary=given.truth("add_to_job_summary"),
    )
    if given.problems:
        raise ConfigError(*given.problems)
    return options


def _missing(parameters: Mapping[str, Any]) -> Removal:
    """What the reader's parameter says, or else what is done with what a complete read did not yield."""
    values = [
        value for value in (parameters.get("missing"), parameters.get("deletions")) if value in ("delete", "archive")
    ]
    return Removal(values[0]) if values else Removal.DELETE


class _Given:
    """Reads parameters by their kinds, and collects what does not fit."""

    def __init__(self, parameters: Mapping[str, Any], locate: Callable[[str], Location]) -> None:
        self._parameters = parameters
        self._locate = locate
        self.problems: list[Problem] = []

    def object(self, name: str, expected: str, hint: str | None = None) -> None:
        self.problems.append(
            Problem(
                message=f"parameter '{name}'",
                location=self._locate(name),
                found=repr(self._parameters[name]),
                expected=expected,
                hint=hint,
            )
        )

    def whole(self, name: str, least: int, default: _T) -> int | _T:
        value = self._parameters.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self.object(name, f"a whole number from {least} on")
        return default

    def number(self, name: str, default: float, *, most: float | None = None) -> float:
        value = self._parameters.get(name)
        if value is None:
            return default
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
        except ValueError:
            number = -1.0
        if number >= 0.0 and number != float("inf") and (most is None or number <= most):
            return number
        self.object(name, "a number from 0 on" if most is None else f"a number from 0 to {most:g}")
        return default

    def choice(self, name: str, valid: tuple[str, ...]) -> str | None:
        value = self._parameters.get(name)
        if value is None or value in valid:
            return value
        self.object(name, " or ".join(valid), near_match(str(value), valid))
        return None

    def removal(self, name: str, nothing: str) -> Removal | None:
        value = self.choice(name, (nothing, *(each.value for each in Removal)))
        return None if value in (None, nothing) else Removal(value)

    def truth(self, name: str) -> bool | None:
        value = self._parameters.get(name)
        if value is None:
            return None
        if value in (True, False, 0, 1) or (isinstance(value, str) and value.lower() in ("true", "false", "0", "1")):
            return str(value).lower() in ("true", "1")
        self.object(name, "true or false")
        return None

    def read(self, name: str, parse: Callable[[str], _T], expected: str) -> _T | None:
        value = self._parameters.get(name)
        if value is None:
            return None
        try:
            return parse(str(value))
        except ValueError:
            self.object(name, expected)
            return None
