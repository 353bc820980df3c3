"""What a remote answered, and where in it things are found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import attrs
import httpx

MISSING: Final = object()
"""What :func:`find` answers where there is nothing; ``None`` is a value that a remote may give."""

_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@attrs.frozen(kw_only=True)
class Answer:
    """One answer: of a request, or of one change within a batch."""

    status: int = 0
    """0 for an outcome within a batch that has no status of its own."""
    headers: httpx.Headers = attrs.field(factory=httpx.Headers)
    body: Any = MISSING
    """The parsed JSON, or ``MISSING`` where the answer held none."""
    stranger: str | None = None
    """What stands in the place of JSON, where that is not to be believed: a page of HTML, or half of an answer."""

    @classmethod
    def of(cls, response: httpx.Response) -> Answer:
        """The answer in a response that was read to its end."""
        body = parse_json(response.content)
        return cls(
            status=response.status_code,
            headers=response.headers,
            body=body,
            stranger=_stranger(response) if body is MISSING else None,
        )

    def find(self, path: str) -> Any:
        """The value at a place: ``header:NAME``, or a path in the body as for :func:`find`; else ``MISSING``.

        ``header:Location`` is the last segment of the address, which by habit is the id of what was created.
        """
        if not path.startswith("header:"):
            return find(self.body, path)
        name = path.removeprefix("header:").strip()
        value = self.headers.get(name)
        if value is None:
            return MISSING
        if name.lower() == "location":
            return unquote(urlsplit(value).path.rstrip("/").rpartition("/")[2])
        return value

    def text(self, path: str | None) -> str | None:
        """The text or number at a place, as text; ``None`` if there is none, or no path."""
        return None if path is None else as_text(self.find(path))


def _stranger(response: httpx.Response) -> str | None:
    """What an answer without JSON holds instead. Nothing at all, or a plain ``OK``, is an answer, too."""
    beginning = response.content[:200].strip().lower()
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if beginning and (kind in _PAGES or beginning.startswith((b"<!doctype html", b"<html"))):
        return "a page of HTML"
    if beginning and (kind == "application/json" or kind.endswith("+json")):
        return "what is called JSON and is none"
    return None


def find(body: Any, path: str) -> Any:
    """The value at a place in JSON: ``data.items.0.id``, or the JSON pointer ``/data/items/0/id``; ``""`` is all of it."""
    if not path:
        return body
    if path.startswith("/"):
        names = [name.replace("~1", "/").replace("~0", "~") for name in path[1:].split("/")]
    else:
        names = path.split(".")
    for name in names:
        if isinstance(body, Mapping) and name in body:
            body = body[name]
        elif isinstance(body, list) and name.isdecimal() and int(name) < len(body):
            body = body[int(name)]
        else:
            return MISSING
    return body


def as_text(value: Any) -> str | None:
    """A text or a number as text; ``None`` for anything else, and for nothing at all."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value) or None


def parse_json(content: bytes) -> Any:
    """The JSON in the content, or ``MISSING``: a proxy's HTML page is no reason to fail."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return MISSING
