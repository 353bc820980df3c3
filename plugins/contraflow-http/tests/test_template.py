"""Whatever an item's key holds, it names one resource below the template's path, or is refused."""

from __future__ import annotations

from datetime import date
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow_hookspecs import Change, ItemError, SystemicError
from contraflow_http.template import parse_path, parse_text

TEMPLATE = parse_path("/v1/customers/{key[0]}/lines/{key[1]}")


@given(key=st.tuples(st.text(), st.text()))
def test_a_key_fills_its_own_segment_and_nothing_else(key):
    try:
        path = TEMPLATE.path(Change(key=key))
    except ItemError:
        return
    # As httpx would send it, joined to a base URL.
    with httpx.Client(base_url="https://crm.example/api") as client:
        url = client.build_request("GET", path).url
    assert url.host == "crm.example"
    assert url.query == b""
    sent = url.raw_path.decode("ascii").split("/")
    assert [unquote(segment) for segment in sent] == ["", "api", "v1", "customers", key[0], "lines", key[1]]


@given(
    left=st.tuples(st.text(min_size=1), st.text(min_size=1)), right=st.tuples(st.text(min_size=1), st.text(min_size=1))
)
def test_different_keys_have_different_paths(left, right):
    try:
        paths = [TEMPLATE.path(Change(key=key)) for key in (left, right)]
    except ItemError:
        return
    assert (paths[0] == paths[1]) == (left == right)


@pytest.mark.parametrize("value", [None, "", ".", "..", "a\r\nb", "a\x00b", "\ud800", {}, float("nan"), "x" * 9000])
def test_a_value_that_would_lead_elsewhere_is_refused(value):
    with pytest.raises(ItemError):
        parse_path("/customers/{key}").path(Change(key=(value,)))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (7, "/c/7"),
        (True, "/c/true"),
        (date(2026, 1, 2), "/c/2026-01-02"),
        (UUID(int=1), "/c/00000000-0000-0000-0000-000000000001"),
        ("a/b?c#d%e", "/c/a%2Fb%3Fc%23d%25e"),
        ("..%2f", "/c/..%252f"),
        ("Ñ", "/c/%C3%91"),
    ],
)
def test_values_are_percent_encoded(value, path):
    assert parse_path("/c/{key}").path(Change(key=(value,))) == path


def test_remote_ids_and_payload_fields_fill_a_path_too():
    change = Change(key=(1,), remote_id="r 1", payload={"list": "a&b"})
    assert parse_path("/lists/{list}/{remote_id}?strict=yes").path(change) == "/lists/a%26b/r%201?strict=yes"


def test_a_template_of_text_is_not_encoded():
    assert parse_text("{key[0]}/{key[1]}").text(Change(key=("a", "b"))) == "a/b"


@pytest.mark.parametrize("source", ["/c/{key}", "/c/{key[2]}"])
def test_a_template_that_does_not_fit_the_key_says_what_would(source):
    with pytest.raises(SystemicError, match=r"expected \{key\[0\]\} and \{key\[1\]\}"):
        parse_path(source).path(Change(key=(1, 2)))


@pytest.mark.parametrize(
    "source",
    [
        "customers",
        "",
        "//evil.example/c",
        "https://evil.example/",
        "/c/{",
        "/c/}",
        "/c/{}",
        "/a/../b",
        "/a b",
        "/c\r\nX: 1",
        "/ñ",
    ],
)
def test_a_malformed_template_is_refused(source):
    with pytest.raises(ValueError, match=r"path|brace|\{\}"):
        parse_path(source)
