"""kill -9 in the middle of very many rows, then sync: how much is sent again, and what a person is told.

    python tests/delivery/large.py --class C --rows 100000 --batch-size 500 --json FILE

The remote takes batches; it is a process of its own, as the worker is.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness import Bench, Setting, bench

from contraflow.testing.remote.effect_log import read_log


def cut_short(trial: Bench, *, calls: int) -> dict[str, Any]:
    """Let the first run die when the so-manyth answer has come and was not looked at; ask ``status``; synchronise.

    Returns:
        Figures: items written, in doubt and sent again, seconds, and the texts of ``status`` and ``sync``.
    """
    began = time.monotonic()
    life = trial.live(point=f"P8:{calls}")
    first = time.monotonic() - began
    before = _applied(trial)
    status = _command(trial, "status")
    began = time.monotonic()
    sync = _command(trial, "sync", "it", "--all")
    sent: Counter[str] = Counter()
    for event in read_log(trial.remote.log):
        if event["event"] == "received":
            sent.update(item["record"] for item in event["items"])
    report = trial.check()
    return {
        "class": trial.setting.delivery_class,
        "rows": trial.workload.records,
        "chunk": trial.setting.batch_size,
        "killed": life.signal == signal.SIGKILL,
        "applied_before": before,
        "sent_again": sum(times - 1 for times in sent.values()),
        "effects": report.counts["effects"],
        "repeated": report.counts["repeated"],
        "findings": len(report.findings),
        "seconds_until_the_kill": round(first, 1),
        "seconds_afterwards": round(time.monotonic() - began, 1),
        "status": status,
        "sync": sync,
    }


def _applied(trial: Bench) -> int:
    trial.remote.settle()
    return sum(event["event"] == "effect" and event["what"] == "applied" for event in read_log(trial.remote.log))


def _command(trial: Bench, *arguments: str) -> str:
    command = [sys.executable, "-m", "contraflow", *arguments]
    environ = trial.process_environ()
    done = subprocess.run(command, cwd=trial.directory, env=environ, capture_output=True, text=True, check=False)
    return done.stdout


def main() -> int:
    """Run, and write the figures."""
    parser = argparse.ArgumentParser(description="Kill a run in the middle of very many rows, and go on.")
    parser.add_argument("--class", dest="delivery_class", choices=list("ABCD"), default="C")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    setting = Setting(
        delivery_class=options.delivery_class,
        form="batch" if options.delivery_class == "A" else "bulk",
        records=options.rows,
        batch_size=options.batch_size,
        timeout=30.0,
        lifetime=30.0,
        lease=30.0,
    )
    with tempfile.TemporaryDirectory() as directory, bench(Path(directory), setting) as trial:
        figures = cut_short(trial, calls=options.rows // options.batch_size // 2)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0 if not figures["findings"] and figures["sent_again"] <= options.batch_size else 1


if __name__ == "__main__":
    sys.exit(main())
