"""Draw the terminal pictures of the documentation: the real commands, on the project that ``contraflow init`` makes.

``make pictures`` writes ``docs/images/terminal-*.svg``. Moments, durations and digests are masked, so that a picture changes
only if what contraflow prints changes.
"""

from __future__ import annotations

import io
import os
import pty
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 112, 40
_MASKS = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-25 09:00:00"),
    (r"in \d+\.\d s", "in 0.1 s"),
    (r"digest [0-9a-f]+", "digest 8d1f…"),
    (r"fp1:\S+", "fp1:5b0c…"),
    (r"(?<![\d:])(?:\d:\d\d:\d\d|-:--:--)", "0:00:00"),
    (r"[\d,]+/s", "50/s"),
)


def typed(command: str, project: Path) -> Text:
    """What a command prints on a terminal, as the screen looks at the end."""
    ours, theirs = pty.openpty()
    size = f"stty rows {HEIGHT} cols {WIDTH}; "
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH), "COLORTERM": ""}
    environment.pop("NO_COLOR", None)
    script = size + command.replace("contraflow", f"{sys.executable} -m contraflow", 1)
    process = subprocess.Popen(  # noqa: S603 - the commands are those below
        ["/bin/sh", "-c", script], cwd=project, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{command}: exit code {process.returncode}\n{b''.join(pieces).decode()}")
    screen = pyte.Screen(WIDTH, HEIGHT)
    pyte.ByteStream(screen).feed(b"".join(pieces))
    lines = [_line(screen.buffer[number]) for number in range(HEIGHT)]
    while lines and not lines[-1].plain:
        lines.pop()
    return Text("\n").join(lines)


def _line(cells: Mapping[int, pyte.screens.Char]) -> Text:
    """A line of the screen, with its colours, masked."""
    line = Text()
    for number in range(WIDTH):
        cell = cells[number]
        colour = None if cell.fg == "default" else cell.fg if cell.fg.isalpha() else f"#{cell.fg}"
        line.append(cell.data, Style(color={"brown": "yellow"}.get(colour or "", colour), bold=cell.bold))
    line.rstrip()
    for pattern, mask in _MASKS:
        for match in reversed(list(re.finditer(pattern, line.plain))):
            before, after = line[: match.start()], line[match.end() :]
            line = Text.assemble(before, mask, after)
    return line


def draw(name: str, *commands: str, project: Path) -> None:
    """Write the picture of some commands."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        console.print(typed(command, project))
    svg = console.export_svg(title="contraflow", unique_id=f"contraflow-{name}")
    (IMAGES / f"terminal-{name}.svg").write_text(svg + "\n", encoding="utf-8")


def main() -> None:
    """Draw all of them."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "shop"
        typed("contraflow init shop", Path(folder))
        draw("sync", "contraflow sync address-book", project=project)
        with sqlite3.connect(project / "shop.db") as database:
            database.execute("UPDATE customer SET name = 'Ana Gonçalves Lima' WHERE id = 1")
        database.close()
        draw("plan", "contraflow plan address-book", project=project)
        draw("explain", "contraflow explain customer 1", project=project)


if __name__ == "__main__":
    main()
