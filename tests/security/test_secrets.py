"""S5: secrets are hidden by value, in any structure and spelling. tests/cli/test_secrets.py has the whole program."""

from __future__ import annotations

import base64
import json
import logging
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.redaction import RedactingFormatter, Redactor

SECRET = "hunter2/pass+word?"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("user", ["", "u", "us", "ana", "ana@example.org"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_s5_base64_wherever_the_secret_begins(user, encode):
    credential = encode(f"{user}:{SECRET}:more".encode()).decode()
    shown = Redactor([SECRET])(f"Basic {credential}")
    assert re.fullmatch(r"Basic [\w=+/-]*\*\*\*[\w=+/-]*", shown)
    assert len(shown) <= len(credential) - 13


@given(st.text(min_size=8, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_s5_no_part_of_base64_that_is_the_secrets_alone_is_left(secret: str, before: bytes, after: bytes):
    if "://" in secret:
        return
    content = before + secret.encode() + after
    shown = Redactor([secret])(base64.b64encode(content).decode())
    assert shown.count("*") >= 3


def test_s5_the_lines_of_a_key_that_is_logged_line_by_line():
    redact = Redactor([PEM])
    assert [redact(line) for line in PEM.splitlines()] == ["***"] * 4


def test_s5_a_secret_across_the_lines_of_json_and_a_url():
    redact = Redactor([PEM])
    for spelt in (json.dumps(PEM), quote(PEM), repr({"key": PEM}), json.dumps(json.dumps(PEM))):
        assert "MIIEvQ" not in redact(spelt)


def test_s5_any_depth_and_any_container():
    value: object = SECRET
    for _ in range(100):
        value = {"a": [value], "b": (value,)} if isinstance(value, str) else [value]
    assert SECRET not in str(Redactor([SECRET]).value(value))


def test_s5_log_records_with_arguments_causes_and_stacks():
    formatter = RedactingFormatter(Redactor([SECRET]))
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise OSError(5, f"at {SECRET}") from error
    except OSError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%r", ({"token": SECRET},), (OSError, error, None))
    record.exc_text = f"formatted by somebody else: {SECRET}"
    shown = formatter.format(record)
    assert SECRET not in shown.replace("***", "")
    assert shown.count("***") >= 2
