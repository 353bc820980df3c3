"""Equal content has one fingerprint, different content another, and what cannot be sent is refused by field."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.fingerprint import MAX_BYTES, fingerprint
from contraflow_hookspecs import ItemError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(max_size=8),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.times(),
    st.timedeltas(),
    st.uuids(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
payloads = st.dictionaries(texts, values, max_size=5)


def same(left: object, right: object) -> bool:
    """Equality that tells types apart, as a remote would."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@given(payloads, payloads)
def test_fingerprints_are_equal_exactly_when_the_contents_are(left: dict, right: dict) -> None:
    assert (fingerprint(left) == fingerprint(right)) == same(left, right)


@given(payloads)
def test_the_order_of_keys_does_not_matter(payload: dict) -> None:
    assert fingerprint(payload) == fingerprint(dict(reversed(payload.items())))


class Colour(enum.Enum):
    RED = "red"


BERLIN = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (Decimal("100"), Decimal("1E+2")),
        (Decimal("0.00"), Decimal("-0")),
        (0.0, -0.0),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, {1, 2, 3}),
        (Colour.RED, "red"),
        (dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 14, tzinfo=BERLIN)),
        ({"a": {"b": 1}}, MappingProxyType({"a": MappingProxyType({"b": 1})})),
        (bytearray(b"x"), b"x"),
    ],
)
def test_the_same_value_in_another_form(left: object, right: object) -> None:
    assert fingerprint({"field": left}) == fingerprint({"field": right})


def test_values_that_python_takes_for_equal_but_remotes_do_not() -> None:
    different = [1, 1.0, True, "1", Decimal(1), [1], None, "", 0, False, b"1", {"a": 1}, {1}]
    assert len({fingerprint({"field": value}) for value in different}) == len(different)


class Level(int):
    pass


def test_integers_of_any_size() -> None:
    numbers = [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**5000, hex(2**64)]
    assert len({fingerprint({"field": number}) for number in numbers}) == len(numbers)
    assert fingerprint({"field": Level(2**64)}) == fingerprint({"field": 2**64})


def test_a_missing_field_is_not_an_empty_one() -> None:
    assert fingerprint({"a": None}) != fingerprint({})


def test_a_tagged_value_cannot_be_imitated() -> None:
    with pytest.raises(ItemError, match="NUL"):
        fingerprint({"field": {"\x00date": "2026-01-01"}})
    assert fingerprint({"field": dt.date(2026, 1, 1)}) != fingerprint({"field": {"date": "2026-01-01"}})


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "field 'x' is nan"),
        (float("inf"), "field 'x' is inf"),
        (Decimal("NaN"), "field 'x' is NaN"),
        ("\ud800", "field 'x' has a lone surrogate"),
        ({"deep": ["\udfff"]}, "field 'x' has a lone surrogate"),
        (object(), r"field 'x' has a value of the unknown type builtins\.object"),
        ({"deep": [uuid]}, r"field 'x\.deep\[0\]' has a value of the unknown type builtins\.module"),
        ({1: "a"}, "field 'x' has a key of type int"),
        ("a" * MAX_BYTES, "the payload has 1,048,"),
        (nested(70), "field 'x' is nested deeper than 64"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_field(value: object, reason: str) -> None:
    with pytest.raises(ItemError, match=reason):
        fingerprint({"fine": 1, "x": value})
