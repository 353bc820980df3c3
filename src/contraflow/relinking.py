"""Link an item to another record of its remote, by hand: records were merged there, or moved. For ``contraflow relink``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob
from contraflow.engine.leadership import take
from contraflow.engine.stopping import StopRequest
from contraflow.errors import ConfigError, Problem, near_match
from contraflow.ledger import display_key, encode_key
from contraflow.step_check import lacking_for
from contraflow_hookspecs import Key

if TYPE_CHECKING:
    from contraflow.workspace import Workspace


@attrs.frozen(kw_only=True)
class Relinked:
    """An item under its new link."""

    integration: str
    job: str
    step: str
    key: Key
    remote_id: str
    before: str | None
    """The remote id that it had."""
    others: tuple[Key, ...]
    """Other items of the step that are linked to the same record."""


def relink(
    project: Workspace,
    integration: str,
    id: Any,  # noqa: A002 - what people call it
    remote_id: str,
    *,
    now: Callable[[], datetime],
    job: str | None = None,
    step: str | None = None,
) -> Relinked:
    """Link an item to a record of the remote. The next run sends our content there.

    Args:
        project: The project.
        integration: Where the record is.
        id: The item's id, as for ``sync``.
        remote_id: The record's id there.
        now: The clock.
        job: Which job, where the integration has several.
        step: Which step, where the job has several.

    Raises:
        ConfigError: No such integration, job or step; the id has another shape than the key; or it is in doubt what the
            remote has of the item.
        JobRunningError: Another process runs the job.
        LedgerError: The ledger cannot be opened or written.
    """
    if not remote_id.strip():
        raise ConfigError(Problem(message="the remote id is empty", expected="the id of a record at the remote"))
    runnable = project.assemble(
        project.integration(integration), project.job_name(project.integration(integration), job)
    )
    steps = [each.key for each in runnable.steps if each.reader is not None]
    name = _chosen(steps, step, runnable.name)
    _check_connector(project, runnable, name)
    (key,) = project.item_keys(integration, runnable.name, name, [id])
    text, ledger = encode_key(key), project.ledger()
    with take(ledger, integration, runnable.name, now=now, stop=StopRequest()) as leadership:
        stream = ledger.stream(integration=integration, job=runnable.name, step=name)
        if stream is None:
            raise ConfigError(
                Problem(
                    message=f"step '{name}' of job '{runnable.name}' has never run into '{integration}'",
                    hint="run it first; `adopt: true` links what the remote has already",
                )
            )
        known = ledger.item_states(stream.id, [text]).get(text)
        if (known is not None and known.status == "in_doubt") or ledger.in_flight_since(stream.id, text) is not None:
            raise ConfigError(
                Problem(
                    message=f"item {display_key(key)}: nobody can say whether what was sent last has arrived",
                    hint="run `contraflow sync`, and settle what is held by `contraflow held`, first",
                )
            )
        others = tuple(each for each in ledger.linked_to(stream.id, remote_id) if each != key)
        ledger.relink(leadership.lease, stream.id, text, remote_id)
    return Relinked(
        integration=integration,
        job=runnable.name,
        step=name,
        key=key,
        remote_id=remote_id,
        before=None if known is None else known.remote_id,
        others=others,
    )


def _check_connector(project: Workspace, job: RunnableJob, name: str) -> None:
    """See that the step's plugins send a change to the record whose id they are given.

    Raises:
        ConfigError: One says that its settings do not let it.
    """
    (step,) = (each for each in job.steps if each.key == name)
    sentences = lacking_for(project.plugins, step.plugins, job.context(step, project.source, "relink"), "relink")
    problems = [
        Problem(message=f"step '{name}': {project.redact(sentence)}", location=step.location) for sentence in sentences
    ]
    if problems:
        raise ConfigError(*problems)


def _chosen(steps: Sequence[str], wanted: str | None, job: str) -> str:
    if wanted is None and len(steps) == 1:
        return steps[0]
    if wanted in steps:
        return str(wanted)
    raise ConfigError(
        Problem(
            message=f"job '{job}' has several steps" if wanted is None else f"job '{job}' has no step '{wanted}'",
            expected=f"--step, one of {', '.join(steps)}",
            hint=near_match(wanted, steps) if wanted else None,
        )
    )
