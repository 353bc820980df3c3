"""A remote that fails as it is told, and remembers everything: a real HTTP server in a process of its own.

    python fault_remote.py --log FILE [--script FILE] [--port 0] [--control-port 0]

It prints one line of JSON with its two addresses, and runs until it is ended. :mod:`remote_store` says what it serves,
:mod:`remote_script` how it fails, :mod:`effect_log` what it writes down. Many items go in one request by

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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
from effect_log import EffectLog, read_log
from remote_script import Rule, Script
from remote_store import Call, Reply, Store

_RESET = struct.pack("ii", 1, 0)


class _Cut(Exception):  # noqa: N818 - no error: how a scripted reset leaves the handling of a request
    """The connection is reset instead of an answer."""


@attrs.frozen(kw_only=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    length: int | None = None
    """The length that is told, where it is not the true one."""


@attrs.define
class Remote:
    """All that the connections share."""

    log_path: Path
    log: EffectLog
    script: Script
    store: Store
    pending: int = 0
    writes: int = 0
    reads: int = 0
    requests: int = 0
    refuse_for: float = 0.0
    refusing: threading.Event = attrs.field(factory=threading.Event)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def begin(self, *, read: bool) -> tuple[int, int]:
        """Count a request: its number among all, and among those of its sort."""
        with self.lock:
            self.pending += 1
            self.requests += 1
            if read:
                self.reads += 1
            else:
                self.writes += 1
            return self.requests, self.reads if read else self.writes

    def end(self) -> None:
        with self.lock:
            self.pending -= 1

    def refuse(self, seconds: float) -> None:
        self.refuse_for = seconds
        self.refusing.set()


class _Exchange:
    """One request, from what was received to what is answered."""

    def __init__(self, remote: Remote, method: str, path: str, headers: Mapping[str, str], body: Any) -> None:
        self.remote, self.method, self.path = remote, method, path
        parts = path.strip("/").split("/")
        self.kind, self.route, self.target = (*parts, "", "", "")[:3]
        self.bulk = method != "GET" and self.route == "bulk"
        self.batch = method != "GET" and self.route == "batch"
        self.calls = [] if method == "GET" else self._calls(headers, body)
        self.number, self.count = remote.begin(read=method == "GET")

    def _calls(self, headers: Mapping[str, str], body: Any) -> list[Call]:
        if self.batch:
            return [
                self._call(each["method"], each["path"], each.get("headers", {}), each.get("body"))
                for each in body["requests"]
            ]
        if self.bulk:
            return [self._bulk_call(record) for record in body]
        return [self._call(self.method, self.path, headers, body)]

    def _call(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Call:
        kind, _, target = (*path.strip("/").split("/"), "", "")[:3]
        key = next((value for name, value in headers.items() if name.lower() == "idempotency-key"), None)
        return Call(kind=kind, method=method, target=target, key=key, payload=body or {})

    def _bulk_call(self, record: Mapping[str, Any]) -> Call:
        payload = {name: value for name, value in record.items() if name != "remote_id"}
        if self.kind == "b":
            return Call(kind="b", method="PUT", target=str(record["id"]), key=None, payload=payload)
        target = record.get("remote_id", "") if self.kind == "c" else ""
        return Call(kind=self.kind, method="PATCH" if target else "POST", target=target, key=None, payload=payload)

    def run(self, gone: Callable[[], bool]) -> Answer:
        """Apply and answer as the script wants it.

        Args:
            gone: Whether the client is no longer there, as far as the remote can see.

        Raises:
            _Cut: The connection is to be reset.
        """
        remote, read = self.remote, self.method == "GET"
        items = [
            {
                "record": str(call.payload.get("id", call.target)),
                "key": call.key,
                "sent": call.payload,
                "to": call.target,
            }
            for call in self.calls
        ]
        records = [str(item["record"]) for item in items] or [self.target]
        rule = remote.script.fate(self.count, self.method, self.path, records, read=read)
        told = {"request": self.number, "kind": self.kind}
        remote.log.write("received", **told, number=self.count, method=self.method, path=self.path, items=items)
        fault = rule.get("fault", "none")
        try:
            answer, outcomes = self._answer(rule, fault)
        except _Cut:
            remote.log.write("fate", **told, fault=fault, status=None)
            raise
        asked = answer.headers.get("Retry-After")
        remote.log.write(
            "fate", **told, fault=fault, status=answer.status, outcomes=outcomes, retry_after=asked, gone=gone()
        )
        return answer

    def _answer(self, rule: Rule, fault: str) -> tuple[Answer, list[int]]:
        remote = self.remote
        seconds = remote.script.seconds(rule, self.count)
        if fault == "refuse":
            remote.refuse(seconds)
            raise _Cut
        if fault == "reset_before":
            raise _Cut
        if fault == "status" and not rule.get("apply"):
            return _status(rule), []
        if fault == "too_large" and len(self.calls) > rule["above"]:
            return _json(413, {"error": f"at most {rule['above']} items"}), []
        if fault == "delay_before":
            if rule.get("reset"):
                threading.Thread(target=self._apply_later, args=(seconds,), daemon=True).start()
                raise _Cut
            time.sleep(seconds)
        replies = self._apply(rule)
        if fault == "reset_after":
            raise _Cut
        if fault == "delay_after":
            time.sleep(seconds)
        outcomes = [reply.status for reply in replies]
        if fault == "status":
            return _status(rule), outcomes
        if fault == "not_json":
            return Answer(status=200, body=b"<html>It works!</html>", headers={"Content-Type": "text/html"}), outcomes
        answer = self._shaped(replies, fault)
        if fault == "truncated":
            half = answer.body[: len(answer.body) // 2]
            return attrs.evolve(answer, body=half, length=len(answer.body)), outcomes
        return answer, outcomes

    def _apply_later(self, seconds: float) -> None:
        with self.remote.lock:
            self.remote.pending += 1
        time.sleep(seconds)
        self._apply({})
        self.remote.end()

    def _apply(self, rule: Rule) -> list[Reply]:
        store, pace = self.remote.store, self.remote.script.pace
        if self.method == "GET":
            return [store.read(self.kind, self.route, self.target, self.number)]
        rejected = rule.get("reject", ()) if rule.get("fault") == "mixed" else ()
        replies = []
        for call in self.calls[: rule.get("items")] if rule.get("fault") == "reset_after" else self.calls:
            if pace:
                time.sleep(pace)
            if str(call.payload.get("id", call.target)) in rejected:
                replies.append(Reply(status=422, body={"error": "not this one"}))
            else:
                replies.append(store.apply(call, self.number))
        return replies

    def _shaped(self, replies: Sequence[Reply], fault: str) -> Answer:
        if fault == "wrong_id":
            replies = [attrs.evolve(reply, body={**reply.body, "remote_id": "nobody"}) for reply in replies]
        if not (self.batch or self.bulk):
            return _json(replies[0].status, replies[0].body, replies[0].headers)
        if self.batch:
            entries = [attrs.asdict(reply) for reply in replies]
        else:
            entries = [
                {
                    "key": str(call.payload.get("id")),
                    "remote_id": reply.body.get("remote_id"),
                    "status": reply.status,
                    "error": reply.body.get("error"),
                }
                for call, reply in zip(self.calls, replies, strict=True)
            ]
        entries = _spoilt(entries, fault)
        status = 207 if fault == "mixed" else 200
        return _json(status, {"responses": entries} if self.batch else entries)


def _spoilt(entries: list[dict[str, Any]], fault: str) -> list[dict[str, Any]]:
    match fault:
        case "missing":
            return entries[:-1]
        case "doubled":
            return [entries[0], *entries] if len(entries) == 1 else [entries[0], entries[0], *entries[2:]]
        case "foreign":
            if "headers" in entries[-1]:  # matched by position: only one too many is foreign
                return [*entries, entries[-1]]
            return [*entries[:-1], {**entries[-1], "key": "nobody's"}]
        case "reordered":
            return entries[::-1]
    return entries


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    shown = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status=status, body=json.dumps(body).encode(), headers=shown)


def _status(rule: Rule) -> Answer:
    headers: dict[str, str] = {}
    now = time.time() + rule.get("clock", 0.0)
    after = str(rule.get("retry_after", ""))
    if after.startswith("date:"):
        after = formatdate(int(now) + float(after.removeprefix("date:")), usegmt=True)
    if after:
        headers = {"Retry-After": after, "Date": formatdate(int(now), usegmt=True)}
    return _json(rule["status"], {"error": f"scripted {rule['status']}"}, headers)


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
                exchange = _Exchange(
                    remote, self.command, self.path, dict(self.headers), json.loads(raw) if raw else None
                )
            except (ValueError, KeyError, TypeError):
                self._send(_json(400, {"error": "not understood"}))
                return
            try:
                answer = exchange.run(self._gone)
            except _Cut:
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
                return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

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
            found: Any = {
                "/log": lambda: list(read_log(remote.log_path)),
                "/state": remote.store.state,
                "/pending": lambda: remote.pending,
            }.get(self.path, lambda: None)()
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
    parser = argparse.ArgumentParser(description="A remote that fails as it is told.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--script", type=Path)
    options = parser.parse_args(arguments)
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
    }
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()
    _serve(remote, server)


if __name__ == "__main__":
    main()
