"""What the base tells authors of connectors about statuses, and where answers hold what."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow_hookspecs import PermanentError, SystemicError, TransientError
from contraflow_http.answer import MISSING, Answer, find, parse_json
from contraflow_http.client import open_client
from contraflow_http.errors import AmbiguousError, connector_error, hide, raise_for_status, reason_of, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_remotes_clock(headers, seconds):
    assert retry_after(httpx.Headers(headers)) == seconds


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, SystemicError),
        (401, SystemicError),
        (429, TransientError),
        (425, TransientError),
        (404, PermanentError),
        (409, PermanentError),
        (500, AmbiguousError),
    ],
)
def test_authors_get_the_contracts_error_for_a_status(remote, reply, status, error):
    remote.script(reply(status, {"title": "no"}, {"Retry-After": "2"}))
    with open_client(remote.url) as client, pytest.raises(error, match=f"GET /a answered {status}") as caught:
        raise_for_status(client.get("/a", params={"token": "t"}))
    assert getattr(caught.value, "retry_after", 2) == 2
    assert getattr(caught.value, "code", f"http_{status}") == f"http_{status}"


def test_a_success_is_no_error(remote, reply):
    remote.script(reply(204))
    with open_client(remote.url) as client:
        raise_for_status(client.get("/"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectTimeout(""), TransientError),
        (httpx.ReadTimeout("timed out"), AmbiguousError),
        (httpx.WriteError("broken pipe"), AmbiguousError),
        (httpx.RemoteProtocolError("gone"), AmbiguousError),
        (httpx.LocalProtocolError("bad header"), PermanentError),
    ],
)
def test_authors_get_the_contracts_error_for_a_failed_request(error, expected):
    assert type(connector_error(error, "POST", "/a?token=t")) is expected
    assert "token" not in str(connector_error(error, "POST", "/a?token=t"))


BODY = {"data": {"id": 7, "a/b": {"~": True}, "list": [{"x": None}], "": "empty"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", BODY),
        ("data.id", 7),
        ("/data/id", 7),
        ("/data/a~1b/~0", True),
        ("data.list.0.x", None),
        ("/data/", "empty"),
        ("data.list.1", MISSING),
        ("data.list.-1", MISSING),
        ("data.id.more", MISSING),
        ("nothing", MISSING),
    ],
)
def test_places_in_an_answer(path, value):
    assert find(BODY, path) == value


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"\xff", b"1" * 5000])
def test_what_is_no_json_is_missing(content):
    assert parse_json(content) is MISSING


@given(st.text())
def test_a_reason_is_one_printable_line(text):
    reason = reason_of(Answer(status=400, body={"message": text}))
    assert reason.isprintable()
    assert len(reason) <= 300


def test_the_configured_place_comes_before_the_usual_ones():
    answer = Answer(status=400, body={"message": "usual", "why": "configured"})
    assert (reason_of(answer, "why"), reason_of(answer, "absent"), reason_of(Answer(status=400))) == (
        "configured",
        "usual",
        "",
    )


def test_longer_secrets_are_hidden_before_those_that_they_contain():
    assert hide("token abcdef, abcd", ["abcd", "abcdef", "a"]) == "token ***, ***"
