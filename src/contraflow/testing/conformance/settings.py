"""Find the remote's address in an integration's settings, and put another in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit


def url_in(settings: Mapping[str, Any]) -> str | None:
    """The URL of the remote: that of the setting ``url``, else the first URL with a host; ``None`` if there is none."""
    candidates = [settings.get("url"), *settings.values()]
    return next((each for each in candidates if isinstance(each, str) and _origin(each) is not None), None)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown of it."""
    scheme, host, port = _origin(url) or ("", "", None)
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def moved(settings: Mapping[str, Any], url: str, to: str) -> dict[str, Any]:
    """The settings with another origin in every URL of the remote's, at any depth."""
    target = urlsplit(to)
    address = target.netloc.rpartition("@")[2]
    old = _origin(url)

    def move(value: Any) -> Any:
        if isinstance(value, str) and _origin(value) == old:
            parts = urlsplit(value)
            user, at, _ = parts.netloc.rpartition("@")
            return urlunsplit(parts._replace(scheme=target.scheme, netloc=f"{user}{at}{address}"))
        if isinstance(value, Mapping):
            return {name: move(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [move(each) for each in value]
        return value

    return {name: move(value) for name, value in settings.items()}


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port) if parts.scheme and parts.hostname else None
    except ValueError:
        return None
