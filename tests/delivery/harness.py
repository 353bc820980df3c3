"""A project, a fault remote and workers that are killed: the bench on which delivery is tried.

A :class:`Bench` is one project with one integration of one delivery class. Its worker lives as often as it is told to, and
is killed at random, aimed at a phase, or at a named crash point (:mod:`crash_points`); the source changes in between; in
the end it may finish undisturbed, and the checker says what was promised and not kept.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import yaml
from checker import Evidence, Report, check
from counters import Counters
from evidence import gather
from remotes import settings
from workload import FIELDS, Workload

from contraflow.testing.remote.process import FaultRemote, fault_remote

LATER = timedelta(days=2)
"""Longer than any remote of these tests asks to be left alone."""

_HERE = Path(__file__).parent
_PHASES = ("T0", "reading", "T1", "call", "call", "call", "answered", "T2", "T3", "waiting")
"""At which an aimed kill aims; a call is where most can go wrong."""


@attrs.frozen(kw_only=True)
class Setting:
    """What a bench is to be like."""

    delivery_class: str
    form: str = "single"
    batch_size: int = 5
    """Changes in one chunk, and in one batch of the remote."""
    records: int = 20
    """At the beginning."""
    inserts: int = 1
    """New records between two lives."""
    updates: int = 8
    """Records with a new version between two lives."""
    style: str = "rising"
    script: Mapping[str, Any] = attrs.field(factory=dict)
    timeout: float = 0.5
    lifetime: float = 0.6
    """Longer than the timeout and than any delay of the script, or the remote breaks its own word."""
    lease: float = 1.0
    """Seconds without a heartbeat after which a worker may be taken for dead. PostgreSQL proves no death at once, so a
    third of them passes after each kill there."""
    seed: int = 0
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    """Of the step."""
    mutant: str = ""
    """A broken variant of the protocol (:mod:`mutants`)."""


@attrs.frozen(kw_only=True)
class Life:
    """How one life of the worker ended."""

    killed: bool
    """By the parent."""
    signal: int | None
    seconds: float
    phase: str
    """What it was doing at the end."""
    result: Mapping[str, Any] | None
    """Of a life that ended by itself."""


@attrs.frozen(kw_only=True)
class Storm:
    """What a series of kills was."""

    kills: int
    lives: int
    phases: Mapping[str, int]
    """How many kills fell into which phase."""
    seconds: float


@attrs.frozen
class Driver:
    """A running ``worker.py``."""

    process: subprocess.Popen[str]
    log: Path

    def tell(self, order: Mapping[str, Any]) -> None:
        """Give an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to an order."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker's driver died; see {self.log}")
        found: dict[str, Any] = json.loads(answer)
        return found


class NotFinishedError(AssertionError):
    """The worker did not come to an end within many undisturbed runs."""


class Bench:
    """Made by :func:`bench`.

    Args:
        directory: Of the project.
        setting: What it is like.
        remote: Running.
        drivers: Running; the second is for what two processes do at once.
        ledger: The ledger's URL.
    """

    def __init__(
        self, directory: Path, setting: Setting, remote: FaultRemote, drivers: Sequence[Driver], ledger: str
    ) -> None:
        self.directory, self.setting, self.remote = directory, setting, remote
        self.ledger = ledger
        self._drivers = drivers
        self.random = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
        self.workload = Workload(path=directory / "source.db", seed=setting.seed, style=setting.style)
        self.workload.insert(setting.records)
        self._known: set[str] = set()
        self._usual = 0.1
        """Seconds that an undisturbed life took lately."""

    # Lives

    def live(
        self,
        *,
        after: float | None = None,
        phase: str | None = None,
        times: int = 1,
        point: str = "",
        mutant: str | None = None,
        wait: bool = False,
        later: timedelta = timedelta(),
    ) -> Life:
        """Let the worker live once.

        Args:
            after: Kill it after so many seconds.
            phase: Count them from when it enters this phase ...
            times: ... for the so-manyth time.
            point: Let it kill itself at this crash point, ``NAME`` or ``NAME:HIT``.
            mutant: The broken variant to run; ``None`` for the setting's.
            wait: Whether it waits while another one runs the job.
            later: How far its clock is ahead.
        """
        order = self._order(point, mutant, wait=wait, later=later.total_seconds())
        if after is not None:
            order["kill"] = {"after": after, **({"phase": phase, "times": times} if phase else {})}
        self._drivers[0].tell(order)
        return Life(**self._drivers[0].answer())

    def race(self) -> list[Life]:
        """Let two workers begin at the same moment."""
        drivers = self._drivers[:2]
        for driver in drivers:
            driver.tell(self._order())
        return [Life(**driver.answer()) for driver in drivers]

    @contextmanager
    def frozen(self, point: str, *, mutant: str = "") -> Iterator[list[Life]]:
        """Freeze a second worker at a crash point as long as the context lasts.

        Yields:
            A list that has, after the context, what became of it.
        """
        driver, lives = self._drivers[1], []
        order = self._order(point, mutant)
        order["environ"]["CONTRAFLOW_PROBE_SIGNAL"] = "SIGSTOP"
        driver.tell({**order, "freeze": True})
        told = driver.answer()
        if "frozen" not in told:
            raise AssertionError(f"{point} was never reached: {told}")
        try:
            yield lives
        finally:
            driver.tell({"thaw": True})
            lives.append(Life(**driver.answer()))

    def _order(self, point: str = "", mutant: str | None = None, **more: Any) -> dict[str, Any]:
        return {"environ": self.environ(point, mutant), "lease": self.setting.lease, **more}

    def environ(self, point: str = "", mutant: str | None = None) -> dict[str, str]:
        """What steers the probe."""
        return {
            "CONTRAFLOW_PROBE_POINT": point,
            "CONTRAFLOW_PROBE_SIGNAL": "SIGKILL",
            "CONTRAFLOW_PROBE_COUNTERS": str(self.directory / "counters"),
            "CONTRAFLOW_PROBE_MUTANT": self.setting.mutant if mutant is None else mutant,
        }

    def command(self, *, after: float | None = None, point: str = "") -> int:
        """Run ``contraflow sync`` as a person does, in a process of its own.

        Args:
            after: Kill it after so many seconds.
            point: Let it kill itself at this crash point.

        Returns:
            Its exit code; the negative number of the signal that ended it.
        """
        environ = self.process_environ(point)
        command = [sys.executable, "-m", "contraflow", "sync", "it", "--all"]
        with (self.directory / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.directory, env=environ, stdout=log, stderr=log)
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            return process.wait()

    def process_environ(self, point: str = "") -> dict[str, str]:
        """The environment of a process of its own."""
        return {**os.environ, **self.environ(point), "PYTHONPATH": _python_path()}

    def change(self) -> None:
        """Let time pass at the source: new records, and new versions of some."""
        self.workload.insert(self.setting.inserts)
        self.workload.touch(self.setting.updates)

    # Runs

    def storm(self, kills: int, *, tell: Callable[[int], None] | None = None) -> Storm:
        """Kill the worker so many times, with changes at the source in between.

        Half of the kills fall after a random time, half are aimed at a phase. A worker that has something to wait for (the
        quiesce time) is given the time for it more often than not, lest it never gets beyond.
        """
        done, lives, seconds = 0, 0, 0.0
        phases: Counter[str] = Counter()
        patience = kills * 20 + 100
        in_doubt = False
        while done < kills:
            self.change()
            life = self.live(**self._aim(in_doubt))
            lives, seconds = lives + 1, seconds + life.seconds
            if lives > patience:
                raise NotFinishedError(f"{done} of {kills} kills in {lives} lives: the worker ends before it is killed")
            if life.killed:
                done += 1
                phases[life.phase] += 1
                in_doubt = in_doubt or life.phase in ("T1", "call", "answered", "T2")
                if tell is not None:
                    tell(done)
            else:
                in_doubt = False
                self._usual = 0.7 * self._usual + 0.3 * min(life.seconds, 1.0)
        return Storm(kills=done, lives=lives, phases=dict(phases), seconds=seconds)

    def _aim(self, in_doubt: bool) -> dict[str, Any]:
        chance = self.random.random
        pause = self.setting.lifetime if in_doubt and self.setting.delivery_class != "A" and chance() < 0.7 else 0.0
        if chance() < 0.5:
            return {"after": pause + self.random.uniform(0.0, 1.2 * self._usual)}
        phase = self.random.choice(_PHASES)
        return {
            "phase": phase,
            "times": self.random.randint(1, 4),
            "after": self.random.choice((0.0, 0.0, 0.001, 0.004)),
        }

    def finish(self, *, most: int = 40, mutant: str | None = None, later: timedelta = timedelta()) -> Life:
        """Let the worker run undisturbed until nothing is left to be done that it can do.

        Args:
            most: Runs.
            mutant: The broken variant to run; ``None`` for the setting's.
            later: How far its clock is ahead. No request may be on its way any more: its time would seem to be over.

        Raises:
            NotFinishedError: There was always something left.
        """
        idle, life = 0, None
        for _ in range(most):
            life = self.live(mutant=mutant, later=later)
            result = life.result or {}
            counts = result.get("counts", {})
            quiet = result.get("status") == "COMPLETED" and not counts.get("written") and not counts.get("deferred")
            idle = idle + 1 if quiet else 0
            # The first run after a crash may go on from a checkpoint, and leave what changed before it to the next one.
            if idle and (idle == 2 or counts.get("read") == self.workload.records):
                self.remote.settle()
                return life
        raise NotFinishedError(f"not finished after {most} runs; the last one: {life}; see {self.directory}/worker.log")

    def evidence(self) -> Evidence:
        """All that the checker needs."""
        self.remote.settle()
        return gather(self.setting.delivery_class, self.workload.path, self.remote.log, self.ledger)

    def news(self, *, refused: Collection[str] = ()) -> list[str]:
        """The findings since the last time."""
        found = {str(finding) for finding in self.check(refused=refused).findings}
        new, self._known = sorted(found - self._known), self._known | found
        return new

    def check(self, *, refused: Collection[str] = (), blames: bool = False) -> Report:
        """What was promised and not kept.

        Args:
            refused: The records that the remote refuses for good.
            blames: Whether the worker died so often that items may be held for it.
        """
        return check(attrs.evolve(self.evidence(), refused=refused, blames=blames))


@contextmanager
def bench(directory: Path, setting: Setting, *, ledger: str | None = None, workers: int = 1) -> Iterator[Bench]:
    """Set up a project, its remote and its worker.

    Args:
        directory: Empty.
        setting: What is to be tried.
        ledger: The ledger's URL; ``None`` for an SQLite file in the directory.
        workers: How many there may be at a time: one, or two.
    """
    ledger = ledger or f"sqlite:///{directory / 'ledger.db'}"
    with ExitStack() as stack:
        Counters.create(directory / "counters").close()
        # They take a while to import everything; meanwhile, the remote is begun.
        drivers = [stack.enter_context(_driver(directory, number)) for number in range(workers)]
        remote = stack.enter_context(fault_remote(directory, setting.script))
        write_project(directory, setting, remote.url, ledger)
        yield Bench(directory, setting, remote, drivers, ledger)


def write_project(directory: Path, setting: Setting, url: str, ledger: str, *, probed: bool = True) -> None:
    """Write the project's files.

    Args:
        directory: Where.
        setting: What the bench is like.
        url: The remote's.
        ledger: The ledger's URL.
        probed: Whether its runs are watched by the probe, which patches the whole process.
    """
    fields = FIELDS[setting.style]
    integration = settings(
        setting.delivery_class,
        url,
        fields,
        form=setting.form,
        size=setting.batch_size,
        timeout=setting.timeout,
        lifetime=setting.lifetime,
    )
    step = {
        "services": {"reader": "entity.all", "processor": "http", "writer": "http"},
        "parameters": {
            "entity": "item",
            "batch_size": setting.batch_size,
            **({"in_doubt": "resend"} if setting.delivery_class == "E" else {}),
            **setting.parameters,
        },
    }
    project = {
        "source": "sqlite:///source.db",
        "ledger": ledger,
        "entities": {"item": {"table": "item"}},
        "integrations": {"it": {"connector": "http", "settings": integration, "job": "items"}},
        **({"plugins": {"probe": "delivery_probe"}} if probed else {}),
        "jobs": ["jobs.yml"],
    }
    (directory / "contraflow.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    (directory / "jobs.yml").write_text(yaml.safe_dump({"items": {"type": "export", "steps": {"items": step}}}))


@contextmanager
def _driver(directory: Path, number: int) -> Iterator[Driver]:
    environ = {**os.environ, "PYTHONPATH": _python_path()}
    log = directory / f"driver{number}.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(_HERE / "worker.py"), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environ,
            text=True,
        ) as process,
    ):
        try:
            yield Driver(process, log)
        finally:
            with suppress(BrokenPipeError):
                process.communicate()


def _python_path() -> str:
    """Where the worker finds the probe: here; and what this process was told to find first."""
    return os.pathsep.join(filter(None, (str(_HERE), os.environ.get("PYTHONPATH"))))
