"""What the settings may say."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from contraflow_tryton import PartySettings, TrytonSettings

PARTY: dict[str, Any] = {"fields": {"name": "name"}, "contact_mechanisms": {"email": "mail"}}
SETTINGS: dict[str, Any] = {
    "url": "https://erp.example",
    "database": "erp",
    "user": "sync",
    "password": "secret",
    "parties": {"customer": PartySettings(**PARTY)},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ldap://erp.example"}, "expected https://host"),
        ({"url": "https://"}, "expected https://host"),
        ({"url": "https://host:99999"}, "expected https://host"),
        ({"url": "https://me:hidden@host"}, "they belong under user and password"),
        ({"url": "https://host/?a=1"}, "no query"),
        ({"database": "a/b"}, "database: 'a/b'"),
        ({"user": ""}, "user"),
        ({"password": ""}, "password"),
        ({"parties": {}}, "parties"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_tryton_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words) as caught:
        TrytonSettings(**{**SETTINGS, **change})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": {}}, "fields"),
        ({"fields": {"Name": "name"}}, "fields: 'Name' is no name"),
        ({"fields": {"name": " "}}, "fields.name: expected the name"),
        ({"fields": {"code": "id"}}, "fields: 'code' is not set here"),
        ({"fields": {"addresses": "a"}}, "fields: 'addresses' is not set here"),
        ({"code_prefix": "50%"}, "code_prefix: '50%'"),
        ({"code_prefix": " C"}, "code_prefix"),
        ({"addresses": [{}]}, "addresses: expected at least one field"),
        ({"match": "phone"}, "match: 'phone' is no type .* there are: email"),
    ],
)
def test_a_party_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        PartySettings(**{**PARTY, **change})


def test_the_password_is_not_shown():
    assert "secret" not in repr(TrytonSettings(**SETTINGS))
    assert attrs.fields(TrytonSettings).password.metadata["secret"]
