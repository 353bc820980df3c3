"""Text that any of the databases can keep, whatever a remote answered."""

from __future__ import annotations

from typing import overload

MAX_MESSAGE = 4000
"""Longest reason or error that is kept, in characters; a remote may answer with a page of HTML."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_storable(text: str) -> bool:
    """Whether ``text`` holds neither a NUL (PostgreSQL refuses it) nor a lone surrogate (nothing encodes it)."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: None) -> None: ...


def storable(text: str | None) -> str | None:
    """``text`` with NULs and lone surrogates replaced by U+FFFD. Anything else than text is spelt out with ``str``."""
    if text is None:
        return None
    text = str(text)
    if is_storable(text):
        return text
    return "".join(_REPLACEMENT if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)


def message(text: str) -> str:
    """``text`` as a message that can be kept: storable, and cut to :data:`MAX_MESSAGE` characters."""
    text = storable(text)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
