"""What the commands have in common: JSON, tables, paths and moments."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import attrs
import click

from contraflow.escaping import one_line, printable

TESTING = "pip install 'contraflow[testing]', or in a clone: pip install ./hookspecs '.[testing]'"
"""What to do where an author's tools are missing."""


def print_json(value: Any) -> None:
    """Print a value as JSON; in ASCII where the output has not room for all characters, or a terminal would obey some."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(plain(value), indent=2, ensure_ascii=not unicode)
    click.echo(text if text.replace("\n", "").isprintable() else json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """Reduce attrs objects, named tuples, enumerations, moments and paths to what JSON knows."""
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """Print a table: in a terminal's width if there is one, otherwise as wide as it must be.

    Args:
        headings: Of the columns.
        rows: Texts, printed as they are.
        right: Numbers of the columns that are right-aligned.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(width=None if on_terminal else 200, file=sys.stdout if on_terminal else StringIO())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)
    if isinstance(console.file, StringIO):  # rich fills each line with blanks up to the table's width
        click.echo("\n".join(line.rstrip() for line in console.file.getvalue().splitlines()))


def indented(text: str) -> str:
    """``text`` behind two blanks, and its further lines, which may be somebody else's words, further in."""
    return "  " + printable(text).replace("\n", "\n    ")


def moment(value: datetime | None) -> str:
    """A moment in the local time of whoever reads it, to the second."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if value else ""


def shown_path(path: Path) -> str:
    """A path as people would write it: relative where that is shorter."""
    try:
        relative = str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
    return min(relative, str(path), key=len)
