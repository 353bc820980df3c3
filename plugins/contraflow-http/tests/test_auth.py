"""Credentials reach the remote, and nothing else."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

import pytest

from contraflow_hookspecs import Change, SystemicError, TransientError, Written
from contraflow_http import write_items
from contraflow_http.auth import ClientCredentials
from contraflow_http.client import open_client
from contraflow_http.settings import OAuth2

PUT = 'endpoints: {customers: {upsert: {path: "/c/{key}"}}}'
CHANGE = Change(key=(1,), payload={})
SECRET = "s3cret:value"


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"bearer": SECRET}, "Authorization", f"Bearer {SECRET}"),
        ({"header": {"name": "X-Api-Key", "value": SECRET}}, "X-Api-Key", SECRET),
        (
            {"basic": {"username": "ünï", "password": SECRET}},
            "Authorization",
            "Basic " + base64.b64encode(f"ünï:{SECRET}".encode()).decode(),
        ),
    ],
)
def test_a_credential_is_sent_and_never_shown(remote, connect, reply, auth, name, value):
    remote.respond = lambda received: reply(401, {"message": f"refused {received.headers[name]}"})
    context = connect(PUT, auth=auth)
    with pytest.raises(SystemicError) as caught:
        write_items(items=[CHANGE], context=context)
    assert remote.received[0].headers[name] == value
    assert SECRET not in f"{caught.value} {context.settings!r}"
    assert value not in str(caught.value)


@pytest.fixture
def tokens(make_remote, reply):
    """A token server that gives out t1, t2, ..."""
    server = make_remote()
    server.respond = lambda received: reply(200, {"access_token": f"t{len(server.received)}", "expires_in": 3600})
    return server


def oauth2(tokens, **over):
    return {
        "oauth2": {
            "token_url": f"{tokens.url}/token",
            "client_id": "me",
            "client_secret": SECRET,
            "scope": "write",
            **over,
        }
    }


def test_a_token_is_fetched_once_and_used_for_all(remote, connect, tokens):
    context = connect(PUT, auth=oauth2(tokens, audience="crm"))
    write_items(items=[CHANGE], context=context)
    write_items(items=[CHANGE], context=context)
    (asked,) = tokens.received
    assert asked.path == "/token"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["write"],
        "audience": ["crm"],
    }
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"me:s3cret%3Avalue").decode()
    assert [received.headers["Authorization"] for received in remote.received] == ["Bearer t1", "Bearer t1"]


def test_the_client_may_show_itself_in_the_form(connect, tokens):
    write_items(items=[CHANGE], context=connect(PUT, auth=oauth2(tokens, credentials_in="body")))
    (asked,) = tokens.received
    assert parse_qs(asked.body.decode())["client_secret"] == [SECRET]
    assert "Authorization" not in asked.headers


def test_a_refused_token_is_renewed_once(remote, connect, reply, tokens):
    remote.respond = lambda received: reply(401 if received.headers["Authorization"] == "Bearer t1" else 200)
    assert type(write_items(items=[CHANGE], context=connect(PUT, auth=oauth2(tokens)))[0]) is Written
    assert len(tokens.received) == 2


def test_a_new_token_that_is_refused_too_is_systemic(remote, connect, reply, tokens):
    remote.respond = lambda received: reply(401)
    with pytest.raises(SystemicError, match="PUT /c/1 answered 401"):
        write_items(items=[CHANGE], context=connect(PUT, auth=oauth2(tokens)))
    assert len(remote.received) == 2


def test_a_token_is_renewed_shortly_before_its_end(tokens):
    now = [0.0]
    settings = OAuth2(token_url=f"{tokens.url}/token", client_id="me", client_secret=SECRET)
    with open_client(tokens.url) as token_client, open_client(tokens.url) as client:
        auth = ClientCredentials(settings, token_client, clock=lambda: now[0])
        for moment in (0.0, 3569.0, 3571.0):
            now[0] = moment
            client.get("/api", auth=auth)
    assert [received.headers["Authorization"] for received in tokens.received if received.path == "/api"] == [
        "Bearer t1",
        "Bearer t1",
        "Bearer t4",
    ]


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, {"error": "invalid_client", "error_description": SECRET}, SystemicError, "answered 400: invalid_client"),
        (401, {"error": f"bad {SECRET}"}, SystemicError, r"answered 401: bad \*\*\*"),
        (503, {}, TransientError, "answered 503: no reason given"),
        (500, b"", TransientError, "answered 500"),
        (200, {"token": "t"}, SystemicError, "without a usable access_token"),
        (200, {"access_token": "a\r\nb"}, SystemicError, "without a usable access_token"),
    ],
)
def test_a_token_server_that_refuses_is_reported_without_the_secret(
    remote, connect, reply, tokens, status, body, error, said
):
    tokens.respond = lambda received: reply(status, body)
    with pytest.raises(error, match=said) as caught:
        write_items(items=[CHANGE], context=connect(PUT, auth=oauth2(tokens)))
    assert SECRET not in str(caught.value)
    assert remote.received == []


def test_a_token_server_that_hangs_up_means_that_nothing_was_sent(remote, connect, reply, tokens):
    tokens.respond = lambda received: reply(hang_up=True)
    with pytest.raises(TransientError, match="no token: POST /token: no answer"):
        write_items(items=[CHANGE], context=connect(PUT, auth=oauth2(tokens)))
    assert remote.received == []
