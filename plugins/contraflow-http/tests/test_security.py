"""S13, S5: what comes from data cannot change where a request goes, nor end a header; secrets in headers are hidden."""

from __future__ import annotations

import cattrs
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contraflow_hookspecs import Change, Rejected
from contraflow_http import write_items

PUT = """
timeout: 2
idempotency_header: Idempotency-Key
headers: {X-Api-Key: header-secret-1234}
endpoints: {customers: {upsert: {path: "/c/{key}/x"}, version: "header:ETag", if_match: true}}
"""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(min_size=1, max_size=20), version=st.text(min_size=1, max_size=20))
def test_s13_no_value_splits_a_request(remote, connect, key, version):
    remote.received.clear()
    change = Change(key=(key,), payload={}, remote_id="r", remote_version=version, idempotency_key="cf1-abc")
    (result,) = write_items(items=[change], context=connect(PUT))
    if not remote.received:
        assert isinstance(result, Rejected)
        return
    (received,) = remote.received
    assert received.method == "PUT"
    assert received.path.startswith("/v1/c/")
    assert received.path.endswith("/x")
    assert received.path.count("/") == 4
    assert httpx.URL(received.path).path == f"/v1/c/{key}/x"
    assert received.headers.keys() <= {
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "X-Api-Key", "Idempotency-Key", "If-Match",
        "Content-Type", "Content-Length",
    }  # fmt: skip


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\x00b", " a", "\x80"])
def test_s13_a_header_of_the_settings_cannot_hold_a_line_end(connect, value):
    with pytest.raises(cattrs.ClassValidationError) as caught:
        connect(PUT, headers={"X-Api-Key": value})
    assert any("holds a line break, another control character" in str(each) for each in caught.value.exceptions)


def test_s5_a_secret_in_a_header_is_hidden_before_the_reason_is_cut(remote, connect, reply):
    """Cut first, it would be no secret any more that anybody knows by its value."""
    remote.script(reply(422, {"message": "x" * 290 + "header-secret-1234 is not known"}))
    (result,) = write_items(items=[Change(key=(1,), payload={})], context=connect(PUT))
    assert "header-sec" not in result.reason
    assert "***" in result.reason
