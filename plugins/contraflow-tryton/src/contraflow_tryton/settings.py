"""What an integration's ``settings:`` may say, and what of it can be judged without Tryton."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLACK = 5.0
"""Seconds that a request may spend in queues between us and Tryton."""

RESERVED = ("code", "active", "addresses", "contact_mechanisms", "identifiers")
"""Fields of a party that have their own settings, or are the connector's."""


def _names(_instance: Any, field: attrs.Attribute[Any], value: Mapping[str, str]) -> None:
    """A mapping of Tryton's names to attributes of the entity."""
    for name, path in value.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{field.name}: '{name}' is no name of a field or type in Tryton")
        if not path.strip():
            raise ValueError(f"{field.name}.{name}: expected the name of an attribute of the entity, found none")


def _fields(instance: Any, field: attrs.Attribute[Any], value: Mapping[str, str]) -> None:
    _names(instance, field, value)
    for name in RESERVED:
        if name in value:
            raise ValueError(
                f"fields: '{name}' is not set here; the connector sets it, or has a setting of its own for it"
            )


def _addresses(instance: Any, field: attrs.Attribute[Any], value: Sequence[Mapping[str, str]]) -> None:
    for each in value:
        if not each:
            raise ValueError("addresses: expected at least one field of each address, found none")
        _names(instance, field, each)


def _prefix(_instance: Any, _field: attrs.Attribute[Any], value: str) -> None:
    if _CONTROL.search(value) or value != value.strip() or "%" in value:
        raise ValueError(f"code_prefix: '{value}' holds a control character, a percent sign, or a blank at an end")


@attrs.frozen(kw_only=True)
class PartySettings:
    """One kind of party, and how items become parties."""

    fields: Mapping[str, str] = attrs.field(validator=[attrs.validators.min_len(1), _fields])
    """Field of the party -> attribute of the entity, dotted through relations."""
    code_prefix: str = attrs.field(default="", validator=_prefix)
    """What stands before the item's key in the party's code."""
    contact_mechanisms: Mapping[str, str] = attrs.field(factory=dict, validator=_names)
    """Type of contact mechanism -> attribute of the entity; a list makes several."""
    identifiers: Mapping[str, str] = attrs.field(factory=dict, validator=_names)
    """Type of identifier -> attribute of the entity; a list makes several."""
    addresses: Sequence[Mapping[str, str]] = attrs.field(factory=list, validator=_addresses)
    """For each address: field -> attribute of the entity. ``country`` is a code of two letters."""
    match: str | None = None
    """The type of contact mechanism or identifier by which a party is found that was not made from here."""

    def __attrs_post_init__(self) -> None:
        types = [*self.contact_mechanisms, *self.identifiers]
        if self.match is not None and self.match not in types:
            known = ", ".join(types) or "none"
            raise ValueError(
                f"match: '{self.match}' is no type of contact_mechanisms or identifiers here; there are: {known}"
            )


def _url(_instance: Any, _field: attrs.Attribute[Any], value: str) -> None:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or _CONTROL.search(value):
        raise ValueError("url: expected https://host or http://host, with a port if need be")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: holds a user name or password; they belong under user and password")
    if parts.query or parts.fragment:
        raise ValueError("url: expected no query and no fragment")


def _database(_instance: Any, _field: attrs.Attribute[Any], value: str) -> None:
    if not re.fullmatch(r"[\w.-]+", value):
        raise ValueError(f"database: '{value}' is no name of a database")


@attrs.frozen(kw_only=True)
class TrytonSettings:
    """The settings of an integration whose connector is ``tryton``."""

    url: str = attrs.field(validator=_url)
    """Where trytond answers, such as ``https://erp.example``."""
    database: str = attrs.field(validator=_database)
    user: str = attrs.field(validator=attrs.validators.min_len(1))
    """The login of the user as whom we write."""
    password: str = attrs.field(repr=False, metadata={"secret": True}, validator=attrs.validators.min_len(1))
    parties: Mapping[str, PartySettings] = attrs.field(validator=attrs.validators.min_len(1))
    """The kinds of parties, by the names under which steps choose them."""
    guard: bool = False
    """Whether a party that somebody changed in Tryton since we wrote it is left alone, and reported as a conflict."""
    language: str = "en"
    """The language of Tryton's messages."""
    ca_file: str | None = None
    """A file with the certificate authorities to trust, instead of the usual ones. Verification cannot be switched off."""
    timeout: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    """Seconds to wait for a connection, and for each answer."""

    @property
    def lifetime(self) -> float:
        """Seconds after which a request that was sent can no longer take effect."""
        return 2 * self.timeout + _SLACK
