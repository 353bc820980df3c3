"""What an integration's ``settings:`` may say, and what of it can be judged without the directory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*(;[A-Za-z0-9-]+)*")
_SLACK = 5.0
"""Seconds that a request may spend in queues between us and the directory."""


def _name(_instance: Any, field: attrs.Attribute[Any], value: str | None) -> None:
    """An attribute's or an object class's name, with options such as ``;lang-de``."""
    if value is not None and not _ATTRIBUTE.fullmatch(value):
        raise ValueError(f"{field.name}: '{value}' is no name of an attribute or object class")


def _names(instance: Any, field: attrs.Attribute[Any], value: Sequence[str]) -> None:
    for each in value:
        _name(instance, field, each)


def _attributes(instance: Any, field: attrs.Attribute[Any], value: Mapping[str, str]) -> None:
    _names(instance, field, list(value))
    lowered = [name.lower() for name in value]
    twice = sorted({name for name in value if lowered.count(name.lower()) > 1})
    if twice:
        raise ValueError(f"attributes: {' and '.join(twice)} are the same attribute")
    if "objectclass" in lowered:
        raise ValueError("attributes: objectClass is set by object_classes")
    for name, path in value.items():
        if not path.strip():
            raise ValueError(f"attributes.{name}: expected the name of an attribute of the entity, found none")


def _dn(_instance: Any, field: attrs.Attribute[Any], value: str) -> None:
    if "=" not in value:
        raise ValueError(f"{field.name}: '{value}' is no distinguished name such as ou=people,dc=example,dc=org")


@attrs.frozen(kw_only=True)
class EntrySettings:
    """One kind of entry, and how items become entries."""

    base: str = attrs.field(validator=_dn)
    """The entry below which new entries are made, and existing ones are looked for."""
    rdn: str = attrs.field(validator=_name)
    """The attribute that names an entry, such as ``uid`` or ``cn``."""
    object_classes: Sequence[str] = attrs.field(validator=[attrs.validators.min_len(1), _names])
    """The object classes that every entry has."""
    attributes: Mapping[str, str] = attrs.field(validator=[attrs.validators.min_len(1), _attributes])
    """Attribute of the entry -> attribute of the entity, dotted through relations."""
    match: str | None = attrs.field(default=None, validator=_name)
    """The attribute by which an entry is found that we have not written before. Default: ``rdn``."""

    def __attrs_post_init__(self) -> None:
        for field, name in (("rdn", self.rdn), ("match", self.match)):
            if name is not None and name not in self.attributes:
                raise ValueError(f"{field}: '{name}' is not among the attributes: {', '.join(self.attributes)}")

    @property
    def matched_by(self) -> str:
        """The attribute by which an entry is found."""
        return self.match or self.rdn


def _url(_instance: Any, _field: attrs.Attribute[Any], value: str) -> None:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("ldap", "ldaps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("url: expected ldap://host or ldaps://host, with a port if need be")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: holds a user name or password; they belong under bind_dn and password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("url: expected nothing behind the host and port; the base belongs to the entries")


def _password(_instance: Any, _field: attrs.Attribute[Any], value: str) -> None:
    """With an empty one a directory takes us for anybody, and says that all is well (RFC 4513, 5.1.2)."""
    if not value:
        raise ValueError("password is empty")


@attrs.frozen(kw_only=True)
class LdapSettings:
    """The settings of an integration whose connector is ``ldap``."""

    url: str = attrs.field(validator=_url)
    """``ldaps://host`` or ``ldap://host``, with a port where it is not 636 or 389."""
    bind_dn: str = attrs.field(validator=_dn)
    """The entry as which we log in."""
    password: str = attrs.field(repr=False, metadata={"secret": True}, validator=_password)
    entries: Mapping[str, EntrySettings] = attrs.field(validator=attrs.validators.min_len(1))
    """The kinds of entries, by the names under which steps choose them."""
    start_tls: bool = True
    """Whether an ``ldap://`` connection turns to TLS before anything else is said."""
    ca_file: str | None = None
    """A file with the certificate authorities to trust, instead of the usual ones. Verification cannot be switched off."""
    timeout: int = attrs.field(default=30, validator=attrs.validators.ge(1))
    """Seconds to wait for a connection, and for each answer."""

    @property
    def lifetime(self) -> float:
        """Seconds after which a request that was sent can no longer take effect."""
        return 2 * self.timeout + _SLACK
