"""Credentials, as :class:`httpx.Auth` of the client. Each can list its secrets, so that no message repeats them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from urllib.parse import quote_plus

import httpx

from contraflow_hookspecs import SystemicError, TransientError
from contraflow_http.answer import Answer
from contraflow_http.checks import is_header_value
from contraflow_http.client import open_client
from contraflow_http.errors import Outcome, connector_error, hide, outcome_of, retry_after
from contraflow_http.settings import Auth, OAuth2

_MARGIN = 30.0
"""Seconds before its end from which a token is not used any more."""

_USUAL_HEADERS = frozenset({"accept", "accept-encoding", "connection", "user-agent"})

_LIFETIME = 300.0
"""Seconds that a token is taken to live if the server does not say."""


class HeaderCredential(httpx.Auth):
    """One header, the same with every request: ``Authorization: Bearer ...``, ``X-Api-Key: ...``."""

    def __init__(self, name: str, value: str, *, secrets: tuple[str, ...]) -> None:
        self._name = name
        self._value = value
        self.secrets = secrets

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers[self._name] = self._value
        yield request


class ClientCredentials(httpx.Auth):
    """OAuth 2, client credentials: a token fetched at first use, kept until shortly before its end, renewed on 401.

    Args:
        settings: Where the token comes from, and for whom.
        client: Talks to the token server, and to nobody else.
        clock: Seconds from any start, never backwards.
    """

    def __init__(self, settings: OAuth2, client: httpx.Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._token = ""
        self._end = 0.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may repeat."""
        return tuple(filter(None, (self._settings.client_secret, self._token)))

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token; if the remote refuses it, add a new one and ask again.

        Raises:
            SystemicError: The token server refuses us.
            TransientError: The token server cannot be reached now. The request was not sent.
        """
        if not self._token or self._clock() >= self._end:
            self._fetch()
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._fetch()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _fetch(self) -> None:
        self._token = ""
        asked = self._settings
        form = {"grant_type": "client_credentials", "scope": asked.scope, "audience": asked.audience}
        if asked.credentials_in == "body":
            form |= {"client_id": asked.client_id, "client_secret": asked.client_secret}
        try:
            response = self._client.post(asked.token_url, data={name: text for name, text in form.items() if text})
        except httpx.RequestError as error:
            trouble = connector_error(error, "POST", httpx.URL(asked.token_url).path)
            if isinstance(trouble, SystemicError):
                raise trouble from error
            raise TransientError(f"no token: {trouble}") from error
        self._keep(Answer.of(response))

    def _keep(self, answer: Answer) -> None:
        if not 200 <= answer.status < 300:
            # Only the error code of RFC 6749 5.2 is repeated: a description may quote the request, secret included.
            code = hide(answer.text("error") or "no reason given", self.secrets)[:100]
            message = f"the token server answered {answer.status}: {code}"
            if outcome_of(answer.status) in (Outcome.THROTTLED, Outcome.DEFERRED, Outcome.UNKNOWN):
                raise TransientError(message, retry_after=retry_after(answer.headers))
            raise SystemicError(message)
        token = answer.text("access_token")
        if token is None or not is_header_value(token):
            raise SystemicError("the token server answered without a usable access_token")
        lifetime = answer.find("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, (int, float)) else _LIFETIME
        self._token = token
        self._end = self._clock() + seconds - min(_MARGIN, seconds / 2)


@contextmanager
def open_auth(auth: Auth | None, *, timeout: float, ca_file: str | None) -> Iterator[httpx.Auth | None]:
    """The credentials for a client, or ``None``. Closes what they need to be fetched.

    Args:
        auth: The settings.
        timeout: Seconds, for the token server.
        ca_file: As for :func:`~contraflow_http.client.open_client`.
    """
    if auth is None:
        yield None
    elif auth.oauth2 is not None:
        # RFC 6749, 2.3.1: both are form-encoded before they become a Basic credential.
        name, secret = quote_plus(auth.oauth2.client_id), quote_plus(auth.oauth2.client_secret)
        basic = httpx.BasicAuth(name, secret) if auth.oauth2.credentials_in == "header" else None
        with open_client(auth.oauth2.token_url, auth=basic, timeout=timeout, ca_file=ca_file) as client:
            yield ClientCredentials(auth.oauth2, client)
    elif auth.basic is not None:
        encoded = base64.b64encode(f"{auth.basic.username}:{auth.basic.password}".encode()).decode("ascii")
        yield HeaderCredential("Authorization", f"Basic {encoded}", secrets=(encoded, auth.basic.password))
    elif auth.header is not None:
        yield HeaderCredential(auth.header.name, auth.header.value, secrets=(auth.header.value,))
    elif auth.bearer is not None:
        yield HeaderCredential("Authorization", f"Bearer {auth.bearer}", secrets=(auth.bearer,))


def secrets_of(client: httpx.Client) -> tuple[str, ...]:
    """What no message about this client's requests may repeat: credentials, and what the settings send in headers."""
    headers = (value for name, value in client.headers.items() if name not in _USUAL_HEADERS)
    return (*getattr(client.auth, "secrets", ()), *headers)
