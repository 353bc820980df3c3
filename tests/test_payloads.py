"""A payload comes back from its canonical form as a remote would see it."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.fingerprint import canonical, fingerprint
from contraflow.payloads import decode_payload

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
    st.datetimes(timezones=st.timezones()),
    st.times(),
    st.timedeltas(),
    st.uuids(),
)
payloads = st.dictionaries(texts, scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars), max_size=5)


@given(payloads)
def test_a_decoded_payload_is_the_original_as_a_remote_sees_it(payload: dict[str, Any]) -> None:
    decoded = decode_payload(canonical(payload).decode())
    assert decoded == payload
    assert fingerprint(decoded) == fingerprint(payload)


class Colour(enum.Enum):
    RED = "red"


class Birthday(dt.date):
    pass


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (Colour.RED, "red"),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (Birthday(2026, 1, 1), dt.date(2026, 1, 1)),
        (2**70, 2**70),
        (Decimal("1.00"), Decimal(1)),
        (uuid.UUID(int=5), uuid.UUID(int=5)),
    ],
)
def test_values_that_json_does_not_know(value: object, decoded: object) -> None:
    assert decode_payload(canonical({"field": value}).decode()) == {"field": decoded}


STRANGE = [
    json.dumps({"a": {f"\0{name}": value}})
    for name in (
        "unknown",
        "bytes",
        "int",
        "date",
        "datetime",
        "decimal",
        "instant",
        "set",
        "time",
        "timedelta",
        "uuid",
    )
    for value in (1.5, None, {}, "x,y,z")
    if (name, value) not in (("decimal", 1.5), ("set", {}), ("set", "x,y,z"))  # odd, but readable
]


@pytest.mark.parametrize("text", ["[]", "{", "1", "[" * 100_000, *STRANGE])
def test_what_contraflow_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do, nobody reads it but a developer
        decode_payload(text)
