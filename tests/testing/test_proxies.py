"""The proxies that make faults: what they pass on is unchanged, and what they break is broken as they are told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from contraflow.testing import Fault, FaultKind, FaultProxy, Request, TcpProxy

ONE = {"id": 1, "name": "Ana"}


def is_write(request: Request) -> bool:
    return request.method not in ("GET", "HEAD")


@pytest.fixture
def proxy(fault_remote) -> Iterator[FaultProxy]:
    with FaultProxy(f"{fault_remote.url}/b", concerns=is_write, patience=0.3) as proxy:
        yield proxy


@pytest.fixture
def client(proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=2, trust_env=False, auth=("sync", "a-secret")) as client:
        yield client


def test_what_is_well_passes_unchanged(proxy, client, fault_remote):
    direct = httpx.put(f"{fault_remote.url}/b/records/1", json=ONE, trust_env=False)
    through = client.put("/records/1", json=ONE)
    assert (through.status_code, through.headers["ETag"], through.json()) == (200, '"2"', direct.json())
    assert client.get("/records/9").status_code == 404
    assert client.put("/records/2", content=iter([b'{"id"', b": 2}"])).status_code == 201  # in chunks
    assert fault_remote.state()["b/2"]["payload"] == {"id": 2}
    assert proxy.requests == 3


@pytest.mark.parametrize("method", ["REPORT", "PROPFIND", "MKCALENDAR"])
def test_methods_that_few_remotes_know_are_passed_on(method):
    class Remote(BaseHTTPRequestHandler):
        def answer(self):
            body = f"{self.command} {self.rfile.read(int(self.headers['Content-Length'])).decode()}".encode()
            self.send_response(207)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    setattr(Remote, f"do_{method}", Remote.answer)
    with HTTPServer(("127.0.0.1", 0), Remote) as server:
        server.timeout = 5
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        with FaultProxy(f"http://127.0.0.1:{server.server_port}", concerns=is_write) as proxy:
            answer = httpx.request(method, f"{proxy.url}/book/", content="<d:prop/>", trust_env=False)
        serving.join()
    assert (answer.status_code, answer.text) == (207, f"{method} <d:prop/>")


def test_links_lead_through_the_proxy():
    """As a remote with pages links them, in a header or in its answer; and what is linked back is the remote's own."""

    class Remote(BaseHTTPRequestHandler):
        def do_POST(self):
            origin = f"http://127.0.0.1:{self.server.server_port}"
            asked.append((self.headers["Destination"], self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = json.dumps({"next": f"{origin}/?page=2", "escaped": "@"}).replace(
                "@", f"{origin}/3".replace("/", "\\/")
            )
            self.send_response(200)
            self.send_header("Next-Page", f"{origin}/?page=2")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments):
            pass

    asked = []
    with HTTPServer(("127.0.0.1", 0), Remote) as server:
        server.timeout = 5
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        with FaultProxy(f"http://127.0.0.1:{server.server_port}/", concerns=is_write) as proxy:
            headers = {"Destination": f"{proxy.url}new"}
            answer = httpx.post(proxy.url, json={"parent": f"{proxy.url}9"}, headers=headers, trust_env=False)
            assert answer.headers["Next-Page"] == answer.json()["next"] == f"{proxy.url}?page=2"
            assert answer.json()["escaped"] == f"{proxy.url}3"
        serving.join()
        own = f"http://127.0.0.1:{server.server_port}/"
    assert asked == [(f"{own}new", json.dumps({"parent": f"{own}9"}, separators=(",", ":")))]


def test_faults_are_for_writes_and_as_often_as_they_should(proxy, client):
    proxy.inject(Fault(kind=FaultKind.STATUS, status=503, headers={"Retry-After": "7"}, after=1, times=1))
    statuses = [client.put("/records/1", json=ONE).status_code for _ in range(3)]
    assert statuses == [201, 503, 200]
    assert proxy.hits == 1
    proxy.inject(Fault(kind=FaultKind.STATUS, status=401, echo=True, reads=True))
    answer = client.get("/records/1")
    assert (answer.status_code, "Basic c3luYzphLXNlY3JldA==" in answer.text) == (401, True)
    proxy.clear()
    assert client.get("/records/1").status_code == 200


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.SILENCE])
def test_no_answer_comes_before_or_after_it_was_carried_out(proxy, client, fault_remote, kind, apply):
    proxy.inject(Fault(kind=kind, apply=apply))
    with pytest.raises(httpx.RequestError):
        client.put("/records/1", json=ONE, timeout=0.1)
    assert len(fault_remote.state()) == apply
    assert not proxy.overdue


def test_a_client_without_a_timeout_is_overdue(proxy, client):
    proxy.inject(Fault(kind=FaultKind.SILENCE))
    with pytest.raises(httpx.RequestError):
        client.put("/records/1", json=ONE, timeout=None)
    assert proxy.overdue


def test_half_of_an_answer(proxy, client, fault_remote):
    proxy.inject(Fault(kind=FaultKind.TRUNCATED))
    with pytest.raises(httpx.RemoteProtocolError):
        client.put("/records/1", json=ONE)
    assert len(fault_remote.state()) == 1


def test_a_redirect_leads_to_another_host_that_remembers_who_came(proxy, client):
    proxy.inject(Fault(kind=FaultKind.REDIRECT, status=307))
    answer = client.put("/records/1", json=ONE)
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith("http://localhost:")
    client.put("/records/1", json=ONE, follow_redirects=True)
    (stranger,) = proxy.strangers
    assert stranger.method == "PUT"


def test_a_refused_connection_comes_back_at_the_same_address(proxy, client):
    proxy.inject(Fault(kind=FaultKind.REFUSE))
    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy.url, trust_env=False)
    proxy.clear()
    assert client.get("/records").status_code == 200


@pytest.fixture
def echo() -> Iterator[Callable[[], list[bytes]]]:
    """A server that says back what it hears; the address, and what it has heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(100):
                    heard.append(data)
                    connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield lambda: (listener.getsockname()[1], heard)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def said(port: int, word: bytes, timeout: float = 2.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(word)
        return connection.recv(100)


def test_any_protocol_is_broken_before_and_after(echo):
    port, heard = echo()
    with TcpProxy(f"any://user:word@127.0.0.1:{port}/x", concerns=lambda r: r.body == b"write", patience=0.3) as proxy:
        assert proxy.url.startswith("any://user:word@127.0.0.1:")
        ours = int(proxy.url.rpartition(":")[2].partition("/")[0])
        assert said(ours, b"read") == b"read"
        for apply in (False, True):
            heard.clear()
            proxy.inject(Fault(kind=FaultKind.RESET, apply=apply))
            assert said(ours, b"read") == b"read"
            with pytest.raises(ConnectionError):
                said(ours, b"write")
            assert heard == [b"read", *([b"write"] if apply else [])]
        proxy.inject(Fault(kind=FaultKind.SILENCE))
        with pytest.raises(TimeoutError):
            said(ours, b"write", timeout=0.1)
        assert not proxy.overdue
        assert said(ours, b"write", timeout=5) == b""  # nobody waits for ever
        assert proxy.overdue
        proxy.inject(Fault(kind=FaultKind.REFUSE))
        with pytest.raises(ConnectionRefusedError):
            said(ours, b"write")
        proxy.clear()
        assert said(ours, b"write") == b"write"
        end = time.monotonic() + 2
        while proxy.connections and time.monotonic() < end:
            time.sleep(0.01)
        assert proxy.connections == 0


def test_a_url_without_a_port_cannot_be_stood_before():
    with pytest.raises(ValueError, match="a URL with a host and a port is needed"):
        TcpProxy("sqlite:///x.db", concerns=is_write)
