"""From an entity to an entry's attributes."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow_hookspecs import Item, ItemError, SystemicError
from contraflow_ldap import EntrySettings
from contraflow_ldap.names import is_named, is_named_by, rdn_of
from contraflow_ldap.payload import build_payload
from contraflow_ldap.values import content_held, content_of, moment_of, octets_of


class Colour(enum.Enum):
    RED = "red"


def kind(**attributes: str) -> EntrySettings:
    return EntrySettings(base="dc=x", rdn="uid", object_classes=["inetOrgPerson"], attributes=attributes)


def payload_of(entity: Any, **attributes: str) -> dict[str, Any]:
    return build_payload(Item(key=(1,), entity=entity), kind(**attributes))


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (None, None),
        ("", None),
        ([], None),
        (["", None], None),
        (" ", " "),
        (0, "0"),
        (True, "TRUE"),
        (1.5, "1.5"),
        (Decimal("1E+2"), "100"),
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 2, 3), "20260203000000Z"),
        (datetime(2026, 2, 3, 4, 5, 6, 700000, tzinfo=timezone(timedelta(hours=1))), "20260203030506.7Z"),
        (datetime(2026, 2, 3, 4, 5, 6), "20260203040506Z"),  # noqa: DTZ001
        (datetime(9, 1, 1, tzinfo=UTC), "00090101000000Z"),
        (b"\x00\xff", b"\x00\xff"),
        (["b", "a", "b"], ["a", "b"]),
        ({"x"}, "x"),
        (("a", 1), ["1", "a"]),
    ],
)
def test_what_a_payload_holds_of_a_value(value, content):
    assert content_of(value, "x") == content


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20260203040506Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("20260203040506.123456Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026020304Z", None),
        ("20260203040506+0100", None),
        ("", None),
    ],
)
def test_when_an_entry_was_modified(text, moment):
    assert moment_of(text) == moment


@pytest.mark.parametrize("value", [{"a": 1}, object(), float("nan"), Decimal("Infinity"), "\ud800", [["a"]]])
def test_what_a_directory_cannot_keep(value):
    with pytest.raises(ItemError, match="givenName") as caught:
        content_of(value, "givenName")
    assert caught.value.code == "value"


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_what_is_read_back_equals_what_was_sent(values):
    content = content_of(values, "x")
    assert content_held(octets_of(content), like=content) == content
    assert content_of(list(reversed(values)), "x") == content


@given(st.lists(st.binary()))
def test_octets_come_back_as_octets(values):
    content = content_of(values, "x")
    assert content_held(octets_of(content), like=content) == content


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_an_entry_is_recognised_by_its_name(value, other):
    dn = f"{rdn_of('uid', value)},ou=people,dc=x"
    assert is_named(dn, "UID", value)
    assert is_named(dn, "uid", other) == (value == other)
    assert is_named_by(dn, "uid")
    assert not is_named_by(dn, "ou")


@pytest.mark.parametrize("dn", ["uid=a+cn=b,dc=x", "cn=a,dc=x", "", "nonsense", "uid=a,nonsense"])
def test_other_names(dn):
    assert not is_named(dn, "uid", "b")


def test_attributes_come_through_relations():
    entity = SimpleNamespace(login="ana", team=SimpleNamespace(name="Ops"), boss=None, tags={"x": ["b", "a"]})
    attributes = {"uid": "login", "ou": "team.name", "manager": "boss.login", "title": "tags.x"}
    assert payload_of(entity, **attributes) == {"uid": "ana", "ou": "Ops", "manager": None, "title": ["a", "b"]}


def test_an_attribute_that_no_entity_has():
    with pytest.raises(SystemicError, match="no attribute 'logn'; did you mean 'login'"):
        payload_of({"login": "ana"}, uid="logn")


@pytest.mark.parametrize("login", [None, "", ["a", "b"], b"ana"])
def test_an_entity_without_one_name(login):
    with pytest.raises(ItemError, match="uid") as caught:
        payload_of({"login": login}, uid="login")
    assert caught.value.code == "name"
