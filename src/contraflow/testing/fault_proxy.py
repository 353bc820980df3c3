"""An HTTP proxy on loopback that stands before a remote and makes faults: the connector is given its URL instead."""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import attrs

from contraflow.testing.faults import Fault, FaultKind, Request
from contraflow.testing.proxy import Proxy

_RESET = struct.pack("ii", 1, 0)
_PAGE = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"
_HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "trailer", "upgrade"]
)
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-auth-token", "cookie")
_REASONS = {401: "the credentials were refused", 413: "too large", 422: "not valid", 429: "too many requests"}


@attrs.frozen(kw_only=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that break off are what this is for."""


class _Serving:
    """A server at work, in a thread of its own."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = _Server(address, handler)
        self.port: int = self._server.server_port
        self.stopped = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections."""
        if not self.stopped:
            self.stopped = True
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class FaultProxy(Proxy):
    """Stands before an HTTP remote. Use it with ``with``.

    Args:
        upstream: The remote's URL; its path is kept in :attr:`url`.
        concerns: Which requests faults are for: those that write.
        patience: Seconds after which a client that still waits for an answer is taken for one without a timeout.

    Attributes:
        url: The URL for the connector.
        credentials: What clients sent in headers that carry credentials.
        strangers: The requests that came to the other host of a redirect.
    """

    kinds = frozenset(FaultKind)

    def __init__(self, upstream: str, *, concerns: Callable[[Request], bool], patience: float = 10.0) -> None:
        self._upstream = urlsplit(upstream)
        super().__init__(concerns=concerns, patience=patience)
        self.credentials: set[str] = set()
        self.strangers: list[Request] = []
        self._serving = _Serving(("127.0.0.1", 0), _handler(self))
        self._foreign = _Serving(("127.0.0.1", 0), _foreign_handler(self.strangers))
        host = f"127.0.0.1:{self._serving.port}"
        self._origin = f"http://{host}"
        self.url = urlunsplit(("http", host, self._upstream.path, self._upstream.query, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.stop()
        self._foreign.stop()

    def _refuse(self) -> None:
        self._serving.stop()

    def _receive(self) -> None:
        if self._serving.stopped:
            self._serving = _Serving(("127.0.0.1", self._serving.port), _handler(self))

    def fate(self, request: Request) -> Fault | None:
        """Note the credentials, too."""
        with self._lock:
            self.credentials.update(value for name, value in request.headers.items() if name.lower() in _CREDENTIALS)
        return super().fate(request)

    def forward(self, request: Request) -> _Answer:
        """Let the remote carry a request out."""
        upstream = self._upstream
        connection: http.client.HTTPConnection
        if upstream.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(str(upstream.hostname), upstream.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port, timeout=30)
        # Links that the remote tells lead to this proxy, and those that it is sent lead to itself.
        own, ours = f"{upstream.scheme}://{upstream.netloc.rpartition('@')[2]}", self._origin
        sent = {
            name: value.replace(ours, own) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP
        }
        content = _relinked(request.body, ours, own) or None
        try:
            connection.request(request.method, request.path, body=content, headers=sent)
            answer = connection.getresponse()
            body = _relinked(answer.read(), own, ours)
            shown = [
                (name, value.replace(own, ours))
                for name, value in answer.getheaders()
                if name.lower() not in _HOP_BY_HOP
            ]
        finally:
            connection.close()
        return _Answer(status=answer.status, body=body, headers=shown)

    def answer(self, fault: Fault) -> _Answer:
        """What a client is told that meets a fault of an answer."""
        if fault.kind is FaultKind.PAGE:
            return _Answer(status=200, body=_PAGE, headers=[("Content-Type", "text/html; charset=utf-8")])
        if fault.kind is FaultKind.REDIRECT:
            target = f"http://localhost:{self._foreign.port}/elsewhere"
            return _Answer(status=fault.status, headers=[("Location", target)])
        reason = _REASONS.get(fault.status, f"injected {fault.status}")
        if fault.echo:
            reason += ": " + " ".join(sorted(self.credentials))
        body = json.dumps({"error": reason, "message": reason}).encode()
        return _Answer(
            status=fault.status, body=body, headers=[("Content-Type", "application/json"), *fault.headers.items()]
        )

    def connected(self, change: int) -> None:
        """Count the connections that clients hold open."""
        with self._lock:
            self.connections += change

    def wait_for_end(self, connection: socket.socket) -> None:
        """Say nothing until the client goes, or the patience is at its end."""
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable:
                return  # closed: no client says more before it has its answer
        self.overdue = True


def _relinked(body: bytes, origin: str, to: str) -> bytes:
    """The body with another origin in its links; some write JSON with escaped slashes."""
    for old, new in ((origin, to), (origin.replace("/", "\\/"), to.replace("/", "\\/"))):
        body = body.replace(old.encode(), new.encode())
    return body


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def setup(self) -> None:
            super().setup()
            proxy.connected(1)

        def finish(self) -> None:
            proxy.connected(-1)
            try:
                super().finish()
            except OSError:
                return  # the client is gone, which is what was wanted

        def _do(self) -> None:
            request = self._request()
            fault = proxy.fate(request)
            if fault is None:
                self._send(proxy.forward(request))
                return
            answer = proxy.forward(request) if fault.apply or fault.kind is FaultKind.TRUNCATED else None
            match fault.kind:
                case FaultKind.RESET | FaultKind.REFUSE:
                    self._cut()
                case FaultKind.SILENCE:
                    proxy.wait_for_end(self.connection)
                    self._cut()
                case FaultKind.TRUNCATED if answer is not None:
                    body = answer.body or b"{}"
                    self._send(attrs.evolve(answer, body=body[: len(body) // 2]), length=len(body))
                    self.close_connection = True
                case _:
                    self._send(proxy.answer(fault))

    return Handler


class _Quiet(BaseHTTPRequestHandler):
    """Reads a request of any method, sends an answer, logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # where http.server looks for a method: WebDAV, for one, has many of its own
            return self._do
        raise AttributeError(name)

    def _do(self) -> None:
        raise NotImplementedError

    def _request(self) -> Request:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = bytearray(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        headers: Mapping[str, str] = dict(self.headers.items())
        return Request(method=self.command, path=self.path, headers=headers, body=bytes(body))

    def _send(self, answer: _Answer, length: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Nobody reads it."""


def _foreign_handler(seen: list[Request]) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def _do(self) -> None:
            seen.append(self._request())
            self._send(_Answer(status=200, body=b"{}", headers=[("Content-Type", "application/json")]))

    return Handler
