"""S19: what others chose (keys, reasons, names) can neither steer a terminal nor forge a line of contraflow's own."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.escaping import one_line, printable
from contraflow.redaction import RedactingFormatter, Redactor

HOSTILE = "x\x1b]0;owned\x07\x9b31m\u202egnp.exe\rEverything is in order.\nPromise: class A"

CONNECTOR = f"""
import logging

@hookimpl
def write_items(items, context):
    context.logger.error("%s", {HOSTILE!r})
    logging.getLogger("a_library").warning({HOSTILE!r})
    return [Rejected(key=each.key, code={HOSTILE!r}, reason={HOSTILE!r}) for each in items]
"""
COMMANDS = [["sync", "acme"], ["status"], ["dead-letters"], ["dead-letters", "show", "1"], ["dead-letters", "--json"]]


@given(st.text())
def test_s19_one_line_is_one_line_and_says_the_same(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert printable(text).replace("\n", "").isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_s19_reasons_codes_and_log_lines(project: Any, command: list[str]) -> None:
    project.connector(CONNECTOR)
    if command[0] != "sync":
        project.run("sync", "acme")
    shown = project.run(*command).output
    assert "owned" in shown
    assert all(character.isprintable() or character == "\n" for character in shown), ascii(shown)
    if command[0] != "status":
        assert "\nPromise: class A\n" not in shown
        assert not any(line.startswith("Everything is in order") for line in shown.splitlines())


def test_s19_keys(project: Any) -> None:
    project.capabilities("", "@hookimpl\ndef write_items(items, context):\n    return []")
    project.sql(f"UPDATE order_line SET order_no = '{HOSTILE}' WHERE order_no = 'B'")  # noqa: S608 - a constant
    for command in (["sync", "acme", "--step", "lines"], ["status"], ["held"]):
        shown = project.run(*command).output
        assert "owned" in shown
        assert all(character.isprintable() or character == "\n" for character in shown), ascii(shown)


def test_s19_a_log_record_is_one_line() -> None:
    record = logging.LogRecord("a\nb", logging.INFO, "", 0, "key %s", (HOSTILE,), None)
    shown = RedactingFormatter(Redactor()).format(record)
    assert "\n" not in shown
    assert shown.isprintable()
