"""Row 30 of the fault matrix: the connection to a ledger in PostgreSQL is cut at a COMMIT, by a proxy on the way.

Before the server got it, nothing is in the ledger; behind that, all of it is, and the client cannot tell the two apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import attrs
import pytest
from direct import findings, outcomes
from ledgers import postgresql_schema
from selection import EVERYTHING, selected

from contraflow.testing import Fault, FaultKind, Request, TcpProxy

ALL = {"written": 5}
COMMIT = b"COMMIT"
MARKS = {"T1": b"INSERT INTO cf_intent", "T2": b"DELETE FROM cf_intent"}
"""What only that transaction says. Statements are spelt out as long as the driver has not seen them often."""


@attrs.define
class AtCommit:
    """Is true of the COMMIT of each transaction that says something."""

    mark: bytes = b"?"
    _within: bool = False

    def __call__(self, request: Request) -> bool:
        self._within = self._within or self.mark in request.body
        if self._within and COMMIT in request.body:
            self._within = False
            return True
        return False


@pytest.fixture
def at_commit() -> AtCommit:
    return AtCommit()


@pytest.fixture
def proxy(at_commit: AtCommit) -> Iterator[TcpProxy]:
    try:
        with postgresql_schema() as url, TcpProxy(url, concerns=at_commit) as proxy:
            yield proxy
    except ConnectionError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


CASES = [
    (transaction, carried_out, times, delivery_class)
    for transaction in ("T1", "T2")
    for carried_out in (False, True)
    for times in (1, 2)
    for delivery_class in "ABCD"
]
QUICK = [case for case in CASES if case[3] == {1: "A", 2: "D"}[case[2]]]


@pytest.mark.parametrize(("transaction", "carried_out", "times", "delivery_class"), selected(CASES, QUICK))
def test_30_a_connection_cut_at_commit(direct, proxy, at_commit, transaction, carried_out, times, delivery_class):
    project = direct(delivery_class, ledger_url=proxy.url)
    project.run()
    project.workload.touch(5)
    written = len(project.requests)
    at_commit.mark = MARKS[transaction]
    proxy.inject(Fault(kind=FaultKind.RESET, apply=carried_out, times=times))
    execution = project.run()
    assert proxy.hits == times or (carried_out and transaction == "T2")
    assert proxy.hits in (1, times)
    goes_on = proxy.hits == 1
    assert (execution.exit_code == "COMPLETED") is goes_on
    assert outcomes(execution) == (ALL if goes_on else {})
    assert len(project.requests) - written == (0 if transaction == "T1" and not goes_on else 5)
    proxy.clear()
    project.finish()
    assert findings(project) == []


@pytest.mark.parametrize("delivery_class", "ACD" if EVERYTHING else "C")
def test_30_every_commit_is_lost_once(direct, proxy, at_commit, delivery_class):
    """Each transaction of the run that is repeated: of intents, retries and settlements, chunk by chunk."""
    project = direct(delivery_class, ledger_url=proxy.url, batch_size=1, parameters={"concurrency": 2})
    project.run()
    project.workload.touch(5)
    at_commit.mark = b"cf_intent"
    lost = 0
    for number in range(3):
        proxy.inject(Fault(kind=FaultKind.RESET, apply=number % 2 == 0, after=number, times=1))
        project.run()
        lost += proxy.hits
        proxy.clear()
        project.workload.touch(5)
    assert lost == 3
    project.finish()
    assert findings(project) == []
