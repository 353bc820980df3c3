from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from contraflow.config import syntax
from contraflow.config.document import load_document, parse_document
from contraflow.config.nodes import MappingNode, plain_value, walk
from contraflow.errors import ConfigError, Problem


@pytest.fixture(params=["fast", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for PyYAML's C parser and for its Python parser."""
    if request.param == "python":
        monkeypatch.setattr(syntax, "_FAST_LOADER", syntax._PlaceholderLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no C parser here")


def problems_of(source: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as raised:
        parse_document(source, file="f.yml")
    return raised.value.problems


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("a:\n\tb: 1", 2, "a tab where YAML takes only blanks"),
        ("a:\n  b: 1\n\tc: 2", 3, "a tab where YAML takes only blanks"),
        ("a: b: c", 1, "a ':' where no key can be"),
        ("a: 1\nfoo\nb: 2", 3, "a key without ':'"),
        ("a:\n  b: 1\n c: 2", 3, "indentation does not fit"),
        ('a: "b', 1, "a quoted text is not closed"),
        ("a: [1, 2]]", 1, "indentation does not fit"),
        ("b: 1\na: - 1", 2, "a '-' where no item of a list can be"),
        ("a: @b", 1, "cannot begin with '@'"),
        ("a: *.yml", 1, "cannot begin with '*'"),
        ("a: `b`", 1, "cannot begin with '`'"),
        ("a: 1\n%k%: 2", 2, "a line cannot begin with '%'"),
        ("a: 100\nb: %c", 2, "cannot begin with '%', except as %name%"),
        (r'a: "Oro\Bundle"', 1, "an unknown escape in double quotes"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' is written twice"),
        ("a: &x 1", 1, "anchors are not allowed"),
        ("b: 1\na: *x", 2, "aliases are not allowed"),
        ("a:\n  <<: {b: 1}", 2, "merge keys are not allowed"),
        ("a: !!python/object/apply:os.system [x]", 1, "tags are not allowed"),
        ("a: ! b", 1, "tags are not allowed"),
        ("a: 1\n---\nb: 2", 2, "several documents"),
        ("- a\n- b", 1, "the file must hold a mapping"),
        ("just text", 1, "the file must hold a mapping"),
        ("? [a, b]\n: c", 1, "a key must be text"),
        ("{a: b}: c", 1, "a key must be text"),
        ("'': c", 1, "a key is empty"),
        ("? " + "k" * 300 + "\n: c", 1, "a key is too long"),
        ("a:\n  b\u00a0c: 1", 2, "a key holds an invisible character"),
        (b"a: 1\r\nb: \xff", 2, "the file is not UTF-8"),
        ("a: 1\rb: \x00", 2, "a character that a configuration file must not hold"),
        ("a: \ud800", 1, "a character that a configuration file must not hold"),
        ("a: x\u2028b: y", 1, "a character that a configuration file must not hold"),
        ("a: %b%\n" + r'c: "\ud800"', 2, "surrogate"),
        (r'a: "\U99999999"', None, "escape"),
    ],
)
def test_refuses_with_a_line_and_a_clear_word(source: str | bytes, line: int | None, said: str) -> None:
    problem = problems_of(source)[0]

    assert problem.location.file == "f.yml"
    assert line is None or problem.location.line == line
    assert said in problem.message


@pytest.mark.parametrize("source", ["a: [1, 2", "a: {b: 1", "a: {b: ${NAME}}"])
def test_brackets_that_are_not_closed_get_a_hint(source: str) -> None:
    assert "quote a text that has brackets" in str(problems_of(source)[0])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"x" * 10_000_000, "at most 1 MiB"),
        ("a: " + "[" * 1000, "at most 64 levels"),
        ("a: " + "{a: " * 1000, "at most 64 levels"),
        ("".join(" " * depth + "a:\n" for depth in range(1000)), "at most 64 levels"),
        ("- " * 1000, "at most 64 levels"),
        ("a: [" + "1," * 30_000 + "]", "at most 20,000"),
    ],
)
def test_refuses_what_is_beyond_the_limits(source: str | bytes, said: str) -> None:
    assert said in str(problems_of(source)[-1])


def test_reads_what_is_within_the_limits() -> None:
    deep = parse_document("a: " + "[" * 63 + "]" * 63)
    wide = parse_document("a: [" + "1," * 19_000 + "]")
    large = parse_document("a: 1\n" + "# comment\n" * 100_000)

    assert len(list(walk(deep))) == 64
    assert len(list(walk(wide))) == 19_002
    assert plain_value(large) == {"a": 1}


def test_lists_every_problem_with_both_lines_of_a_duplicate() -> None:
    found = problems_of("a: 1\nb:\n  c: &x 1\n  c: 2\na: *x\n")

    assert [(p.location.line, p.location.path) for p in found] == [(3, "b.c"), (4, "b.c"), (5, "a"), (5, "a")]
    assert "first on line 3, again on line 4" in str(found[1])


def test_reports_a_syntax_error_beside_the_problems_before_it() -> None:
    duplicate, syntax_error = problems_of("a: 1\na: 2\nb: [")

    assert duplicate.location.line == 2
    assert "not valid YAML" in syntax_error.message


def test_stops_listing_after_fifty_problems() -> None:
    found = problems_of("\n".join(f"k{number}: *x" for number in range(500)))

    assert len(found) == 51
    assert "too many problems" in found[-1].message


@pytest.mark.parametrize("source", ["password: &s3cret", "password: *s3cret", "password: !s3cret x", 'p: "s3cret'])
def test_shows_no_value_that_may_be_a_secret(source: str) -> None:
    assert "s3cret" not in "".join(map(str, problems_of(source)))


@pytest.mark.parametrize("source", ["", "# only\n# comments\n", "~", "---\n", "---\n# x\n...\n", b"\xef\xbb\xbf"])
def test_a_file_without_content_is_an_empty_mapping(source: str | bytes) -> None:
    assert parse_document(source).entries == {}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_works_and_counts(end: str) -> None:
    top = parse_document(end.join(["\ufeffa: 1", "b:", "  c: %d%", "# e", "f: |", "  g", "  h", ""]).encode())

    assert plain_value(top) == {"a": 1, "b": {"c": "%d%"}, "f": "g\nh\n"}
    assert [node.place.line for node in walk(top)][1:] == [1, 2, 3, 5]


def test_unquoted_placeholders_are_text_and_nothing_else_changes() -> None:
    source = """\
a: %x.y%       # a comment: %not here%
"b": "%z% #"
# %in a comment%
k:
  %k%: [%p%, 'q%r%', %s%t]
c: |
  %verbatim% : [
d: 50%
e:
  - %u%
  - {f: %v%}
"""

    top = parse_document(source)

    assert plain_value(top) == {
        "a": "%x.y%",
        "b": "%z% #",
        "k": {"%k%": ["%p%", "q%r%", "%s%t"]},
        "c": "%verbatim% : [\n",
        "d": "50%",
        "e": ["%u%", {"f": "%v%"}],
    }
    assert top.entries["e"].place.line == 9


def test_nodes_know_their_line_and_path() -> None:
    top = parse_document("a:\n  - b: 1\n    c:\n      - 2\n      - d: 3\n", file="f.yml")

    assert [(node.place.line, node.place.path) for node in walk(top)] == [
        (1, ""),
        (1, "a"),
        (2, "a[0]"),
        (2, "a[0].b"),
        (3, "a[0].c"),
        (4, "a[0].c[0]"),
        (5, "a[0].c[1]"),
        (5, "a[0].c[1].d"),
    ]


def test_a_file_that_cannot_be_read(directory: Path) -> None:
    for path in (directory / "missing.yml", directory, Path("nul\0.yml")):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_document(path)


def test_file_names_are_as_short_as_they_get(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("sub/f.yml", "- a")

    def name() -> str | None:
        with pytest.raises(ConfigError) as raised:
            load_document(path)
        return raised.value.problems[0].location.file

    assert name() == "sub/f.yml"
    monkeypatch.chdir("/")
    assert name() == str(path).lstrip("/")


def test_the_top_is_a_mapping_node() -> None:
    assert isinstance(parse_document("a: 1"), MappingNode)
