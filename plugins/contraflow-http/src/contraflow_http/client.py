"""An :class:`httpx.Client` that is safe to point at a remote with credentials.

For connector authors: an ordinary client of httpx with these rules built in.

* TLS is verified, always; a CA file can be given, nothing can be switched off.
* It talks to one origin (scheme, host and port), whatever URL it is asked for. Credentials cannot leave.
* Redirects are followed within that origin only: GET and HEAD, and 307 and 308 of any method; at most five. Others are
  answers.
* An answer is read whole, up to a limit, and within twice its read timeout; compressed ones are not asked for, nor read.
* Nothing is taken from the environment: no proxy, no ``.netrc``.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from contraflow_hookspecs import SystemicError

MAX_ANSWER = 16 * 1024 * 1024
"""Default for the most bytes of one answer."""

MAX_REDIRECTS = 5


class AnswerRefusedError(httpx.TransportError):
    """The remote's answer was not read to its end: too large, or compressed. The request was carried out, perhaps."""


class ForeignOriginError(httpx.UnsupportedProtocol):
    """The client was asked for another origin than its own. Nothing was sent."""


@contextmanager
def open_client(
    url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    ca_file: str | None = None,
    max_answer: int = MAX_ANSWER,
) -> Iterator[httpx.Client]:
    """Open a client for one remote, and close it again.

    Args:
        url: The base URL; relative paths are joined to it.
        auth: The credentials; see :mod:`contraflow_http.auth`.
        headers: Sent with every request.
        timeout: Seconds: to connect, to send, and to wait for the answer's next part.
        ca_file: A PEM file with the authorities to trust instead of the usual ones.
        max_answer: Most bytes of one answer.

    Raises:
        SystemicError: ``ca_file`` cannot be read.
    """
    base = httpx.URL(url)
    inner = httpx.HTTPTransport(verify=_tls(base, ca_file), trust_env=False)
    with httpx.Client(
        base_url=base,
        auth=auth,
        headers={
            "User-Agent": "contraflow-http",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **(headers or {}),
        },
        timeout=timeout,
        transport=GuardedTransport(inner, origin=base, max_answer=max_answer),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield client


class GuardedTransport(httpx.BaseTransport):
    """Sends through another transport, to one origin, and reads the answers within limits.

    Args:
        inner: What really sends.
        origin: A URL of the only origin that is talked to.
        max_answer: Most bytes of one answer.
        clock: Seconds from any start, never backwards.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        *,
        origin: httpx.URL,
        max_answer: int = MAX_ANSWER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._origin = _origin(origin)
        self._max_answer = max_answer
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, follow what may be followed, and answer with a response that was read to its end.

        Raises:
            ForeignOriginError: The request is for another origin.
            AnswerRefusedError: The answer is too large or compressed.
            httpx.ReadTimeout: The answer drips.
        """
        if _origin(request.url) != self._origin:
            raise ForeignOriginError("this client talks to the origin of its url only", request=request)
        response = self._send(request)
        for _ in range(MAX_REDIRECTS):
            target = self._redirect(request, response)
            if target is None:
                break
            request = httpx.Request(
                request.method, target, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
            response = self._send(request)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _redirect(self, request: httpx.Request, response: httpx.Response) -> httpx.URL | None:
        followed = {301, 302, 303, 307, 308} if request.method in {"GET", "HEAD"} else {307, 308}
        if response.status_code not in followed or "Location" not in response.headers:
            return None
        try:
            target = request.url.join(response.headers["Location"])
        except (httpx.InvalidURL, ValueError):
            return None
        return target if _origin(target) == self._origin and not target.userinfo else None

    def _send(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        try:
            content = self._read(request, response)
        finally:
            response.close()
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            content=content,
            extensions=response.extensions,
            request=request,
        )

    def _read(self, request: httpx.Request, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise AnswerRefusedError("the answer is compressed, which was not asked for", request=request)
        patience = request.extensions.get("timeout", {}).get("read")
        end = None if patience is None else self._clock() + 2 * patience
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > self._max_answer:
                raise AnswerRefusedError(f"the answer is larger than {self._max_answer} bytes", request=request)
            if end is not None and self._clock() > end:
                raise httpx.ReadTimeout("the answer did not end in time", request=request)
        return bytes(content)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _tls(url: httpx.URL, ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None and url.scheme == "http":
        # Never used: the client keeps to its origin. Trusting nobody is quicker than loading whom to trust.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SystemicError(f"ca_file '{ca_file}' cannot be read: {error.strerror or type(error).__name__}") from error
