"""Runs within the test's own process, where nothing has to be killed: the project, its ledger and its remote are real."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
from checker import Report, check
from evidence import gather
from harness import LATER, Setting, write_project
from workload import Workload

from contraflow.project import Project
from contraflow.testing.remote.effect_log import read_log
from contraflow.testing.remote.process import FaultRemote
from contraflow.workspace import utc_now
from contraflow_hookspecs import JobExecution

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt")


@attrs.define(kw_only=True)
class Direct:
    """A project with one integration.

    Args:
        directory: Empty.
        setting: What it is like.
        remote: Running, and forgetful of what came before.
        ledger_url: The ledger's URL; ``None`` for an SQLite file in the directory.
    """

    directory: Path
    setting: Setting
    remote: FaultRemote
    ledger_url: str | None = None
    workload: Workload = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.workload = Workload(path=self.directory / "source.db", seed=self.setting.seed, style=self.setting.style)
        self.workload.insert(self.setting.records)

    @property
    def ledger(self) -> str:
        """Its URL."""
        return self.ledger_url or f"sqlite:///{self.directory / 'ledger.db'}"

    def project(self, *, url: str | None = None) -> Project:
        """Load the project as a new process would; ``url`` is where the remote is taken to be."""
        write_project(self.directory, self.setting, url or self.remote.url, self.ledger, probed=False)
        return Project.load(self.directory)

    def run(self, *, url: str | None = None, later: timedelta = timedelta(), **request: Any) -> JobExecution:
        """One synchronisation; ``later`` is how far its clock is ahead."""
        with self.project(url=url) as project:
            project._now = lambda: utc_now() + later
            return project.sync("it", **{"everything": True, **request})

    def finish(self, *, most: int = 5) -> JobExecution:
        """Run until there is nothing left to be done: at once, and when all that the remote put off is due again."""
        for number in range(most):
            execution = self.run(later=LATER if number else timedelta())
            if not {"written", "deferred"} & outcomes(execution).keys():
                return execution
        raise AssertionError(f"not finished after {most} runs: {execution}")

    def check(self, *, refused: Collection[str] = ()) -> Report:
        """What was promised and not kept."""
        self.remote.settle()
        evidence = gather(self.setting.delivery_class, self.workload.path, self.remote.log, self.ledger)
        return check(attrs.evolve(evidence, refused=refused))

    @property
    def requests(self) -> Sequence[Mapping[str, Any]]:
        """The writes that came to the remote, the oldest first."""
        return [
            event for event in read_log(self.remote.log) if event["event"] == "received" and event["method"] != "GET"
        ]


def outcomes(execution: JobExecution) -> dict[str, int]:
    """How many items had which outcome; none that no item had."""
    return {name: execution.counts[name] for name in OUTCOMES if execution.counts.get(name)}


def findings(project: Direct, **known: Any) -> list[str]:
    """What was promised and not kept, in words."""
    return [str(finding) for finding in project.check(**known).findings]
