"""From what HTTP says to what the contract means: statuses, network errors, ``Retry-After``, the remote's reason.

A connector author's road is :func:`raise_for_status` and :func:`connector_error`::

    try:
        response = client.post("/customers", json=payload)
    except httpx.TransportError as error:
        raise connector_error(error, "POST", "/customers") from error
    raise_for_status(response)
"""

from __future__ import annotations

import enum
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from contraflow_hookspecs import ConnectorError, PermanentError, SystemicError, TransientError
from contraflow_http.answer import Answer

MAX_REASON = 300
"""Most characters of a remote's words that are kept."""

_SHORTEST_SECRET = 4
"""Shorter ones are not worth hiding, and hiding them would eat ordinary words."""

_USUAL_REASONS = (
    "error.message",
    "message",
    "detail",
    "error_description",
    "error",
    "title",
    "errors.0.message",
    "errors.0",
)


class Outcome(enum.Enum):
    """What a status means for one change."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """Written, and the remote held it before."""
    REJECTED = "rejected"
    CONFLICT = "conflict"
    GONE = "gone"
    DEFERRED = "deferred"
    """This change was not carried out; later it may be."""
    THROTTLED = "throttled"
    """As deferred, and so are all that follow: the remote wants a pause."""
    UNKNOWN = "unknown"
    SYSTEMIC = "systemic"
    """Nothing can succeed until somebody acts."""


class AmbiguousError(Exception):
    """The request may or may not have been carried out. By the contract, its changes are in doubt."""


_OUTCOMES = {
    **dict.fromkeys((301, 302, 307, 308, 401, 403, 407), Outcome.SYSTEMIC),
    **dict.fromkeys((408, 423, 424, 425), Outcome.DEFERRED),
    **dict.fromkeys((429, 503), Outcome.THROTTLED),
    **dict.fromkeys((409, 412), Outcome.CONFLICT),
    **dict.fromkeys((501, 505), Outcome.REJECTED),
}


def outcome_of(status: int) -> Outcome:
    """What a status means where nothing is known of the request; 404 and 410 are ``REJECTED``.

    A server error is ``UNKNOWN``: the remote may have done the work before it failed. So is 303, by which some remotes
    answer a request that they carried out.
    """
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if 200 <= status < 300:
        return Outcome.WRITTEN
    return Outcome.REJECTED if 400 <= status < 500 else Outcome.UNKNOWN


def meaning_of(answer: Answer) -> Outcome:
    """What an answer means where nothing is known of the request.

    As :func:`outcome_of`, but a success whose body is a page of HTML, or JSON cut short, is ``UNKNOWN``: a proxy, a login
    page or a portal may have answered in the remote's place.
    """
    outcome = outcome_of(answer.status)
    return Outcome.UNKNOWN if outcome is Outcome.WRITTEN and answer.stranger else outcome


def raise_for_status(response: httpx.Response, *, error_path: str | None = None) -> None:
    """Raise the contract's error for a response that is not a success.

    Args:
        response: The response, read.
        error_path: Where the remote's reason is; the usual places are tried behind it.

    Raises:
        SystemicError: 401, 403, 407, a redirect that was not followed.
        TransientError: 408, 423 to 425, 429, 503, with the seconds of ``Retry-After``.
        PermanentError: Any other refusal, with the code ``http_NNN``.
        AmbiguousError: A server error, an answer that says nothing, or a page of HTML in the place of one.
    """
    answer = Answer.of(response)
    outcome = meaning_of(answer)
    if outcome is not Outcome.WRITTEN:
        raise status_error(
            answer, outcome, describe(answer, response.request.method, response.request.url.path, error_path)
        )


def status_error(answer: Answer, outcome: Outcome, message: str) -> Exception:
    """The error by which the contract says what this outcome means for a whole call."""
    if outcome is Outcome.SYSTEMIC:
        return SystemicError(message)
    if outcome in (Outcome.DEFERRED, Outcome.THROTTLED):
        return TransientError(message, retry_after=retry_after(answer.headers))
    if outcome is Outcome.UNKNOWN:
        return AmbiguousError(message)
    return PermanentError(message, code=f"http_{answer.status}")


def connector_error(error: httpx.RequestError, method: str, path: str) -> ConnectorError | AmbiguousError:
    """What a failed request means; raise what comes back.

    Returns:
        ``SystemicError`` if the remote's certificate is not to be trusted, ``TransientError`` if no connection came about
        (nothing was sent), otherwise ``AmbiguousError``: the request may have been carried out.
    """
    where = f"{method} {shown_path(path)}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SystemicError(f"{where}: the remote's certificate is not trusted: {cause.verify_message}")
        cause = cause.__cause__ or cause.__context__
    what = _single_line(str(error)) or type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return TransientError(f"{where}: no connection: {what}")
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return PermanentError(f"{where}: cannot be sent: {what}", code="not_sendable")
    return AmbiguousError(f"{where}: no answer: {what}")


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the remote asks us to wait, or ``None``. A date counts from the answer's own ``Date``, if it has one."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        then = _utc(value)
    except ValueError:
        return None
    try:
        now = _utc(headers.get("Date", ""))
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def describe(answer: Answer, method: str, path: str, error_path: str | None = None, secrets: Iterable[str] = ()) -> str:
    """One line for people: method, path without query, status, and the remote's reason, with secrets hidden."""
    where = f"{method} {shown_path(path)}" + (f" answered {answer.status}" if answer.status else "")
    if 300 <= answer.status < 400:
        return f"{where}: a redirect that is not followed; check the url and paths of the settings"
    found = reason_of(answer, error_path, secrets)
    if not found and answer.stranger:
        found = f"{answer.stranger}, so nobody can say who answered" if 200 <= answer.status < 300 else answer.stranger
    return f"{where}: {found}" if found else where


def reason_of(answer: Answer, error_path: str | None = None, secrets: Iterable[str] = ()) -> str:
    """The remote's reason, one line of at most 300 characters, with secrets hidden; empty if it gives none."""
    for path in (error_path, *_USUAL_REASONS):
        text = answer.text(path)
        if text:
            return hide(_single_line(text), secrets)[:MAX_REASON]
    return ""


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it replaced by ``***``: some remotes repeat the token that they refuse."""
    for secret in sorted((each for each in secrets if len(each) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def shown_path(path: str) -> str:
    """The path as messages show it: without query, which may hold a credential."""
    return path.partition("?")[0] or "/"


def _single_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))


def _utc(value: str) -> datetime:
    moment = parsedate_to_datetime(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
