"""How long the program takes to start, beside the imports that it cannot do without."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from figures import Figure

_PROGRAM = (str(Path(sys.executable).with_name("contraflow")), "--version")
_IMPORTS = (sys.executable, "-c", "import click, sqlalchemy")
_MOST_RATIO = 1.5


def measure_startup(repetitions: int, tell: Callable[[str], None]) -> list[Figure]:
    """Start both in turn; what is compared are the medians.

    Args:
        repetitions: How many times each is started, after once for warming up.
        tell: Told of the progress.
    """
    tell(f"start-up, {repetitions} times")
    for command in (_PROGRAM, _IMPORTS):
        _seconds(command)
    pairs = [(_seconds(_PROGRAM), _seconds(_IMPORTS)) for _ in range(repetitions)]
    ours, theirs = (statistics.median(each) * 1000 for each in zip(*pairs, strict=True))
    return [
        Figure(name="contraflow --version", value=ours, unit="ms"),
        Figure(name="import click, sqlalchemy", value=theirs, unit="ms"),
        Figure(name="start-up / imports", value=ours / theirs, unit="times", at_most=_MOST_RATIO),
    ]


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
