"""The connector in a run of the engine, and in ``contraflow check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.driver import NAME
from contraflow.testing.conformance.outcome import expect, fail
from contraflow.testing.project import TemporaryProject
from contraflow.testing.source import SourceTables
from contraflow_hookspecs import BatchStatus, ConnectorError, Item, JobExecution, StepContext, hookimpl

_SAMPLES = "samples"


class RunChecks(ConformanceBase):
    """Everything together: settings, job, resource, ledger."""

    def test_check_connection_tells_whether_the_remote_answers(self, bench: Bench) -> None:
        """It says in one line who answered, and raises an error of the contract where nobody does."""
        if not bench.implements("check_connection"):
            pytest.skip("the connector has no check_connection")
        line = bench.plugins.check_connection(NAME, bench.context)
        expect(line.strip() and "\n" not in line, f"check_connection answered {line!r}; expected one line of text")
        bench.close()
        with bench.away():
            try:
                line = bench.plugins.check_connection(NAME, bench.context)
            except ConnectorError:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the wrong one
                fail(
                    f"check_connection raised {type(error).__name__}: {error}; expected TransientError or SystemicError"
                )
        fail(f"check_connection answered {line!r} although the remote takes no connection")

    def test_a_second_run_sends_nothing(self, bench: Bench, tmp_path: Path) -> None:
        """A run of the engine writes the sample entities; the next one finds them unchanged: payloads are steady."""
        items = bench.items(3)
        directory = tmp_path / "conformance-run"
        directory.mkdir()
        project = TemporaryProject(directory, SourceTables(directory))
        project.register(_Samples(items), _SAMPLES)
        project.connect(bench.connector, name=NAME, settings=bench.raw_settings)
        project.configure({"integrations": {NAME: {"job": bench.job.name}}})
        services = {
            "reader": _SAMPLES,
            "processor": NAME if bench.implements("process_item") else _SAMPLES,
            "writer": NAME,
        }
        step = {"services": services, "parameters": {**self.parameters}}
        project.define({bench.job.name: {"title": "Conformance", "type": "export", "steps": {self.step: step}}})
        try:
            self._ended(project.run(), written=3)
            self._ended(project.run(), unchanged=3)
        finally:
            project.close()

    def _ended(self, execution: JobExecution, **counts: int) -> None:
        found = {name: number for name, number in execution.counts.items() if number and name in _OUTCOMES}
        expect(
            execution.status is BatchStatus.COMPLETED and found == counts,
            f"a run ended {execution.status.value} with {found}; expected {counts}. {' '.join(execution.errors)}",
        )


_OUTCOMES = frozenset(["written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt"])


class _Samples:
    """Reads the sample entities, and processes them where the connector does not."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    @hookimpl
    def read_items(self, context: StepContext) -> Iterator[Item]:
        """Each of them."""
        yield from self._items

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Mapping[str, Any]:
        """The entity as it is."""
        return dict(item.data)
