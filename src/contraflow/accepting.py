"""Go on with a ledger that was restored from an older copy: believe nothing of what it says of the remotes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from contraflow.engine.leadership import take
from contraflow.engine.promise import Promise, promise_when_restored
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, ContraflowError, Problem
from contraflow.ledger import Ledger, StreamName

if TYPE_CHECKING:
    from contraflow.workspace import Workspace

_WORDS = {
    Promise.CONFIRMED_ONCE: "the next sync asks the remote for every item, and sends what it does not have",
    Promise.REPORTED: "the next sync holds every item that differs from the restored ledger: see `contraflow held`",
}
_SENT = "the next sync sends every item again"


@attrs.frozen(kw_only=True)
class AcceptedStep:
    """A step whose items are gone through anew."""

    integration: str
    job: str
    step: str
    treatment: str
    """What the next run does with its items, for people."""


def accept(project: Workspace, ledger: Ledger, *, now: Callable[[], datetime], force: bool) -> Sequence[AcceptedStep]:
    """Accept a restored ledger, while no job runs.

    Args:
        project: Whose ledger it is.
        ledger: Open.
        now: The clock.
        force: Whether to do it though nothing shows that the ledger is older than it was.

    Raises:
        ConfigError: Nothing shows it.
        JobRunningError: A process runs a job of the project.
    """
    if not force and ledger.contradiction() is None:
        raise ConfigError(
            Problem(
                message=f"the ledger {ledger.display_url} has come as far as this project has seen it",
                hint="--force, if you know that it is an older copy",
            )
        )
    promises = dict(_promises(project))
    with ExitStack() as stack:
        for integration, job in dict.fromkeys((each.integration, each.job) for each in promises):
            stack.enter_context(take(ledger, integration, job, now=now, stop=StopRequest()))
        held = [name for name, promise in promises.items() if promise is Promise.REPORTED]
        ledger.accept_restored(list(promises), held)
    return [
        AcceptedStep(integration=name.integration, job=name.job, step=name.step, treatment=_WORDS.get(promise, _SENT))
        for name, promise in promises.items()
    ]


def _promises(project: Workspace) -> Iterator[tuple[StreamName, Promise]]:
    """Every step that writes, and what may be done with its items."""
    for integration in project.config.integrations.values():
        with suppress(ContraflowError):  # what cannot be run has nothing on its way
            for name in project.job_names(integration):
                job = project.assemble(integration, name)
                for step in job.steps:
                    if step.writer is not None:
                        promise = promise_when_restored(job.capabilities, step.parameters.get("in_doubt"))
                        yield StreamName(integration.name, name, step.key), promise
