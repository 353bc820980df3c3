from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contraflow.ledger import decode_key, display_key, encode_key

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.binary(max_size=40),
    st.uuids(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes().map(lambda moment: moment.replace(fold=0)),  # databases keep no fold
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda moment: moment.replace(fold=0)
    ),
    st.times().map(lambda moment: moment.replace(fold=0)),
)
KEYS = st.lists(VALUES, min_size=1, max_size=4).map(tuple)


def exactly(key: tuple[Any, ...]) -> list[tuple[type[Any], str]]:
    """A form in which 1, True and 1.0 differ, as do 1.0 and 1.00, and 0.0 and -0.0."""
    return [(type(value), repr(value)) for value in key]


@settings(max_examples=300)
@given(KEYS)
def test_a_key_comes_back_as_it_was(key: tuple[Any, ...]) -> None:
    assert exactly(decode_key(encode_key(key))) == exactly(key)


@settings(max_examples=300)
@given(KEYS, KEYS)
def test_different_keys_have_different_texts(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (encode_key(one) == encode_key(other)) == (exactly(one) == exactly(other))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((1,), "[1]"),
        ((0,), "[0]"),
        (("",), '[""]'),
        ((False,), "[false]"),
        ((1, "a,b"), '[1,"a,b"]'),
        (("Zoë ♥",), '["Zoë ♥"]'),
        (("a\n\"b'\\\x7f",), '["a\\n\\"b\'\\\\\x7f"]'),
        ((UUID(int=5),), '[{"uuid":"00000000-0000-0000-0000-000000000005"}]'),
        ((date(2024, 2, 29), None), '[{"date":"2024-02-29"},null]'),
        ((Decimal("1.00"),), '[{"decimal":"1.00"}]'),
        ((b"\0\xff",), '[{"bytes":"AP8="}]'),
        ((time(1, 2),), '[{"time":"01:02:00"}]'),
        (("{", "["), '["{","["]'),
    ],
)
def test_the_text_of_a_key_stays_what_older_ledgers_hold(key: tuple[Any, ...], text: str) -> None:
    assert encode_key(key) == text
    assert decode_key(text) == key


def test_short_and_long_text_are_spelt_alike() -> None:
    """A key of one column takes a quicker way than the same value among others."""
    for value in ("a/b", "\x01\x1f\x7f", "\\u0000", 'quo"te', "é", "x" * 500, 5, -5, 10**17, 10**19):
        assert encode_key((value, 1)) == encode_key((value,))[:-1] + ",1]"


def test_the_same_moment_in_another_zone_is_the_same_key() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert encode_key((elsewhere,)) == encode_key((moment,))
    assert encode_key((moment.replace(tzinfo=None),)) != encode_key((moment,))


def test_subclasses_of_plain_types_are_spelt_like_these() -> None:
    class Colour(str, Enum):  # noqa: UP042 - the older way to write one, still common
        RED = "r"

    class Number(int):
        pass

    assert encode_key((Colour.RED,)) == encode_key(("r",))
    assert encode_key((Number(3), Colour.RED)) == '[3,"r"]'


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ((), "no columns"),
        ((float("nan"),), "NaN"),
        ((float("-inf"),), "infinity"),
        ((Decimal("NaN"),), "NaN"),
        ((Decimal("sNaN"),), "NaN"),
        (("a\0b",), "NUL"),
        (("a\0b", 1), "NUL"),
        (("é\0",), "NUL"),
        (("\ud800",), "lone surrogate"),
        ((1, "a\udfff"), "lone surrogate"),
        (("x" * 997,), "1001 bytes long; at most 1000"),
        (("é" * 600,), "1204 bytes long"),
        ((10**5000,), "more than 1000 digits"),
        ((["a"],), "type list cannot be part of a key"),
        (({"a": 1},), "type dict"),
        ((object(),), "type object"),
        ((datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),), "outside of the calendar"),
    ],
)
def test_keys_that_cannot_be_kept_are_refused_with_the_reason(key: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode_key(key)


def test_the_longest_key_comes_back() -> None:
    key = ("x" * 996,)
    assert decode_key(encode_key(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "{}",
        "[]",
        "[[1]]",
        "[{}]",
        '[{"uuid":"x"}]',
        '[{"os":"x"}]',
        '[{"uuid":"x","date":"y"}]',
        '[{"date":1}]',
        '[{"decimal":"x"}]',
        "[NaN]",
        "[1",
        "[" * 100_000,
    ],
)
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the text of a key"):
        decode_key(text)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ((5,), "5"),
        ((1, 3402), "1/3402"),
        (("a", None, date(2024, 2, 29)), "a/None/2024-02-29"),
        (("Zoë\x1b[31m\n",), r"Zoë\x1b[31m\n"),
        ((b"\x01\xff", UUID(int=1)), "01ff/00000000-0000-0000-0000-000000000001"),
    ],
)
def test_keys_for_people(key: tuple[Any, ...], shown: str) -> None:
    assert display_key(key) == shown
