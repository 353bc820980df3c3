"""Secrets do not get out."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.redaction import RedactingFormatter, Redactor

SECRET = 's3cr"et/ü&x'


@given(st.text(min_size=4, max_size=20), st.text(max_size=10), st.text(max_size=10))
def test_a_secret_is_gone_from_any_text(secret: str, before: str, after: str) -> None:
    if "://" not in secret and secret not in "***":
        shown = Redactor([secret])(before + secret + after)
        assert secret not in shown or secret in before + "***" + after


@pytest.mark.parametrize("form", [SECRET, quote(SECRET, safe=""), SECRET.replace('"', '\\"')])
def test_other_spellings_of_a_secret_are_hidden(form: str) -> None:
    assert form not in Redactor([SECRET])(f"before {form} after")


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"])("x abcdefgh y") == "x *** y"


def test_of_a_url_only_the_password_is_secret() -> None:
    redact = Redactor(["postgresql://shop:hunter%2Bx@db.example/shop"])
    assert (
        redact("cannot reach postgresql://shop:hunter%2Bx@db.example/shop")
        == "cannot reach postgresql://shop:***@db.example/shop"
    )
    assert redact("as db.example said: hunter+x") == "as db.example said: ***"


def test_passwords_of_unknown_urls_are_hidden() -> None:
    assert Redactor()("mysql://root:pw@host/db and a@b.example") == "mysql://root:***@host/db and a@b.example"


def test_short_values_do_not_eat_ordinary_words() -> None:
    assert Redactor(["a", "on", ""])("as soon as on") == "as soon as on"


def test_structures_are_redacted_at_any_depth() -> None:
    redact = Redactor(["hunter2!"])
    assert redact.value({"a": ["x hunter2!", {"b": ("hunter2!", 7, None)}]}) == {
        "a": ["x ***", {"b": ["***", 7, None]}]
    }


def test_tracebacks_and_their_causes_are_redacted() -> None:
    redact = Redactor(["hunter2!"])
    try:
        try:
            raise ValueError("inner hunter2!")
        except ValueError as error:
            raise RuntimeError("outer hunter2!") from error
    except RuntimeError as error:
        shown = redact.traceback(error)
    assert "hunter2!" not in shown.replace('"inner hunter2!"', "").replace('"outer hunter2!"', "")
    assert "RuntimeError: outer ***" in shown
    assert "ValueError: inner ***" in shown


def test_log_lines_are_redacted() -> None:
    redact = Redactor()
    formatter = RedactingFormatter(redact)
    record = logging.LogRecord("contraflow", logging.INFO, "", 0, "token %s", ("hunter2!",), None)
    redact.add(["hunter2!"])
    assert formatter.format(record) == "INFO contraflow: token ***"
