"""A real HTTP server on loopback whose answers a test scripts, and the connector pointed at it."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest
import trustme
import yaml

import contraflow_http
from contraflow_hookspecs import StepContext
from contraflow_http.connector import open_resources

sys.path.insert(0, str(Path(__file__).parent))  # for private_kinto


@attrs.frozen(kw_only=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.frozen
class Reply:
    """What the remote answers: JSON, or bytes as they are; or it hangs up, or keeps silent."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    hang_up: bool = False
    silent: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that break off are what some tests are about."""


class Remote:
    """The scripted remote. ``respond`` is called for each request; ``received`` lists them all."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.respond: Callable[[Received], Reply] = lambda received: Reply(200, {})
        self.received: list[Received] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        scheme = "http"
        if tls is not None:
            scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def script(self, *replies: Reply) -> None:
        """Answer with these, one after another."""
        waiting = iter(replies)
        self.respond = lambda received: next(waiting)

    @property
    def paths(self) -> list[str]:
        return [f"{received.method} {received.path}" for received in self.received]

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(remote: Remote) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5
        wbufsize = -1  # one packet an answer: two would wait for each other (Nagle, delayed acknowledgement)

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received = Received(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            remote.received.append(received)
            reply = remote.respond(received)
            if reply.silent:
                remote.stopping.wait()
            if reply.hang_up or reply.silent:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self._answer(reply)

        def _answer(self, reply: Reply) -> None:
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by the standard library

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def make_remote() -> Iterator[Callable[..., Remote]]:
    with ExitStack() as stack:

        def make(tls: ssl.SSLContext | None = None) -> Remote:
            remote = Remote(tls)
            stack.callback(remote.close)
            return remote

        yield make


@pytest.fixture
def remote(make_remote: Callable[..., Remote]) -> Remote:
    return make_remote()


@pytest.fixture
def structure() -> Callable[..., contraflow_http.Settings]:
    """Settings out of YAML, strictly, as the engine makes them."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def make(text: str, **over: Any) -> contraflow_http.Settings:
        return converter.structure({**yaml.safe_load(text), **over}, contraflow_http.Settings)

    return make


@pytest.fixture
def connect(remote: Remote, structure: Callable[..., contraflow_http.Settings]) -> Iterator[Callable[..., StepContext]]:
    """``connect(yaml, **settings)`` is the context of a step named ``customers`` at the remote, its client open."""
    with ExitStack() as stack:

        def make(text: str, *, parameters: Mapping[str, Any] | None = None, **over: Any) -> StepContext:
            settings = structure(text, **{"url": f"{remote.url}/v1", **over})
            client = stack.enter_context(open_resources(settings))
            return StepContext(
                integration="crm",
                job="http",
                step="customers",
                execution_id=1,
                settings=settings,
                resource=client,
                parameters=parameters or {},
            )

        yield make


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context for 127.0.0.1, and the file of the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return context, str(ca_file)
