"""A remote that fails as it is told, and remembers everything: a real HTTP server in a process of its own.

    python -m contraflow.testing.fault_remote [--log FILE] [--script FILE] [--port 0] [--control-port 0]

It prints one line of JSON with its two addresses and its log, and runs until it is ended.
:mod:`contraflow.testing.remote.store` says what it serves, :mod:`~contraflow.testing.remote.script` how it fails,
:mod:`~contraflow.testing.remote.effect_log` what it writes down. Many items go in one request by

* ``POST /CLASS/batch``: ``{"requests": [{method, path, headers, body}]}`` for ``{"responses": [{status, headers, body}]}``
* ``POST /CLASS/bulk``: a list of records for a list of ``{key, remote_id, status, error}``

and are applied one after the other, never as one. The control address, which no fault touches, answers ``GET /log``,
``GET /state`` and ``GET /pending`` (how many requests are still at work), takes a new script by ``PUT /script``, and
forgets everything by ``PUT /reset``.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from contraflow.testing.remote.effect_log import EffectLog, read_log
from contraflow.testing.remote.exchange import Answer, CutError, Exchange, Remote, json_answer
from contraflow.testing.remote.script import Script
from contraflow.testing.remote.store import Store

_RESET = struct.pack("ii", 1, 0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that die are what this is for."""


def _handler(remote: Remote) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 65536

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            if len(raw) < length:  # the client died in the middle of its request
                self.close_connection = True
                return
            try:
                exchange = Exchange(
                    remote, self.command, self.path, dict(self.headers), json.loads(raw) if raw else None
                )
            except (ValueError, KeyError, TypeError):
                self._send(json_answer(400, {"error": "not understood"}))
                return
            try:
                answer = exchange.run(self._gone)
            except CutError:
                self._reset()
                return
            finally:
                remote.end()
            self._send(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 - the names that http.server wants

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
            self.close_connection = self.close_connection or answer.length is not None

        def _gone(self) -> bool:
            try:
                waiting: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True
            return not waiting

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
            """The effect log is enough."""

    return Handler


def _control(remote: Remote) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked: dict[str, Callable[[], Any]] = {
                "/log": lambda: list(read_log(remote.log_path)),
                "/state": remote.store.state,
                "/pending": lambda: remote.pending,
            }
            found = asked[self.path]() if self.path in asked else None
            self._send(200 if found is not None else 404, found)

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/reset":
                remote.log.clear()
                remote.store = Store(remote.log)
            try:
                remote.script = Script(body)
            except ValueError as error:
                self._send(400, str(error))
                return
            with remote.lock:
                remote.writes = remote.reads = 0  # a script's numbers count from its own beginning
            self._send(200, None)

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
            """The effect log is enough."""

    return Handler


def _serve(remote: Remote, server: _Server) -> None:
    """Serve for ever, and close the listening socket for a while whenever a request asks for it."""
    address = server.server_address
    while True:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        remote.refusing.wait()
        server.shutdown()
        server.server_close()
        thread.join()
        time.sleep(remote.refuse_for)
        remote.refusing.clear()
        server = _Server((str(address[0]), int(address[1])), _handler(remote))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the remote until it is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m contraflow.testing.fault_remote", description="A remote that fails as it is told."
    )
    parser.add_argument("--port", type=int, default=0, help="where it serves; a free port by default")
    parser.add_argument("--control-port", type=int, default=0, help="where it is controlled; a free port by default")
    parser.add_argument("--log", type=Path, help="the file of its effect log; a temporary one by default")
    parser.add_argument("--script", type=Path, help="a JSON file with its script; without one all goes well")
    options = parser.parse_args(arguments)
    if options.log is None:
        options.log = Path(tempfile.mkdtemp(prefix="fault-remote-")) / "effects.jsonl"
    options.log.touch()
    log = EffectLog(options.log)
    script = Script(json.loads(options.script.read_text()) if options.script else {})
    remote = Remote(log_path=options.log, log=log, script=script, store=Store(log))
    server = _Server(("127.0.0.1", options.port), _handler(remote))
    control = _Server(("127.0.0.1", options.control_port), _control(remote))
    threading.Thread(target=control.serve_forever, daemon=True).start()
    addresses = {
        "url": f"http://127.0.0.1:{server.server_address[1]}",
        "control": f"http://127.0.0.1:{control.server_address[1]}",
        "log": str(options.log),
    }
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()
    _serve(remote, server)


if __name__ == "__main__":
    main()
