"""The step parameter ``guards``: how much one run may create, update and delete before somebody has to approve of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from contraflow.errors import Location, Problem, near_match

GUARDS: Mapping[str, str] = {
    "creates": "most records that a run may create",
    "updates": "most records that it may change",
    "deletes": "most records that it may delete",
    "emptied": "most records in which it may empty one field: any, or by the field's name",
}
"""What a limit may be set for."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_PERCENTAGE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) *%")
_EXPECTED = "a whole number from 0 on, or a share of the known records such as 10%"


@attrs.frozen(kw_only=True)
class Limit:
    """So many records, or such a share of the records that the remote holds from us."""

    number: int | None = None
    percent: Decimal | None = None

    def most(self, known: int) -> int:
        """How many records that is, of so many known ones."""
        if self.percent is not None:
            return int(known * self.percent / 100)
        return self.number or 0

    def __str__(self) -> str:
        return f"{self.percent:f} %" if self.percent is not None else f"{self.number:,}"


@attrs.frozen(kw_only=True)
class Guards:
    """The limits of a step; ``None`` where none was set."""

    creates: Limit | None = None
    updates: Limit | None = None
    deletes: Limit | None = None
    emptied: Limit | None = None
    """For any field."""
    emptied_fields: Mapping[str, Limit] = attrs.field(factory=dict)
    """For those that have a limit of their own."""

    @property
    def need_rehearsal(self) -> bool:
        """Whether only a look at everything tells if a limit is passed; deletions come last, and are counted then."""
        return bool(self.creates or self.updates or self.emptied or self.emptied_fields)


def read_guards(value: object, location: Location, problem: Callable[[Problem], None]) -> Guards:
    """Read the parameter.

    Args:
        value: What was written.
        location: Where.
        problem: Told of each thing that cannot be honoured.
    """
    if value is None:
        return Guards()
    if not isinstance(value, Mapping):
        problem(
            Problem(
                message="parameter 'guards'",
                location=location,
                found=repr(value),
                expected=f"a mapping of limits: {', '.join(GUARDS)}",
            )
        )
        return Guards()
    limits: dict[str, Limit | None] = {}
    fields: dict[str, Limit | None] = {}
    for name, written in value.items():
        place = attrs.evolve(location, path=f"{location.path}.{name}")
        if name not in GUARDS:
            problem(
                Problem(
                    message=f"parameter 'guards': there is no guard '{name}'",
                    location=place,
                    found=repr(name),
                    expected=f"one of {', '.join(GUARDS)}",
                    hint=near_match(str(name), GUARDS),
                )
            )
        elif name == "emptied" and isinstance(written, Mapping):
            fields = {
                str(field): _read_limit(f"guards.emptied.{field}", each, place, problem)
                for field, each in written.items()
            }
        elif written is not None:
            limits[name] = _read_limit(f"guards.{name}", written, place, problem)
    return Guards(**limits, emptied_fields={field: limit for field, limit in fields.items() if limit is not None})


def _read_limit(name: str, written: Any, location: Location, problem: Callable[[Problem], None]) -> Limit | None:
    if isinstance(written, int) and not isinstance(written, bool) and written >= 0:
        return Limit(number=written)
    text = written.strip() if isinstance(written, str) else ""
    if _NUMBER.fullmatch(text):
        return Limit(number=int(text))
    expected = _EXPECTED
    if share := _PERCENTAGE.fullmatch(text):
        percent = Decimal(share[1])
        if percent <= 100:
            return Limit(percent=percent)
        expected = "a percentage from 0% to 100%"
    problem(Problem(message=f"parameter '{name}'", location=location, found=repr(written), expected=expected))
    return None
