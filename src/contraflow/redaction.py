"""Keep secrets out of everything that people and the ledger see.

Secrets are known by value: what the environment put into an integration's settings, what a connector declared secret, and
the passwords of database URLs. Every text that leaves the process passes through one :class:`Redactor`.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from contraflow.errors import Problem
from contraflow.escaping import one_line, printable

MASK = "***"

_LONG = 8  # Shorter ones, encoded or taken apart, could be a part of any word.
_URL_SAFE = str.maketrans("+/", "-_")
_SHORTEST = 4  # Shorter values are not worth hiding, and hiding them would eat ordinary words.
_SECRET_OPTION = re.compile(r"pass|pwd|secret|token|key$|signature|credential", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)")


class Redactor:
    """Replaces secrets in texts.

    Args:
        secrets: The values to hide, also as URLs, JSON, ``repr`` and base64 write them, those within one another, and the
            lines of those that have several. Of a value that is a URL only the password is hidden, and options such as
            ``?password=…`` and ``?api_key=…``.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these values, too."""
        for secret in secrets:
            for part in _sensitive_parts(secret):
                self._secrets |= {part, *_lines_of(part), *_in_base64(part)}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        notations = ("".join(map(_notations, _BACKSLASHES.sub(r"\\", value))) for value in longest_first)
        self._pattern = re.compile("|".join(notations)) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets and without passwords in URLs."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _URL_PASSWORD.sub(rf"\g<head>{MASK}", text) if "@" in text else text

    def value(self, value: Any) -> Any:
        """Redact text anywhere within nested mappings and lists; keys and other values stay."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {name: self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def problem(self, problem: Problem) -> Problem:
        """Redact what a problem of the configuration says."""
        return attrs.evolve(
            problem,
            message=self(problem.message),
            found=problem.found and self(problem.found),
            expected=problem.expected and self(problem.expected),
            hint=problem.hint and self(problem.hint),
        )

    def traceback(self, error: BaseException) -> str:
        """Format an exception with its traceback and its causes, redacted."""
        return self("".join(traceback.format_exception(error)))


class RedactingFormatter(logging.Formatter):
    """A log formatter whose lines, tracebacks included, pass through a redactor, and are one line for each message."""

    def __init__(self, redactor: Redactor, fmt: str = "%(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(fmt)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format the record without secrets, and without anything that would steer a terminal."""
        return printable(self._redactor(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by the standard library
        """Format the message on one line: what it quotes may not look like the next one."""
        return one_line(self._redactor(super().formatMessage(record)))


_BACKSLASHES = re.compile(r"\\+")
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


@lru_cache
def _notations(character: str) -> str:
    """A pattern for one character of a secret: plain, percent-encoded, or escaped, any number of times over."""
    if character.isascii() and character.isalnum():
        return character
    percent = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    plain = [re.escape(character), f"(?i:{percent})", *([r"\+"] if character == " " else [])]
    if character == "\\":
        return rf"(?:\\|{plain[1]})+"  # of any number of them, as each notation doubles them
    utf16 = character.encode("utf-16-be", "surrogatepass").hex()
    units = r"\\+u".join(utf16[i : i + 4] for i in range(0, len(utf16), 4))
    escaped = [f"(?i:u{units}|x{ord(character):02x}|U{ord(character):08x})"]
    if character in _ESCAPES:
        escaped.append(_ESCAPES[character])
    return rf"(?:\\*(?:{'|'.join(plain)})|\\+(?:{'|'.join(escaped)}))"


def _lines_of(secret: str) -> list[str]:
    """The lines of a key that has several, as some libraries log them one by one; not those that any text may have."""
    lines = secret.splitlines()
    return [line for line in lines if len(line) >= _LONG] if len(lines) > 1 else []


def _in_base64(secret: str) -> set[str]:
    """What base64 makes of a secret, alone or within a longer text (``user:password``): that depends on where it begins."""
    if len(secret) < _LONG:
        return set()
    content = secret.encode("utf-8", "surrogatepass")
    found = set()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + content).decode("ascii")
        alone = encoded[
            -(-offset * 8 // 6) : (offset + len(content)) * 8 // 6
        ]  # without what its neighbours decide, too
        found |= {alone, alone.translate(_URL_SAFE)}
    return found


def _sensitive_parts(secret: str) -> list[str]:
    try:
        parts = urlsplit(secret)
        password = parts.password if parts.scheme and parts.netloc else None
    except ValueError:
        return [secret] if len(secret) >= _SHORTEST else []
    if parts.scheme and parts.netloc:
        options = (value for name, value in parse_qsl(parts.query) if _SECRET_OPTION.search(name))
        return [each for each in {password or "", unquote(password or ""), *options} if len(each) >= _SHORTEST]
    return [secret] if len(secret) >= _SHORTEST else []
