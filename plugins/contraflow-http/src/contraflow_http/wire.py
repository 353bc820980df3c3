"""One request and its answer, with every trouble under a name that the contract knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx

from contraflow_hookspecs import TransientError
from contraflow_http.answer import Answer
from contraflow_http.auth import secrets_of
from contraflow_http.errors import connector_error, shown_path


@attrs.frozen(kw_only=True)
class Wire:
    """The client, and the moment by which we must be done."""

    client: httpx.Client
    deadline: datetime | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may repeat."""
        return secrets_of(self.client)

    def exchange(self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request and read its answer, whatever its status.

        Raises:
            ConnectorError: It was surely not carried out; see :func:`~contraflow_http.errors.connector_error`.
            AmbiguousError: It may have been.
        """
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            sent["Content-Type"] = "application/json"
        try:
            response = self.client.request(
                method, path, content=content, headers=sent, timeout=self._timeout(method, path)
            )
        except httpx.RequestError as error:
            raise connector_error(error, method, path) from error
        return Answer.of(response)

    def _timeout(self, method: str, path: str) -> httpx.Timeout:
        timeout = self.client.timeout
        if self.deadline is None:
            return timeout
        left = (self.deadline - self.now()).total_seconds()
        if left <= 0:
            raise TransientError(f"{method} {shown_path(path)}: the deadline of the call has passed")
        parts = timeout.as_dict()
        return httpx.Timeout(**{name: left if value is None else min(value, left) for name, value in parts.items()})
