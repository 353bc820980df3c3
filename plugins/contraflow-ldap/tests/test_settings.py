"""What the settings may say."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from contraflow_ldap import EntrySettings, LdapSettings

ENTRY: dict[str, Any] = {
    "base": "ou=people,dc=x",
    "rdn": "uid",
    "object_classes": ["inetOrgPerson"],
    "attributes": {"uid": "login", "cn": "name"},
}
SETTINGS: dict[str, Any] = {
    "url": "ldaps://directory.example",
    "bind_dn": "cn=sync,dc=x",
    "password": "secret",
    "entries": {"person": EntrySettings(**ENTRY)},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "https://directory.example"}, "expected ldap://host"),
        ({"url": "ldap://"}, "expected ldap://host"),
        ({"url": "ldap://host:99999"}, "expected ldap://host"),
        ({"url": "ldap://me:hidden@host"}, "they belong under bind_dn and password"),
        ({"url": "ldap://host/dc=x"}, "nothing behind the host"),
        ({"bind_dn": "sync"}, "bind_dn: 'sync' is no distinguished name"),
        ({"password": ""}, "password is empty"),
        ({"entries": {}}, "entries"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_directory_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words) as caught:
        LdapSettings(**{**SETTINGS, **change})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "people"}, "base: 'people'"),
        ({"rdn": "login name"}, "rdn: 'login name' is no name"),
        ({"rdn": "sn"}, "rdn: 'sn' is not among the attributes: uid, cn"),
        ({"match": "mail"}, "match: 'mail' is not among the attributes"),
        ({"object_classes": []}, "object_classes"),
        ({"object_classes": ["inetOrgPerson)(x=*"]}, "is no name of an attribute or object class"),
        ({"attributes": {"uid": "a", "UID": "b"}}, "UID and uid are the same attribute"),
        ({"attributes": {"uid": "a", "objectclass": "b"}}, "objectClass is set by object_classes"),
        ({"attributes": {"uid": " "}}, "attributes.uid: expected the name"),
    ],
)
def test_an_entry_that_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        EntrySettings(**{**ENTRY, **change})


def test_the_password_is_not_shown():
    settings = LdapSettings(**SETTINGS)
    assert "secret" not in repr(settings)
    assert attrs.fields(LdapSettings).password.metadata["secret"]
