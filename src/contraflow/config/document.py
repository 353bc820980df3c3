"""The strict YAML loader: one mapping a file, no surprises, every problem with its line.

YAML is a large language; configuration needs a small part of it. Refused are duplicate keys, anchors, aliases, merge
keys, tags, several documents, keys that are no text, control characters and anything but UTF-8, and files that are too
large, too deep or too full. All limits hold while the parser's events stream in, so that nothing recursive and nothing
large happens for a hostile file.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from contraflow.config.composer import Composer, LimitReachedError
from contraflow.config.files import display_name
from contraflow.config.nodes import MappingNode
from contraflow.config.syntax import is_placeholder_trouble, parse_events, syntax_problem
from contraflow.errors import ConfigError, Location, Problem

SIZE_LIMIT = 1024 * 1024
"""The largest file, in bytes."""

_LINE_END = re.compile(r"\r\n?")
_NOT_ALLOWED = re.compile(r"[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def load_document(path: Path, *, file: str | None = None) -> MappingNode:
    """Read a YAML file whose top is a mapping.

    Args:
        path: The file.
        file: Its name in messages; by default its path, as short as it gets.

    Returns:
        The mapping; empty for a file that holds nothing but comments.

    Raises:
        ConfigError: The file cannot be read, or holds something that is refused. Carries every problem found.
    """
    name = display_name(path) if file is None else file
    try:
        with path.open("rb") as stream:
            data = stream.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise ConfigError(Problem(message=f"cannot be read: {reason}", location=Location(file=name))) from error
    return parse_document(data, file=name)


def parse_document(source: str | bytes, *, file: str | None = None) -> MappingNode:
    """Read YAML whose top is a mapping; the same as :func:`load_document` for what is already in memory."""
    text = _checked_text(source, file)
    for placeholders in (False, True):
        composer = Composer(file)
        try:
            composer.consume(parse_events(text, placeholders=placeholders))
        except LimitReachedError:
            pass
        except yaml.YAMLError as error:
            if not placeholders and is_placeholder_trouble(error, text):
                continue
            composer.problems.append(syntax_problem(error, text, file))
        break
    if composer.problems:
        raise ConfigError(*composer.problems)
    return composer.top


def _checked_text(source: str | bytes, file: str | None) -> str:
    """The text with line feeds as line ends; refused if it is too large, no UTF-8, or holds control characters."""
    if len(source) > SIZE_LIMIT:
        raise ConfigError(
            Problem(message="the file is too large", location=Location(file=file), expected="at most 1 MiB")
        )
    text = _decoded(source, file) if isinstance(source, bytes) else source.removeprefix("\ufeff")
    text = _LINE_END.sub("\n", text)
    found = _NOT_ALLOWED.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(
            Problem(
                message="a character that a configuration file must not hold",
                location=Location(file=file, line=line),
                found=f"U+{ord(found.group()):04X}",
                hint='write it as an escape in double quotes, such as "\\u2028"',
            )
        )
    return text


def _decoded(data: bytes, file: str | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = _LINE_END.sub("\n", data[: error.start].decode("latin-1"))
        raise ConfigError(
            Problem(
                message="the file is not UTF-8",
                location=Location(file=file, line=before.count("\n") + 1),
                found=f"the byte 0x{data[error.start]:02X}",
                hint="save it as UTF-8",
            )
        ) from error
