"""Tryton's JSON-RPC: one session, opened again when it expires, and every trouble under a name that the contract knows."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from contraflow_hookspecs import PermanentError, SystemicError, TransientError
from contraflow_tryton.settings import TrytonSettings
from contraflow_tryton.values import decoded, encoded

_LONGEST_REASON = 300

# Connecting failed, or no connection was free: nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


# Refusals that are not for what was sent: who we are, what we may, where we ask, or how.
_OURS = (401, 403, 405, 407)


class LostError(Exception):
    """No answer, or none that can be understood: the request may have been carried out."""


class RefusedError(Exception):
    """Tryton carried nothing out, and said why.

    Args:
        kind: ``UserError``, ``UserWarning``, ``ConcurrencyException``, or ``""`` for an error of the server's own.
        reason: Its words.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class Session:
    """A user's session with one database.

    Args:
        client: Sends the requests.
        settings: Where, and as whom.
        now: The time, for deadlines.
    """

    def __init__(
        self, client: httpx.Client, settings: TrytonSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._authorization: str | None = None
        self.deadline: datetime | None = None
        """The moment by which the current call should be done."""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return f"{self._client.base_url.netloc.decode()}/{self._settings.database}"

    def call(self, method: str, *parameters: Any, **context: Any) -> Any:
        """Call a method of a model, such as ``party.party.write``, and return its result.

        Raises:
            RefusedError: Tryton refused, and rolled everything back.
            LostError: It may have been carried out.
            ConnectorError: It was not carried out, for a reason that is not this call's.
        """
        body = [*encoded(parameters), {"language": self._settings.language, **encoded(context)}]
        answer = self._send(f"model.{method}", body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the session expired; nothing was looked at
            self._authorization = None
            answer = self._send(f"model.{method}", body)
        return self._result(answer, method)

    def version(self) -> str:
        """Tryton's series, such as ``8.0``."""
        answer = self._post("rpc/", "common.server.version", [])
        return str(self._result(answer, "common.server.version"))

    def logout(self) -> None:
        """End the session."""
        if self._authorization is not None:
            with suppress(httpx.HTTPError, TransientError, LostError):
                self._post(f"{self._settings.database}/rpc/", "common.db.logout", [])
            self._authorization = None

    def login(self) -> None:
        """Open a session, unless there is one.

        Raises:
            SystemicError: Tryton refuses the user, or has no such database.
            TransientError: It is not there, or wants no more logins now.
        """
        if self._authorization is not None:
            return
        settings = self._settings
        parameters = [settings.user, {"password": settings.password}, settings.language]
        try:
            answer = self._post(f"{settings.database}/rpc/", "common.db.login", parameters)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                raise SystemicError(f"{self.label} refuses the user '{settings.user}'")
            user_id, key, *_ = self._result(answer, "login")
        except RefusedError as refusal:
            raise SystemicError(f"{self.label} refuses the user '{settings.user}': {refusal.reason}") from None
        except LostError as error:  # whether a session was opened is nobody's concern
            raise TransientError(str(error)) from None
        token = f"{settings.user}:{user_id}:{key}".encode()
        self._authorization = f"Session {base64.b64encode(token).decode()}"

    def _send(self, method: str, parameters: list[Any]) -> httpx.Response:
        self.login()
        return self._post(f"{self._settings.database}/rpc/", method, parameters)

    def _post(self, path: str, method: str, parameters: list[Any]) -> httpx.Response:
        headers = {} if self._authorization is None else {"Authorization": self._authorization}
        body = json.dumps({"id": 1, "method": method, "params": parameters}, allow_nan=False).encode()
        headers["Content-Type"] = "application/json"
        try:
            return self._client.post(path, content=body, headers=headers, timeout=self._timeout())
        except _UNSENT as error:
            reason = f"cannot connect to {self.label}: {_words(error)}"
            raise (SystemicError if "CERTIFICATE_VERIFY" in reason else TransientError)(reason) from None
        except httpx.RequestError as error:
            raise LostError(f"{self.label}: lost before the answer: {_words(error)}") from None

    def _timeout(self) -> float:
        if self.deadline is None:
            return self._settings.timeout
        left = (self.deadline - self._now()).total_seconds()
        if left <= 0:
            raise TransientError("the deadline of the call has passed")
        return min(left, self._settings.timeout)

    def _result(self, answer: httpx.Response, method: str) -> Any:
        if answer.status_code != httpx.codes.OK:
            self._refused(answer, method)
        try:
            body = json.loads(answer.content, object_hook=decoded)
        except (ValueError, KeyError, TypeError):
            raise LostError(f"{self.label}: {method}: the answer is no JSON of Tryton's") from None
        if not isinstance(body, dict) or not {"result", "error"} & set(body):
            raise LostError(f"{self.label}: {method}: the answer has neither a result nor an error")
        if "error" not in body:
            return body["result"]
        raise _refusal(body["error"])

    def _refused(self, answer: httpx.Response, method: str) -> None:
        status = answer.status_code
        reason = f"{self.label}: {method}: HTTP {status}"
        if status == httpx.codes.TOO_MANY_REQUESTS or status == httpx.codes.SERVICE_UNAVAILABLE:
            raise TransientError(reason, retry_after=_seconds(answer.headers.get("Retry-After")))
        if status == httpx.codes.NOT_FOUND:
            raise SystemicError(f"{reason}: no database '{self._settings.database}', or no trytond at this url")
        if status >= 500:
            raise LostError(reason)
        if status == httpx.codes.LOCKED:
            raise RefusedError("ConcurrencyException", reason)
        if status >= 400 and status not in _OURS:
            raise PermanentError(reason, code=f"http_{status}")  # too large, too many, or not to be read
        raise SystemicError(reason)


@contextmanager
def open_session(settings: TrytonSettings) -> Iterator[Session]:
    """Open a session for a run, and end it again.

    Raises:
        SystemicError: Tryton refuses us, or ``ca_file`` cannot be read.
        TransientError: It is not there.
    """
    with httpx.Client(
        base_url=settings.url.rstrip("/") + "/",
        headers={"User-Agent": "contraflow-tryton", "Accept": "application/json"},
        verify=_tls(settings),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        session = Session(client, settings)
        session.login()
        try:
            yield session
        finally:
            session.deadline = None
            session.logout()


def _tls(settings: TrytonSettings) -> ssl.SSLContext:
    if settings.ca_file is None:
        if settings.url.startswith("http:"):
            return ssl.SSLContext(
                ssl.PROTOCOL_TLS_CLIENT
            )  # never used: trusting nobody is quicker than loading whom to trust
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise SystemicError(f"ca_file '{settings.ca_file}' cannot be read: {reason}") from error


def _refusal(error: Any) -> RefusedError:
    """Tryton's errors: a kind and its arguments; or, for an error of the server's own, a message and a traceback."""
    kind, told = (error[0], error[1]) if isinstance(error, list) and len(error) == 2 else ("", error)
    match kind:
        case "UserError":
            message, description = told[0], told[1]
        case "UserWarning":
            message, description = told[1], told[2]
        case "ConcurrencyException":
            message, description = told, ""
        case _:
            kind, message, description = "", f"the server failed: {kind}", ""
    words = " ".join(f"{message} {description or ''}".split())
    return RefusedError(kind, words if len(words) <= _LONGEST_REASON else words[: _LONGEST_REASON - 1] + "…")


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
