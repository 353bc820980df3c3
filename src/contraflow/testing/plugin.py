"""The pytest plugin of ``contraflow[testing]``.

Every test run of whoever has contraflow installed imports this module, so it imports nothing but pytest: what a fixture
needs comes with the fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contraflow.testing.clock import Clock
    from contraflow.testing.project import TemporaryProject
    from contraflow.testing.recorder import Recorder
    from contraflow.testing.remote.process import FaultRemote
    from contraflow.testing.source import SourceTables
    from contraflow_hookspecs import JobExecution


@pytest.fixture
def contraflow_project(tmp_path: Path) -> Iterator[TemporaryProject]:
    """A temporary project with a source database and a ledger, and no connector yet."""
    from contraflow.testing.project import TemporaryProject
    from contraflow.testing.source import SourceTables

    directory = tmp_path / "contraflow-project"
    directory.mkdir()
    project = TemporaryProject(directory, SourceTables(directory))
    yield project
    project.close()


@pytest.fixture
def source(contraflow_project: TemporaryProject) -> SourceTables:
    """The project's source database: ``source.fill("customer", {"id": 1, "name": "Ana"})``."""
    return contraflow_project.source


@pytest.fixture
def connector(contraflow_project: TemporaryProject) -> Callable[..., str]:
    """Put the connector under test into the project: ``connector(plugin, name="acme", settings={...})``."""
    return contraflow_project.connect


@pytest.fixture
def run_job(contraflow_project: TemporaryProject) -> Callable[..., JobExecution]:
    """Run the project's job as a new process would: ``execution = run_job()``."""
    return contraflow_project.run


@pytest.fixture
def recorder(contraflow_project: TemporaryProject) -> Recorder:
    """Every hook call of the project's runs, with arguments and results."""
    from contraflow.testing.recorder import Recorder

    recorder = Recorder()
    contraflow_project.record(recorder)
    return recorder


@pytest.fixture
def clock(contraflow_project: TemporaryProject) -> Clock:
    """The clock of the project's runs, which stands until it is set."""
    from contraflow.testing.clock import Clock

    clock = Clock()
    contraflow_project.now = clock
    return clock


@pytest.fixture(scope="session")
def contraflow_fault_remote_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRemote]:
    """The one fault remote of a test run; use ``fault_remote``."""
    from contraflow.testing.remote.process import fault_remote

    with fault_remote(tmp_path_factory.mktemp("fault-remote"), {}) as remote:
        yield remote


@pytest.fixture
def fault_remote(contraflow_fault_remote_process: FaultRemote) -> FaultRemote:
    """A real HTTP server that fails as its script says, empty, and with nothing failing yet."""
    contraflow_fault_remote_process.reset({})
    return contraflow_fault_remote_process


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option, for programs."""
    parser.getgroup("contraflow").addoption(
        "--contraflow-report", metavar="FILE", help="write what the conformance suite found of each connector, as JSON"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which promises connectors have earned, if the conformance suite was run."""
    if "contraflow.testing.conformance" in sys.modules:
        from contraflow.testing.report import write_report

        write_report(terminalreporter, config.getoption("contraflow_report"))
