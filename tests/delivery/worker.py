"""Lives of a worker, each a fork of a process that has imported everything already: hundreds of kills a minute.

    python worker.py DIRECTORY

Reads one JSON line for each life, ``{"environ": {...}, "lease": 1.0, "kill": {...}}``, and answers with one when it has
ended. ``lease`` is the lease's lifetime in seconds. ``kill`` is missing (the life ends by itself), or has ``after``:
seconds; and with ``phase`` and ``times`` those count from the moment when the worker enters that phase for the so-manyth
time. With ``freeze`` the life is expected to stop itself with SIGSTOP; the answer comes when it has, and it goes on, to its
end, at the order ``{"thaw": true}``. With ``wait`` it waits for another one that holds the job. ``later`` is how many
seconds its clock is ahead.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
from counters import Counters

_POLL = 0.0003
_PER_LIFE = frozenset({"delivery_probe", "mutants"})
"""Modules that each life imports by itself, as they look at its environment."""
_KNOWN: frozenset[str] = frozenset()
"""The modules that this process has imported."""


def live(directory: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """One run of the integration, from loading the project on."""
    from contraflow.project import Project
    from contraflow.workspace import utc_now

    later = timedelta(seconds=order.get("later", 0.0))
    os.environ.update(order.get("environ", {}))
    with Project.load(directory) as project:
        project.lease_lifetime = order.get("lease", 30.0)
        project._now = lambda: utc_now() + later
        execution = project.sync("it", everything=True, wait=order.get("wait", False))
    return {
        "status": execution.status.value,
        "exit_code": execution.exit_code,
        "counts": dict(execution.counts),
        "errors": list(execution.errors)[:5],
    }


def _child(directory: Path, order: Mapping[str, Any], answer: int) -> None:
    log = os.open(directory / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        result = live(directory, order)
    except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
        traceback.print_exc()
        result = {"status": "RAISED", "errors": [f"{type(error).__name__}: {error}"]}
    result["modules"] = [name for name in sys.modules if name not in _KNOWN]
    os.write(answer, json.dumps(result, default=str).encode())
    os._exit(0)


@attrs.frozen
class Born:
    """A life that goes on, in a child of this process."""

    pid: int
    pipe: Any
    """Where it tells its result."""
    began: float

    def ended(self, counters: Counters, *, killed: bool = False) -> dict[str, Any]:
        """Wait for the end, and tell it."""
        with self.pipe:
            text = self.pipe.readall()
        _, status = os.waitpid(self.pid, 0)
        dead = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        result = json.loads(text) if text else None
        if result is not None:
            _learn(result.pop("modules"))
        return {
            "killed": killed and dead == signal.SIGKILL,
            "signal": dead,
            "seconds": time.monotonic() - self.began,
            "phase": counters.phase,
            "result": result,
        }


def bear(directory: Path, order: Mapping[str, Any]) -> Born:
    """Fork a life."""
    readable, writable = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        _child(directory, order, writable)
    os.close(writable)
    return Born(pid, open(readable, "rb", buffering=0), began)  # noqa: PTH123 - a descriptor, closed at the end


def run(life: Born, order: Mapping[str, Any], counters: Counters) -> dict[str, Any]:
    """Kill a life as ordered, and tell its end."""
    kill = order.get("kill")
    killed = kill is not None and _wait(life.pipe, kill, counters)
    if killed:
        os.kill(life.pid, signal.SIGKILL)
    return life.ended(counters, killed=killed)


def _is_frozen(life: Born) -> bool:
    """Wait until a life has frozen itself; false if it never does."""
    ended = os.waitid(os.P_PID, life.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if ended is None or ended.si_code != os.CLD_STOPPED:
        return False
    os.waitpid(life.pid, os.WUNTRACED)
    return True


def _wait(pipe: Any, kill: Mapping[str, Any], counters: Any) -> bool:
    """Whether the moment of the kill came before the life's own end."""
    phase, times = kill.get("phase"), kill.get("times", 1)
    while phase is not None and counters.times(phase) < times:
        if select.select([pipe], [], [], _POLL)[0]:
            return False
    return not select.select([pipe], [], [], kill["after"])[0]


def _learn(modules: Sequence[str]) -> None:
    """Import what a life had to import, so that the next ones are born with it."""
    global _KNOWN
    for name in modules:
        if name not in _PER_LIFE:
            with suppress(Exception):
                importlib.import_module(name)
    _KNOWN = frozenset(sys.modules)


def main() -> None:
    """Serve lives until standard input ends."""
    directory = Path(sys.argv[1])
    counters = Counters(directory / "counters")
    _learn(("contraflow.engine.job", "contraflow.project", "contraflow_http.connector"))
    frozen: Born | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("thaw") and frozen is not None:
            os.kill(frozen.pid, signal.SIGCONT)
            answer = frozen.ended(counters)
        else:
            counters.reset()
            life = bear(directory, order)
            if order.get("freeze") and _is_frozen(life):
                frozen, answer = life, {"frozen": life.pid}
            else:
                answer = run(life, order, counters)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
