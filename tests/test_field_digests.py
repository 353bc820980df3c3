"""Digests of fields: equal for equal content, different otherwise, and of no use beyond their item and ledger."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.errors import LedgerError
from contraflow.field_digests import differing, field_digests, salt_of, spell
from contraflow.fingerprint import canonical

SALT = salt_of("a ledger")

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, "", "1", "ä", Decimal(1)])
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from("xy"), scalars)
payloads = st.dictionaries(st.sampled_from(["a", "b", "c", "ä"]), values)


def digests(payload: dict[str, Any], key: str = "[1]", salt: int = SALT) -> dict[str, int]:
    return field_digests(key, canonical(payload), salt)


@given(before=payloads, after=payloads)
def test_exactly_the_fields_that_differ_are_named(before: dict[str, Any], after: dict[str, Any]) -> None:
    def content(payload: dict[str, Any], name: str) -> bytes | None:
        return canonical({name: payload[name]}) if name in payload else None

    differ = {name for name in before.keys() | after.keys() if content(before, name) != content(after, name)}
    assert differing(spell(digests(before)), digests(after)) == differ


@given(payload=payloads)
def test_the_order_of_fields_does_not_matter(payload: dict[str, Any]) -> None:
    turned = dict(reversed(payload.items()))
    assert differing(spell(digests(payload)), digests(turned)) == frozenset()


def test_types_differ_and_one_value_in_two_guises_does_not() -> None:
    before = {
        "a": 1,
        "b": "1",
        "c": Decimal("1.0"),
        "d": dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC),
        "e": [1, {"x": 1, "y": 2}],
    }
    zone = dt.timezone(dt.timedelta(hours=2))
    after = {
        "a": True,
        "b": 1,
        "c": Decimal("1.00"),
        "d": dt.datetime(2026, 1, 1, 14, tzinfo=zone),
        "e": (1, {"y": 2, "x": 1}),
    }
    assert differing(spell(digests(before)), digests(after)) == {"a", "b"}


def test_equal_values_of_two_items_or_two_ledgers_cannot_be_held_against_each_other() -> None:
    payload = {"email": "ana@example.org"}
    found = {
        digests(payload)["email"],
        digests(payload, key="[2]")["email"],
        digests(payload, salt=salt_of("another ledger"))["email"],
    }
    assert len(found) == 3


@pytest.mark.parametrize("text", ["", "[]", "7", '"x"', "{"])
def test_a_text_that_is_none_of_ours_is_told(text: str) -> None:
    with pytest.raises(LedgerError, match="that contraflow did not write: the digests"):
        differing(text, {})
