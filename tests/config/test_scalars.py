from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.config.document import parse_document
from contraflow.config.nodes import ScalarNode, plain_value
from contraflow.errors import ConfigError


def scalar(text: str) -> ScalarNode:
    node = parse_document(f"a: {text}").entries["a"]
    assert isinstance(node, ScalarNode)
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("+3", 3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("1e3", 1000.0),
        ("2.5E-1", 0.25),
    ],
)
def test_typed_as_yaml_1_2_says(text: str, value: Any) -> None:
    found = scalar(text).value

    assert (found, type(found)) == (value, type(value))


TEXTS = """
no on yes Off y 010 -010 010.5 1:30 2020-01-01 2020-01-01T10:00:00 1_000 0b11 0x 0o8 1e . 1.2.3
.nan .NaN .inf -.INF 1e999 tRue ١٢
"""


@pytest.mark.parametrize("text", [*TEXTS.split(), "9" * 5000])
def test_everything_else_stays_text(text: str) -> None:
    assert scalar(text).value == text


@pytest.mark.parametrize("text", ["true", "null", "", "12", "010", "1.5", "~", "<<", "no"])
def test_quoted_is_always_text(text: str) -> None:
    assert scalar(f"'{text}'").value == scalar(f'"{text}"').value == text


@pytest.mark.parametrize("text", ["no", "on", "010", "1:30", "2020-01-01", "true", "~", "null", "0x1F", "1.50"])
def test_keys_and_names_are_text_exactly_as_written(text: str) -> None:
    assert list(parse_document(f"{text}: 1").entries) == [text]
    assert scalar(text).text == text


printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"))


@given(printable)
def test_any_quoted_text_comes_back(text: str) -> None:
    found = scalar("'" + text.replace("'", "''") + "'")

    assert found.text == found.value == text


@given(st.from_regex(r"[A-Za-z0-9_.+~-]{1,12}", fullmatch=True))
def test_any_plain_word_keeps_its_text(word: str) -> None:
    try:
        found = scalar(word)
    except ConfigError:
        assert word in {"-", "---"}
    else:
        assert found.text == word
        if isinstance(found.value, str):
            assert found.value == word


@given(st.recursive(st.none() | st.booleans() | st.integers() | printable, lambda inner: st.lists(inner, max_size=3)))
def test_json_is_read_as_json(value: Any) -> None:
    assert plain_value(parse_document(json.dumps({"a": value}, ensure_ascii=False))) == {"a": value}


almost_yaml = st.text(alphabet="ab:-?[]{},&*!|>'\"%@`# \n\t~\\$<=.0", max_size=60)


@given(st.text() | st.binary() | almost_yaml)
def test_nothing_but_config_error_comes_out(source: str | bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_document(source)
