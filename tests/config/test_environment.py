from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.config.document import parse_document
from contraflow.config.environment import Substitution
from contraflow.config.nodes import plain_value


def substituted(text: str, **environ: str) -> tuple[object, Substitution]:
    substitution = Substitution(environ)
    return plain_value(substitution.apply(parse_document(text))), substitution


def test_variables_and_defaults_fill_values() -> None:
    value, substitution = substituted(
        """
        url: https://${HOST}:${PORT:-8080}/${PATH_:-a b}
        list: [ "${HOST}", 'x${HOST}y' ]
        """,
        HOST="example.org",
    )

    assert value == {"url": "https://example.org:8080/a b", "list": ["example.org", "xexample.orgy"]}
    assert substitution.secrets == {"example.org"}
    assert not substitution.problems


def test_keys_are_left_alone() -> None:
    assert substituted("'${HOST}': 1", HOST="x")[0] == {"${HOST}": 1}


@pytest.mark.parametrize("value", ["true", "12", "null", "a: b", "[1]", "x\ny: 1", "# x", "${OTHER}", "$${", "*x"])
def test_a_value_is_text_whatever_it_holds(value: str) -> None:
    assert substituted("a: ${NAME}", NAME=value, OTHER="no")[0] == {"a": value}


def test_a_default_is_text_too() -> None:
    assert substituted("a: ${NAME:-12}")[0] == {"a": "12"}


def test_the_default_stands_in_for_an_empty_variable() -> None:
    assert substituted("a: ${NAME:-x}\nb: ${NAME}\nc: ${NAME:-}", NAME="")[0] == {"a": "x", "b": "", "c": ""}


def test_two_dollars_escape() -> None:
    value, substitution = substituted("a: x$${NAME}y\nb: $NAME $ $$ ${NAME}$", NAME="n")

    assert value == {"a": "x${NAME}y", "b": "$NAME $ $$ n$"}
    assert substitution.secrets == {"n"}


def test_an_unset_variable_is_named_with_its_place() -> None:
    _, substitution = substituted("a:\n  - x: ${TOKEN_}", TOKEN="s3cret")

    (problem,) = substitution.problems
    assert problem.message == "the environment variable TOKEN_ is not set"
    assert (problem.location.line, problem.location.path) == (2, "a[0].x")
    assert problem.hint == "did you mean 'TOKEN'?"
    assert "s3cret" not in str(problem)


@pytest.mark.parametrize("reference", ["${}", "${a b}", "${1A}", "${NAME", "${NAME-x}", "${NAME:x}"])
def test_a_reference_that_cannot_be_read_is_a_problem(reference: str) -> None:
    _, substitution = substituted(f'a: "{reference}"', NAME="x")

    assert "cannot be read" in substitution.problems[0].message


def test_a_default_is_no_secret() -> None:
    assert substituted("a: ${NAME:-visible}")[1].secrets == frozenset()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff")))
def test_any_text_with_doubled_dollars_before_braces_comes_back(text: str) -> None:
    escaped = text.replace("${", "$${").replace("'", "''")
    if "$$${" not in escaped:
        assert substituted(f"a: '{escaped}'")[0] == {"a": text}
