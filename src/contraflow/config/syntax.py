"""YAML text to parser events, and PyYAML's complaints said so that they help.

The ancestor's older files hold unquoted ``%name%`` placeholders, which Symfony's YAML allowed and YAML proper does not.
The C parser reads everything else; where it stumbles over a percent sign, PyYAML's own scanner, taught to let
``%name%`` begin a plain scalar, reads the file instead. So no text is rewritten and every line number stays right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from contraflow.config.composer import DEPTH_LIMIT
from contraflow.errors import Location, Problem

_PLACEHOLDER = re.compile(r"%[^%\s]+%")
_LONGEST_PLACEHOLDER = 256


class _PlaceholderLoader(yaml.SafeLoader):
    """PyYAML's scanner and parser, for which ``%name%`` may begin a plain scalar."""

    def check_plain(self) -> bool:
        return bool(super().check_plain()) or self._at_placeholder()

    def _at_placeholder(self) -> bool:
        return self.peek() == "%" and _PLACEHOLDER.match(self.prefix(_LONGEST_PLACEHOLDER)) is not None


_FAST_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else _PlaceholderLoader

_INDENTATION = "this line's indentation does not fit the lines above"
_ALIKE = "indent the entries of one level alike, with blanks"

_BRACES = 'quote a text that has brackets or braces in it, such as "${NAME}"'
_TAB = ("a tab where YAML takes only blanks", "indent with blanks")

# A part of PyYAML's message (of its C or its Python parser), what we say instead, and what helps.
_EXPLANATIONS = (
    ("tab character that violates", *_TAB),
    (
        "mapping values are not allowed",
        "a ':' where no key can be",
        "check the indentation; quote a text that has ': ' in it or ends with ':'",
    ),
    ("could not find expected ':'", "a key without ':'", "a key is followed by ':' and a blank"),
    ("expected ',' or ']'", "a list in [ ] is not closed, or lacks a comma", _BRACES),
    ("expected ',' or '}'", "a mapping in { } is not closed, or lacks a comma", _BRACES),
    ("expected <block end>", _INDENTATION, _ALIKE),
    ("did not find expected key", _INDENTATION, _ALIKE),
    ("did not find expected '-'", _INDENTATION, _ALIKE),
    ("scanning an anchor", "a value cannot begin with '&'", "put it in quotes"),
    ("scanning an alias", "a value cannot begin with '*'", "put it in quotes"),
    ("scanning a directive", "a line cannot begin with '%'", "put it in quotes"),
    ("sequence entries are not allowed", "a '-' where no item of a list can be", _ALIKE),
    ("unexpected end of stream", "a quoted text is not closed", None),
    ("unexpected document separator", "a quoted text is not closed", None),
    ("unexpected document indicator", "a quoted text is not closed", None),
    ("unknown escape character", "an unknown escape in double quotes", "in single quotes a backslash is a backslash"),
)
_BEGINNINGS = {
    "\t": _TAB,
    "@": ("a value cannot begin with '@'", "put it in quotes"),
    "`": ("a value cannot begin with '`'", "put it in quotes"),
    "%": ("a value cannot begin with '%', except as %name%", "put it in quotes"),
}


def parse_events(text: str, *, placeholders: bool) -> Iterator[yaml.Event]:
    """The parser's events of a YAML text, lazily.

    Args:
        text: The YAML; line ends are line feeds.
        placeholders: Whether an unquoted ``%name%`` may begin a value.

    Raises:
        yaml.YAMLError: The text is no YAML.
    """
    try:
        yield from yaml.parse(text, Loader=_PlaceholderLoader if placeholders else _FAST_LOADER)
    except (ValueError, OverflowError) as error:
        # PyYAML's Python scanner lets chr() fail on "\U99999999".
        raise yaml.YAMLError("an escape in double quotes is no Unicode character") from error


def is_placeholder_trouble(error: yaml.YAMLError, text: str) -> bool:
    """Whether the parser stumbled over a percent sign."""
    return _character_at(error, text) == "%"


def syntax_problem(error: yaml.YAMLError, text: str, file: str | None) -> Problem:
    """The parser's complaint as a problem with its place. It never shows the line, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    location = Location(file=file, line=None if mark is None else mark.line + 1)
    said = str(getattr(error, "problem", None) or error)
    context = str(getattr(error, "context", None) or "")
    if "maximum nesting depth" in said:  # libyaml has a limit, too, and looks far ahead
        expected = f"at most {DEPTH_LIMIT} levels"
        return Problem(message="the file nests too deeply", location=location, expected=expected)
    message, hint = _explanation(said, context, _character_at(error, text))
    where = "" if mark is None else f" (column {mark.column + 1})"
    return Problem(message=f"not valid YAML: {message}{where}", location=location, hint=hint)


def _explanation(said: str, context: str, character: str) -> tuple[str, str | None]:
    if "cannot start any token" in said and character in _BEGINNINGS:
        return _BEGINNINGS[character]
    for part, message, hint in _EXPLANATIONS:
        if part in said or part in context:
            return _TAB if character == "\t" else (message, hint)
    return said, None


def _character_at(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ""
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1]
