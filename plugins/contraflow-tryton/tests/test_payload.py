"""From an entity to a party, and values to Tryton and back."""

from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow_hookspecs import Item, ItemError, SystemicError
from contraflow_tryton import PartySettings
from contraflow_tryton.payload import build_payload, code_of
from contraflow_tryton.values import decoded, encoded, plain, same


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("", None),
        (" x y\n", "x y"),
        (" ", None),
        (True, True),
        (0, 0),
        (Decimal("1.50"), Decimal("1.50")),
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 2, 3, 4, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 2, 3, 3, tzinfo=UTC)),
        (datetime(2026, 2, 3, 4), datetime(2026, 2, 3, 4, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_what_a_payload_holds_of_a_value(value, held):
    assert plain(value, "x") == held


@pytest.mark.parametrize("value", [{"a": 1}, object(), float("nan"), Decimal("NaN"), "\ud800", "a\x00b", ["a"]])
def test_what_no_field_can_keep(value):
    with pytest.raises(ItemError, match="comment") as caught:
        plain(value, "comment")
    assert caught.value.code == "value"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.just(UTC)),
    st.binary(),
)


@given(st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["a", "b"]), each)))
def test_values_travel_to_tryton_and_back(value):
    assert json.loads(json.dumps(encoded(value)), object_hook=decoded) == value


@pytest.mark.parametrize(
    ("ours", "held", "equal"),
    [
        ("a ", "a", True),
        ("a", "b", False),
        (None, "", True),
        ("a", None, False),
        (0, False, False),
        (0, None, False),
        (1, Decimal(1), True),
        (Decimal("1.0"), Decimal("1.00"), True),
        (None, None, True),
        (None, False, False),
        (date(2026, 1, 1), date(2026, 1, 1), True),
        (time(1), None, False),
    ],
)
def test_what_counts_as_the_same(ours, held, equal):
    assert same(ours, held) is equal


def kind(**settings: Any) -> PartySettings:
    return PartySettings(**{"fields": {"name": "name"}, **settings})


def payload_of(entity: Any, **settings: Any) -> dict[str, Any]:
    return build_payload(Item(key=(7,), entity=entity), kind(**settings))


def test_the_code_is_the_key_behind_the_prefix():
    assert code_of(("eu", 7), kind(code_prefix="C")) == "Ceu-7"
    assert code_of((7,), kind()) == "7"


def test_texts_by_type_are_a_set():
    entity = {"name": "Ana", "mails": ["b@x", " a@x ", "", None, "b@x"], "phone": 431, "vat": None}
    payload = payload_of(entity, contact_mechanisms={"email": "mails", "phone": "phone"}, identifiers={"eu_vat": "vat"})
    assert payload["contact_mechanisms"] == {"email": ["a@x", "b@x"], "phone": ["431"]}
    assert payload["identifiers"] == {"eu_vat": []}


def test_addresses_come_through_relations_and_empty_ones_do_not_come():
    entity = SimpleNamespace(name="Ana", home=SimpleNamespace(street="S 1", country="CZ"), work=None)
    addresses = [
        {"street": "home.street", "country": "home.country"},
        {"street": "work.street", "city": "work.city"},
    ]
    # An address has all fields, so that what is read back can be compared.
    assert payload_of(entity, addresses=addresses)["addresses"] == [{"street": "S 1", "country": "CZ", "city": None}]


def test_an_attribute_that_no_entity_has():
    with pytest.raises(SystemicError, match="no attribute 'nam'; did you mean 'name'"):
        payload_of({"name": "Ana"}, fields={"name": "nam"})
