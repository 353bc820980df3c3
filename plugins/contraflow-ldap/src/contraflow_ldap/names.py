"""Names of entries: distinguished names, made and taken apart (RFC 4514)."""

from __future__ import annotations

import re

# What has a meaning in a name, wherever it stands, and what has one at its ends. (ldap3's own functions for names spoil a
# NUL, and stumble over a number sign.)
_SPECIAL = re.compile(r'[\\"+,;<>=]|^[ #]| \Z')
_PART = re.compile(r"\s*([\w.;-]+)=((?:\\.|[^\\,+])*)(\+|,|\Z)", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)


def rdn_of(attribute: str, value: str) -> str:
    """The relative name ``attribute=value``, escaped."""
    return f"{attribute}={_SPECIAL.sub(_escape, value)}".replace("\x00", "\\00")


def is_named(dn: str, attribute: str, value: str) -> bool:
    """Whether the entry of this name is named by just this attribute and value, to the letter."""
    return _parts(dn) == [(attribute.lower(), value.encode())]


def is_named_by(dn: str, attribute: str) -> bool:
    """Whether the entry of this name is named by a value of this attribute, whichever."""
    return attribute.lower() in dict(_parts(dn))


def _parts(dn: str) -> list[tuple[str, bytes]]:
    """The attributes in small letters, and their values, of an entry's relative name; none if it cannot be read."""
    parts, at = [], 0
    while part := _PART.match(dn, at):
        name, value, separator = part.groups()
        parts.append((name.lower(), _unescaped(value)))
        if separator != "+":
            return parts
        at = part.end()
    return []


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _unescaped(text: str) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        pair = match[1]
        return bytes.fromhex(pair.decode()) if len(pair) == 2 else pair

    return _ESCAPED.sub(plain, text.encode())
