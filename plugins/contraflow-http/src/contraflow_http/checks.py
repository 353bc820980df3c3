"""What the values of the settings must look like. No message repeats a value that may be secret."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import attrs

from contraflow_http.template import parse_path, parse_text

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_url(_: Any, attribute: attrs.Attribute[str], value: str) -> None:
    """Refuse what is no plain http or https address, or what hides a credential."""
    try:
        parts = urlsplit(value)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(f"{attribute.name} is no URL") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{attribute.name} holds a user name or password: put them under auth")
    if _CONTROL.search(value) or parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        raise ValueError(f"{attribute.name}: expected https://host or http://host, with a path if need be")
    if parts.query or parts.fragment:
        raise ValueError(f"{attribute.name}: expected no query and no fragment")


def check_header_name(_: Any, attribute: attrs.Attribute[Any] | None, value: str) -> None:
    """Refuse what is no header name."""
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{_name(attribute, 'headers')}: {value!r} is no header name")


def check_header_value(_: Any, attribute: attrs.Attribute[Any] | None, value: str | None) -> None:
    """Refuse what would end the header, or could not travel in it. The value may be secret, and is not shown."""
    if value is None:
        return
    name = _name(attribute, "headers")
    if not value:
        raise ValueError(f"{name} is empty")
    if not is_header_value(value):
        raise ValueError(
            f"{name} holds a line break, another control character, a character outside of ASCII, or a blank at its end"
        )


def is_header_value(value: str) -> bool:
    """Whether a header can carry the text as it stands."""
    return value.isascii() and not _CONTROL.search(value) and value == value.strip()


def check_path(_: Any, __: attrs.Attribute[str], value: str) -> None:
    """Refuse what is no path template."""
    parse_path(value)


def check_template(_: Any, __: attrs.Attribute[str], value: str) -> None:
    """Refuse what is no template."""
    parse_text(value)


def check_place(_: Any, attribute: attrs.Attribute[Any], value: str | None) -> None:
    """Refuse what is no place in an answer: ``data.id``, ``/data/id``, ``header:ETag``."""
    if value is None:
        return
    if value.startswith("header:"):
        if not _TOKEN.fullmatch(value.removeprefix("header:").strip()):
            raise ValueError(f"{attribute.name}: '{value}' names no header")
    elif value and not value.startswith("/") and not all(value.split(".")):
        raise ValueError(f"{attribute.name}: '{value}' is no place: expected such as data.id, /data/id or header:ETag")


def _name(attribute: attrs.Attribute[Any] | None, default: str) -> str:
    return attribute.name if attribute is not None else default
