"""Path templates: ``/customers/{key}``, filled from a change, every value percent-encoded.

Values come from data, so they may add nothing to a path but one piece of text: a slash becomes ``%2F``; an empty value, a
control character and a segment ``.`` or ``..`` are refused, since each would address another resource.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import attrs

from contraflow_hookspecs import Change, ItemError, SystemicError
from contraflow_http.values import to_json

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_KEY_PART = re.compile(r"key\[(\d+)\]")
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")

_MAX_PATH = 8000
"""What RFC 9110, 4.1 expects every server to take."""


@attrs.frozen(kw_only=True)
class Template:
    """A parsed template: literal text and the names between."""

    source: str
    literals: tuple[str, ...]
    """One more than ``names``: the text before, between and behind them."""
    names: tuple[str, ...]

    def path(self, change: Change) -> str:
        """The path for this change, percent-encoded.

        Raises:
            ItemError: A value is missing, empty, or no text that a path may hold (code ``bad_path``).
            SystemicError: The template does not fit the key: no item can be sent until it is mended.
        """
        path = self._fill(change, _encode)
        if any(segment in {".", ".."} for segment in path.partition("?")[0].split("/")):
            raise ItemError(f"path '{self.source}' would hold the segment '.' or '..'", code="bad_path")
        if len(path) > _MAX_PATH:
            raise ItemError(f"path '{self.source}' would be longer than {_MAX_PATH} characters", code="bad_path")
        return path

    def text(self, change: Change) -> str:
        """The same without percent-encoding, for a field of a record.

        Raises:
            ItemError: As for :meth:`path`.
            SystemicError: As for :meth:`path`.
        """
        return self._fill(change, str)

    def _fill(self, change: Change, encode: Callable[[str], str]) -> str:
        pieces = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            pieces += (encode(self._value(name, change)), literal)
        return "".join(pieces)

    def _value(self, name: str, change: Change) -> str:
        value = self._look_up(name, change)
        if value is None or value == "":
            found = "is not known" if value is None else "is empty"
            raise ItemError(f"'{{{name}}}' of '{self.source}' {found}", code="bad_path")
        converted = to_json(value, field=name)
        if isinstance(converted, (dict, list)):
            raise ItemError(f"'{{{name}}}' of '{self.source}' is not one value", code="bad_path")
        text = ("true" if converted else "false") if isinstance(converted, bool) else str(converted)
        if any(unicodedata.category(character) == "Cc" for character in text):
            raise ItemError(f"'{{{name}}}' of '{self.source}' holds a control character", code="bad_path")
        return text

    def _look_up(self, name: str, change: Change) -> Any:
        if name == "remote_id":
            return change.remote_id
        part = _KEY_PART.fullmatch(name)
        if name != "key" and part is None:
            return change.payload.get(name)
        columns = len(change.key)
        position = int(part[1]) if part else 0
        if (part is None and columns != 1) or position >= columns:
            expected = " and ".join(f"{{key[{at}]}}" for at in range(columns))
            raise SystemicError(
                f"'{self.source}' names '{{{name}}}', but the key has {columns} column(s): expected {expected}"
            )
        return change.key[position]


def is_of_the_item(name: str) -> bool:
    """Whether a name stands for the item itself, and for no field of its payload."""
    return name in ("key", "remote_id") or _KEY_PART.fullmatch(name) is not None


@lru_cache(maxsize=512)
def parse_path(source: str) -> Template:
    """A path template of the settings.

    Raises:
        ValueError: It does not begin with one ``/``, or holds a brace, a character or a segment that a path cannot.
    """
    template = parse_text(source)
    if not source.startswith("/") or source.startswith("//"):
        raise ValueError(f"path '{source}' must begin with one '/'; it is joined to the url of the settings")
    for literal in template.literals:
        if not _LITERAL.fullmatch(literal):
            raise ValueError(f"path '{source}' holds a character that must be percent-encoded")
    if any(segment in {".", ".."} for segment in source.partition("?")[0].split("/")):
        raise ValueError(f"path '{source}' holds the segment '.' or '..'")
    return template


@lru_cache(maxsize=512)
def parse_text(source: str) -> Template:
    """A template of plain text, such as ``{key[0]}-{key[1]}``.

    Raises:
        ValueError: A brace without its partner, or nothing between two.
    """
    literals = tuple(_PLACEHOLDER.split(source)[::2])
    names = tuple(_PLACEHOLDER.findall(source))
    if any("{" in literal or "}" in literal for literal in literals):
        raise ValueError(f"'{source}' holds a brace without its partner")
    if not all(names):
        raise ValueError(f"'{source}' holds '{{}}': expected {{key}}, {{key[0]}}, {{remote_id}} or a payload field")
    return Template(source=source, literals=literals, names=names)


def _encode(value: str) -> str:
    return quote(value, safe="")
