"""Contenders run in processes of their own, so that none warms up, fragments or keeps memory for another."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def run_contender(name: str, source: Path, rows: int, *arguments: str) -> dict[str, Any]:
    """Run one contender in an empty directory, and return its report.

    Args:
        name: Its module's.
        source: The source database.
        rows: How many rows there are.
        arguments: What else the contender wants to know.

    Raises:
        subprocess.CalledProcessError: It failed; its errors are on standard error.
    """
    with tempfile.TemporaryDirectory(dir=source.parent) as directory:
        command = [sys.executable, str(_HERE / f"{name}.py"), str(source), str(rows), directory, *arguments]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report
