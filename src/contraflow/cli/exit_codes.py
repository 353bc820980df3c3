"""The exit codes of the program, and the one that an execution earns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from contraflow_hookspecs import BatchStatus, JobExecution

OK = 0
FAILED = 1
CONFIGURATION = 2
REJECTED = 3
IN_DOUBT = 4
LOCKED = 5
LEDGER = 6
GUARDED = 7
CONFLICTS = 8
DRIFTED = 9
CHANGES = 10
STALE = 11
INTERNAL = 70
LATER = 75
INTERRUPTED = 130
TERMINATED = 143

MEANINGS: Mapping[int, str] = {
    OK: "done",
    FAILED: "the run failed; what was settled stays settled",
    CONFIGURATION: "usage or configuration; nothing was started",
    REJECTED: "done, but some items were rejected: see `contraflow dead-letters`",
    IN_DOUBT: "the fate of some items is unknown: see `contraflow status`",
    LOCKED: "the job runs in another process, or another process has taken it over",
    LEDGER: "the ledger cannot be opened, trusted or written",
    GUARDED: "a guard stopped the run: see what it would have done, and release it with --approve if it is meant",
    CONFLICTS: "done, but records changed at the remote wait for a decision: see `contraflow conflicts`",
    DRIFTED: "the remote differs from what it last confirmed: see `contraflow drift --repair`",
    CHANGES: "of `plan --exit-code`: there is something to do",
    STALE: "done, but what has changed since the plan was made was left out: plan again",
    INTERNAL: "an error in contraflow itself",
    LATER: "the remote was not available, or deferred items; run again later",
    INTERRUPTED: "interrupted by Ctrl-C; the next run goes on where this one stopped",
    TERMINATED: "stopped by a signal or by `contraflow stop`; the next run goes on where this one stopped",
}


def exit_code(execution: JobExecution, *, doubts: bool = False, planned: bool = False) -> int:
    """The exit code that an execution earns.

    Args:
        execution: How it ended.
        doubts: Whether the ledger holds items of the job that are in doubt, since this run or an earlier one.
        planned: Whether it carried out a plan: then what was not there to be read was left out, too.
    """
    if execution.status is BatchStatus.STOPPED:
        return INTERRUPTED if execution.exit_description.startswith("interrupted") else TERMINATED
    if execution.exit_code == "LEDGER":
        return LEDGER
    if execution.exit_code == "GUARD":
        return GUARDED
    if execution.exit_code == "INVARIANT":
        return INTERNAL
    counts: Counter[str] = Counter()  # of all steps, those outside of the headline included
    for step in execution.steps:
        counts.update(step.counts)
    failed = execution.status is not BatchStatus.COMPLETED
    if counts.get("in_doubt") or (
        failed and doubts
    ):  # also of a run that failed: nothing else asks for a person's eyes as much
        return IN_DOUBT
    if failed:
        return LATER if execution.exit_code == "UNAVAILABLE" else FAILED
    if counts.get("rejected"):
        return REJECTED
    if counts.get("conflict"):
        return CONFLICTS
    # Before what was put off: a plan is applied once, and a new one has that, too.
    if counts.get("stale") or (planned and counts.get("missing")):
        return STALE
    return LATER if counts.get("deferred") else OK
