"""From an entity to a payload that JSON can hold."""

from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow_hookspecs import Item, ItemError
from contraflow_http import process_item
from contraflow_http.values import to_json

PLAIN = "endpoints: {customers: {create: {path: /c}}}"


class Tier(enum.StrEnum):
    GOLD = "gold"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Decimal("0.90"), "0.90"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E+99999"), "1E+99999"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\xff\x00", "/wA="),
        (Tier.GOLD, "gold"),
        ({"a": (1, [b"x"])}, {"a": [1, ["eA=="]]}),
        (0, 0),
        (False, False),
        ("", ""),
        (None, None),
        (2**70, 2**70),
    ],
)
def test_values_become_json(value, expected):
    converted = to_json(value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(("value", "expected"), [("0.5", 0.5), ("3", 3), ("3.00", 3)])
def test_decimals_may_be_numbers(value, expected):
    converted = to_json(Decimal(value), decimals="number")
    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        (float("inf"), "field 'f' is inf"),
        (Decimal("NaN"), "field 'f' is NaN"),
        (Decimal("sNaN"), "field 'f' is sNaN"),
        pytest.param(10**5000, "field 'f' is a whole number of more than 8192 bits", id="huge"),
        ("\udfff", "field 'f' holds half a surrogate pair"),
        ({"a": [object()]}, r"field 'f.a\[0\]' holds a object"),
        ({1: 2}, "field 'f' is an object with a name of type int"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(value, trouble):
    with pytest.raises(ItemError, match=trouble) as caught:
        to_json(value, field="f")
    assert caught.value.code == "not_json"


def test_bottomless_nesting_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(ItemError, match="nested deeper than 64"):
        to_json(endless)


def test_a_decimal_that_no_number_can_hold_is_refused():
    with pytest.raises(ItemError, match="set decimals to text"):
        to_json(Decimal("1E+400"), field="f", decimals="number")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.decimals()
        | st.datetimes(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_a_value_is_refused_or_becomes_json_that_stays_the_same(value):
    try:
        converted = to_json(value)
    except ItemError:
        return
    assert json.loads(json.dumps(converted, allow_nan=False).encode()) == converted
    assert to_json(converted) == converted


def test_without_fields_every_column_is_sent(connect):
    item = Item(key=(1,), entity={"id": 1, "born": date(1990, 5, 6)})
    assert process_item(item=item, context=connect(PLAIN)) == {"id": 1, "born": "1990-05-06"}


FIELDS = """
endpoints:
  customers:
    create: {path: /c}
    fields: {email: Email, rep.name: support.first_name, city: address.city}
"""


def test_fields_pick_and_rename_attributes_through_relations(connect):
    entity = SimpleNamespace(
        Email="a@b", support=SimpleNamespace(first_name="Jo"), address={"city": "Oslo"}, Extra=object()
    )
    payload = process_item(item=Item(key=(1,), entity=entity), context=connect(FIELDS))
    assert payload == {"email": "a@b", "rep.name": "Jo", "city": "Oslo"}


def test_a_relation_that_leads_nowhere_is_null(connect):
    entity = SimpleNamespace(Email=None, support=None, address={"city": None})
    assert set(process_item(item=Item(key=(1,), entity=entity), context=connect(FIELDS)).values()) == {None}


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ({"E_mail": 1, "support": None, "address": None}, r"dict has no attribute 'Email' .* did you mean 'E_mail'\?"),
        (
            {"Email": 1, "support": SimpleNamespace(firstname=1), "address": None},
            r"'first_name' \(field 'support.first_name'\); did you mean 'firstname'\?",
        ),
    ],
)
def test_a_missing_attribute_is_named(connect, entity, said):
    with pytest.raises(ItemError, match=said) as caught:
        process_item(item=Item(key=(1,), entity=entity), context=connect(FIELDS))
    assert caught.value.code == "no_attribute"
