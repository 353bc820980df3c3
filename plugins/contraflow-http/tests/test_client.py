"""The client keeps its credentials at home, and reads no more than it must."""

from __future__ import annotations

import gzip
import subprocess
import sys

import httpx
import pytest

from contraflow_hookspecs import Change, SystemicError, TransientError, Unknown, Written
from contraflow_http import check_connection, write_items
from contraflow_http.client import AnswerRefusedError, ForeignOriginError, GuardedTransport, open_client

PUT = """
auth: {bearer: secret-token}
timeout: 2
endpoints: {customers: {upsert: {path: "/c/{key}"}}}
"""
CHANGE = Change(key=(1,), payload={})


def test_a_client_talks_to_its_own_origin_only(remote, make_remote):
    other = make_remote()
    with open_client(remote.url) as client:
        for url in (other.url, remote.url.replace("http://", "https://"), other.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(ForeignOriginError):
                client.get(url)
    assert other.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_host(remote, make_remote, reply, status):
    other = make_remote()
    remote.respond = lambda received: reply(status, b"", {"Location": other.url + received.path})
    with open_client(remote.url) as client:
        assert client.get("/c").status_code == status
        assert client.post("/c", json={}).status_code == status
    assert other.received == []
    assert len(remote.received) == 2


@pytest.mark.parametrize(
    ("status", "methods"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "GET PUT"), (308, "GET PUT")]
)
def test_redirects_within_the_origin_are_followed_where_that_changes_nothing(remote, reply, status, methods):
    remote.respond = lambda received: (
        reply(200) if received.path == "/new" else reply(status, b"", {"Location": "/new"})
    )
    with open_client(remote.url, headers={"X-Key": "k"}) as client:
        answered = {method: client.request(method, "/old", json={"a": 1}).status_code for method in ("GET", "PUT")}
    assert " ".join(method for method, code in answered.items() if code == 200) == methods
    for received in remote.received:
        assert received.headers["X-Key"] == "k"
        assert received.json == {"a": 1}


def test_a_circle_of_redirects_ends(remote, reply):
    remote.respond = lambda received: reply(307, b"", {"Location": received.path})
    with open_client(remote.url) as client:
        assert client.get("/round").status_code == 307
    assert len(remote.received) == 6


def test_a_refused_redirect_is_systemic_and_names_no_query(remote, connect, reply):
    remote.script(reply(308, b"", {"Location": "https://login.example/?token=t"}))
    with pytest.raises(SystemicError, match="PUT /c/1 answered 308: a redirect that is not followed") as caught:
        write_items(items=[CHANGE], context=connect(PUT.replace("{key}", "{key}?dry=no")))
    assert "?" not in str(caught.value)
    assert remote.paths == ["PUT /v1/c/1?dry=no"]


def test_an_oversized_answer_is_left_unread(remote, connect, reply):
    remote.script(reply(200, b"x" * 2048))
    (result,) = write_items(items=[CHANGE], context=connect(PUT, max_answer=1024))
    assert result == Unknown(key=(1,), reason="PUT /c/1: no answer: the answer is larger than 1024 bytes")


def test_a_compressed_answer_is_neither_asked_for_nor_read(remote, reply):
    remote.script(reply(200, gzip.compress(b"0" * 10_000_000), {"Content-Encoding": "gzip"}))
    with open_client(remote.url) as client, pytest.raises(AnswerRefusedError, match="compressed"):
        client.get("/")
    assert remote.received[0].headers["Accept-Encoding"] == "identity"


def test_an_answer_that_drips_is_given_up():
    class Dripping(httpx.SyncByteStream):
        def __iter__(self):
            yield from [b"x"] * 10

    ticks = iter(range(0, 100, 10))
    transport = GuardedTransport(
        httpx.MockTransport(lambda request: httpx.Response(200, stream=Dripping())),
        origin=httpx.URL("http://crm.example"),
        clock=lambda: next(ticks),
    )
    with httpx.Client(transport=transport, timeout=10) as client, pytest.raises(httpx.ReadTimeout):
        client.get("http://crm.example/")


def test_a_certificate_of_an_unknown_authority_is_refused(make_remote, connect, tls):
    server, _ = tls
    secure = make_remote(server)
    with pytest.raises(SystemicError, match="certificate is not trusted"):
        write_items(items=[CHANGE], context=connect(PUT, url=secure.url))
    assert secure.received == []


def test_a_certificate_of_the_given_authority_is_trusted(make_remote, connect, tls):
    server, ca_file = tls
    secure = make_remote(server)
    context = connect(PUT, url=secure.url, ca_file=ca_file)
    assert type(write_items(items=[CHANGE], context=context)[0]) is Written


def test_a_certificate_for_another_name_is_refused(make_remote, connect, tls):
    server, ca_file = tls
    secure = make_remote(server)
    context = connect(PUT, url=secure.url.replace("127.0.0.1", "localhost"), ca_file=ca_file)
    with pytest.raises(SystemicError, match="certificate is not trusted"):
        write_items(items=[CHANGE], context=context)


def test_tls_to_a_plain_server_is_transient(remote, connect):
    with pytest.raises(TransientError):
        write_items(items=[CHANGE], context=connect(PUT, url=remote.url.replace("http:", "https:")))


def test_a_ca_file_that_is_not_there_is_named(connect):
    with pytest.raises(SystemicError, match=r"ca_file '/nowhere/ca\.pem' cannot be read: No such file"):
        connect(PUT, ca_file="/nowhere/ca.pem")


def test_the_environment_names_no_proxy(remote, make_remote, monkeypatch):
    proxy = make_remote()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    with open_client(remote.url) as client:
        client.get("/")
    assert len(remote.received) == 1
    assert proxy.received == []


def test_any_answer_means_that_the_remote_can_be_reached(remote, connect, reply):
    remote.script(reply(405), reply(500, b"", {"Server": "acme/4"}))
    assert check_connection(context=connect(PUT)).startswith("127.0.0.1 answered 500 (")
    assert remote.paths == ["HEAD /v1", "GET /v1"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_fails_the_check(remote, connect, reply, status):
    remote.respond = lambda received: reply(status)
    with pytest.raises(SystemicError, match=f"answered {status}"):
        check_connection(context=connect(PUT))


def test_the_plugin_imports_the_contract_and_not_the_engine():
    code = "import sys, contraflow_http; print([n for n in sys.modules if n == 'contraflow' or n.startswith('contraflow.')])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
