"""What a person sees on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

SHOW_CURSOR = "\x1b[?25h"  # what a live bar ends with


def test_the_summary_stands_below_the_bar(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "contraflow"]
    subprocess.run([*command, "init"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "112"}
    with subprocess.Popen(
        [*command, "sync", "address-book"], cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = b""
        try:
            while piece := os.read(ours, 65536):
                printed += piece
        except OSError:  # the other side is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    bars, shown, summary = printed.decode().rpartition(SHOW_CURSOR)
    assert shown
    assert "2 written, 1 filtered" in bars
    assert "step " in summary
    assert "step " not in bars
