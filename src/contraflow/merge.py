"""Bring three versions of one record together: what was last confirmed, what we have, and what the remote has.

Field by field, and without asking anybody: a pure function of the three. A field that only one side has changed is no
conflict; one that both have changed to the same value is none either. What is left is decided by a policy.

Values are the same if they have the same fingerprint: ``False``, ``0``, ``0.0`` and ``""`` are four values, and a field that
is not there is not one with ``None``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import attrs

from contraflow.fingerprint import canonical

Policy = Literal["local", "remote", "newest", "merge", "ask"]
"""What holds of a field that somebody edited at the remote.

``local``: ours. ``remote``: theirs. ``newest``: the record's that was changed last. ``merge``: theirs if we have not changed
the field, otherwise the fallback decides. ``ask``: a person decides.
"""
Fallback = Literal["local", "remote", "newest", "ask"]
"""What holds of a field that both sides changed, under ``merge``."""
Side = Literal["local", "remote"]

POLICIES: tuple[Policy, ...] = get_args(Policy)
FALLBACKS: tuple[Fallback, ...] = get_args(Fallback)

_ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()
_COMPARED_BY_PYTHON = frozenset({str, int, bool, type(None)})


@attrs.frozen(kw_only=True)
class Rules:
    """The policies of a step."""

    default: Policy = "ask"
    fields: Mapping[str, Policy] = MappingProxyType({})
    """Policies of single fields."""
    fallback: Fallback = "ask"

    def of(self, field: str) -> Policy:
        """The policy of one field."""
        return self.fields.get(field, self.default)

    @property
    def all_local(self) -> bool:
        """Whether ours holds in any case, so that nobody has to look."""
        return {self.default, *self.fields.values()} == {"local"}

    @property
    def need_moments(self) -> bool:
        """Whether some field needs to know which side was changed last."""
        policies = {self.default, *self.fields.values()}
        return "newest" in policies or ("merge" in policies and self.fallback == "newest")


@attrs.frozen(kw_only=True)
class Merged:
    """What three versions of a record come to."""

    payload: Mapping[str, Any]
    """What the remote should hold. A field that waits for a person has the remote's value."""
    foreign: frozenset[str]
    """Fields that were edited at the remote, to a value that is not ours."""
    conflicting: frozenset[str]
    """Those of them that we have changed as well."""
    kept: frozenset[str]
    """Fields that have the remote's value though ours is another."""
    undecided: frozenset[str]
    """Fields that wait for a person."""
    outgoing: frozenset[str]
    """Fields that the remote does not have as they should be."""


def resolve(
    local: Mapping[str, Any],
    remote: Mapping[str, Any],
    changed_here: Collection[str],
    changed_there: Collection[str],
    rules: Rules,
    *,
    newer: Side | None = None,
) -> Merged:
    """Merge by the names of what each side changed: enough where the values of the base are not kept.

    A field in which the sides differ though neither has changed it was left to the remote before, and stays so.
    """
    payload: dict[str, Any] = {}
    foreign, conflicting, kept, undecided, outgoing = set(), set(), set(), set(), set()
    for field in dict.fromkeys((*local, *remote)):
        ours, theirs = local.get(field, _ABSENT), remote.get(field, _ABSENT)
        if same(ours, theirs):
            payload[field] = ours
            continue
        here, there = field in changed_here, field in changed_there
        if there:
            foreign.add(field)
            if here:
                conflicting.add(field)
        winner = _winner(rules, field, here=here, there=there, newer=newer)
        if winner == "local":
            outgoing.add(field)
        elif winner == "remote":
            kept.add(field)
        else:
            undecided.add(field)
        value = ours if winner == "local" else theirs
        if value is not _ABSENT:
            payload[field] = value
    return Merged(
        payload=payload,
        foreign=frozenset(foreign),
        conflicting=frozenset(conflicting),
        kept=frozenset(kept),
        undecided=frozenset(undecided),
        outgoing=frozenset(outgoing),
    )


def _winner(rules: Rules, field: str, *, here: bool, there: bool, newer: Side | None) -> Side | None:
    """Whose value a field has in which the sides differ; ``None`` if a person has to say."""
    policy: Policy | Side | None = rules.of(field)
    if not there:
        return "local" if here or policy == "local" else "remote"
    if policy == "merge":
        policy = rules.fallback if here else "remote"
    if policy == "newest":
        policy = newer
    return policy if policy in ("local", "remote") else None


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> frozenset[str]:
    """The names of the fields in which two payloads differ."""
    return frozenset(field for field in {*one, *other} if not same(one.get(field, _ABSENT), other.get(field, _ABSENT)))


def same(one: Any, other: Any) -> bool:
    """Whether two values of a field have the same fingerprint."""
    if one is _ABSENT or other is _ABSENT:
        return one is other
    if type(one) is type(other) and type(one) in _COMPARED_BY_PYTHON:
        return bool(one == other)
    return canonical({"": one}) == canonical({"": other})
