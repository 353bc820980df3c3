"""The fault remote as a process of its own, and its control address."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class FaultRemote:
    """A running fault remote."""

    url: str
    control: str
    log: Path
    process: subprocess.Popen[str]

    def script(self, script: Mapping[str, Any]) -> None:
        """Replace the script; requests count from 1 again."""
        self._ask("PUT", "/script", json.dumps(script).encode())

    def reset(self, script: Mapping[str, Any]) -> None:
        """Let the remote forget everything, and begin with another script."""
        self.settle()
        self._ask("PUT", "/reset", json.dumps(script).encode())

    def state(self) -> Mapping[str, Any]:
        """What the remote holds, by ``class/id``."""
        found: Mapping[str, Any] = self._ask("GET", "/state")
        return found

    def settle(self, seconds: float = 10.0) -> None:
        """Wait until no request is at work any more.

        Raises:
            TimeoutError: It takes longer.
        """
        end = time.monotonic() + seconds
        while self._ask("GET", "/pending"):
            if time.monotonic() > end:
                raise TimeoutError("the remote is still at work")
            time.sleep(0.01)

    def _ask(self, method: str, path: str, data: bytes | None = None) -> Any:
        request = urllib.request.Request(self.control + path, data=data, method=method)  # noqa: S310 - ours, on loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())


@contextmanager
def fault_remote(directory: Path, script: Mapping[str, Any]) -> Iterator[FaultRemote]:
    """Run a fault remote with its log in a directory."""
    log, scripted = directory / "effects.jsonl", directory / "script.json"
    scripted.write_text(json.dumps(script))
    command = [sys.executable, "-m", "contraflow.testing.fault_remote", "--log", str(log), "--script", str(scripted)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            if process.stdout is None:
                raise RuntimeError("the fault remote has no output")
            addresses = json.loads(process.stdout.readline())
            yield FaultRemote(url=addresses["url"], control=addresses["control"], log=log, process=process)
        finally:
            process.kill()
