"""The step parameter ``conflicts``: what holds when somebody edited a record at the remote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from contraflow.errors import Location, Problem, near_match
from contraflow.merge import FALLBACKS, POLICIES, Rules

KEYS: Mapping[str, str] = {
    "default": "the policy of all fields that have none of their own (default: ask)",
    "fields": "policies of single fields of the payload",
    "fallback": "what holds under merge where both sides changed a field: local, remote, newest or ask (default)",
    "tolerance": "under newest, seconds by which the two clocks may differ: closer changes are asked about (default 0)",
}
"""What the parameter may say, where it is a mapping."""


@attrs.frozen(kw_only=True)
class ConflictRules:
    """The parameter, read."""

    rules: Rules
    tolerance: float = 0.0
    modified_column: str | None = None
    """The attribute of an entity that tells when it was changed last."""


def read_conflicts(
    parameters: Mapping[str, Any], locate: Callable[[str], Location], problem: Callable[[Problem], None]
) -> ConflictRules | None:
    """Read the parameters ``conflicts`` and ``modified_column``; ``None`` if the step says nothing of conflicts.

    Args:
        parameters: All parameters of the step.
        locate: Where a parameter was written.
        problem: Told of each thing that cannot be honoured.
    """
    value, column = parameters.get("conflicts"), parameters.get("modified_column")
    if column is not None and (not isinstance(column, str) or not column):
        problem(_problem("modified_column", locate("modified_column"), column, "the name of an entity's attribute"))
        column = None
    if value is None:
        return None
    given = value if isinstance(value, Mapping) else {"default": value}
    problems = list(_problems(given, locate("conflicts"), whole=not isinstance(value, Mapping)))
    if problems:
        for each in problems:
            problem(each)
        return None
    named = {
        name: each for name, each in given.items() if name in ("default", "fields", "fallback") and each is not None
    }
    rules = Rules(**named)
    if rules.need_moments and column is None:
        problem(
            Problem(
                message="parameter 'conflicts': newest needs to know when an entity was changed last",
                location=locate("conflicts"),
                found="no modified_column",
                expected="modified_column: NAME, the attribute that tells it",
            )
        )
        return None
    return ConflictRules(rules=rules, tolerance=float(given.get("tolerance") or 0.0), modified_column=column)


def _problems(given: Mapping[Any, Any], location: Location, *, whole: bool) -> Iterator[Problem]:
    for name, value in given.items():
        place = location if whole else attrs.evolve(location, path=f"{location.path}.{name}")
        if name not in KEYS:
            yield Problem(
                message=f"parameter 'conflicts' has no '{name}'",
                location=place,
                expected=", ".join(KEYS),
                hint=near_match(str(name), KEYS),
            )
        elif name == "default":
            yield from _choice("conflicts" if whole else "conflicts.default", value, POLICIES, place)
        elif name == "fallback":
            yield from _choice("conflicts.fallback", value, FALLBACKS, place)
        elif name == "tolerance" and value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                yield _problem("conflicts.tolerance", place, value, "a number of seconds from 0 on")
        elif name == "fields" and value is not None:
            if not isinstance(value, Mapping):
                yield _problem("conflicts.fields", place, value, "a mapping of fields to policies")
                continue
            for field, policy in value.items():
                inner = attrs.evolve(place, path=f"{place.path}.{field}")
                yield from _choice(f"conflicts.fields.{field}", policy, POLICIES, inner)


def _choice(name: str, value: object, valid: tuple[str, ...], location: Location) -> Iterator[Problem]:
    if value not in valid:
        expected = f"{', '.join(valid[:-1])} or {valid[-1]}"
        yield _problem(name, location, value, expected, near_match(str(value), valid))


def _problem(name: str, location: Location, found: object, expected: str, hint: str | None = None) -> Problem:
    return Problem(message=f"parameter '{name}'", location=location, found=repr(found), expected=expected, hint=hint)
