"""What ``contraflow check`` finds: everything that would keep a project's jobs from running, without running them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import attrs

from contraflow.assembly import RunnableJob, unresolved
from contraflow.config import EXPORT, IntegrationConfig
from contraflow.errors import ConfigError, ContraflowError, LedgerError, LedgerMissingError, Problem
from contraflow.key_check import key_problems
from contraflow.step_check import step_advice, step_problems
from contraflow.workspace import Workspace
from contraflow_hookspecs import ConnectorError, StepContext


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """What was looked at, such as ``integration acme-eu``."""
    problems: tuple[Problem, ...] = ()
    note: str = ""
    """What there is to say of it if all is well."""
    promise: tuple[str, ...] = ()
    """Of a job: what it promises when something goes wrong."""
    fatal: bool = True
    """Whether its problems keep a job from running."""


def check(project: Workspace, *, connect: bool = False) -> Iterator[Finding]:
    """Look at a project, part by part.

    Args:
        project: The project; its configuration is loaded, so its files are valid.
        connect: Also ask each remote whether it talks to us.
    """
    for finding in _findings(project, connect):
        problems = tuple(project.redact.problem(problem) for problem in finding.problems)
        yield attrs.evolve(finding, problems=problems, note=project.redact(finding.note))


def _findings(project: Workspace, connect: bool) -> Iterator[Finding]:
    yield from _plugins(project)
    yield _source(project)
    yield _ledger(project)
    for integration in project.config.integrations.values():
        yield from _integration(project, integration, connect)
    yield from _other_jobs(project)


def _plugins(project: Workspace) -> Iterator[Finding]:
    records = project.plugins.records
    for record in records:
        if record.error is not None:
            problem = Problem(message=record.error)
            yield Finding(subject=f"plugin {record.name} ({record.distribution})", problems=(problem,), fatal=False)
    usable = sum(record.error is None for record in records)
    yield Finding(subject="plugins", note=f"{usable} loaded")


def _source(project: Workspace) -> Finding:
    if project.source is None:
        return Finding(subject="source", note="none named; only readers that need no database can be used")
    try:
        problems = tuple(project.source.check())
    except ContraflowError as error:
        problems = _problems_of(error)
    return Finding(
        subject="source",
        problems=problems,
        note=f"connected; {_counted(len(project.config.entities), 'entity', 'entities')}",
    )


def _ledger(project: Workspace) -> Finding:
    try:
        ledger = project.ledger(create=False)
    except LedgerMissingError:
        return Finding(subject="ledger", note="not there yet; the first run makes it")
    except LedgerError as error:
        return Finding(subject="ledger", problems=_problems_of(error))
    return Finding(subject="ledger", note=ledger.display_url)


def _integration(project: Workspace, integration: IntegrationConfig, connect: bool) -> Iterator[Finding]:
    subject = f"integration {integration.name}"
    try:
        names = project.job_names(integration)
    except ContraflowError as error:
        yield Finding(subject=subject, problems=_problems_of(error))
        return
    for name in names:
        where = f"{subject}, job {name}"
        try:
            job = project.assemble(integration, name)
            problems = tuple(step_problems(job, project.plugins, project.source, project.redact))
            if not problems:
                problems = tuple(_key_problems(project, job))
        except ContraflowError as error:
            yield Finding(subject=where, problems=_problems_of(error))
            continue
        note = _counted(len(job.steps), "step", "steps") + ("" if integration.enabled else ", disabled")
        promise = tuple(each.sentence for each in project.promise(job))
        yield Finding(subject=where, problems=problems, note=note, promise=promise)
        if not problems:
            yield from _advice(project, job, where)
        if connect and not problems and integration.enabled:
            yield _connection(project, job, where)


def _key_problems(project: Workspace, job: RunnableJob) -> Iterator[Problem]:
    ledger = None
    with suppress(LedgerError):  # told as the ledger's own trouble
        ledger = project.existing_ledger()
    if ledger is not None:
        yield from key_problems(job, project.source, ledger)


def _advice(project: Workspace, job: RunnableJob, where: str) -> Iterator[Finding]:
    advice = tuple(step_advice(job, project.plugins, project.source, project.redact))
    if advice:
        yield Finding(subject=f"{where}, advice", problems=advice, fatal=False)


def _other_jobs(project: Workspace) -> Iterator[Finding]:
    """Jobs that are defined and that no integration uses: what they name is looked up all the same."""
    used = set()
    for integration in project.config.integrations.values():
        with suppress(ContraflowError):  # told as the integration's own trouble
            used |= set(project.job_names(integration))
    for name, definition in project.definitions.items():
        subject = f"job {name}"
        if definition.type != EXPORT:
            yield Finding(subject=subject, note=f"of type {definition.type}, so it is not run")
        elif name not in used:
            problems = tuple(unresolved(project.config, project.plugins, definition))
            yield Finding(subject=subject, problems=problems, note="no integration uses it", fatal=False)


def _connection(project: Workspace, job: RunnableJob, where: str) -> Finding:
    subject = f"{where}, connection"
    if not project.plugins.implements(job.connector, "check_connection"):
        return Finding(subject=subject, note=f"connector '{job.connector}' cannot check it")
    context = StepContext(
        integration=job.integration, job=job.name, step="", execution_id=0, settings=job.settings, source=project.source
    )
    try:
        with job.open_resource() as resource:
            answer = project.plugins.check_connection(job.connector, attrs.evolve(context, resource=resource))
    except Exception as error:  # noqa: BLE001 - whatever the remote or the connector says is the finding
        return Finding(subject=subject, problems=_problems_of(error))
    return Finding(subject=subject, note=answer)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _problems_of(error: Exception) -> tuple[Problem, ...]:
    if isinstance(error, ConfigError):
        return error.problems
    name = "" if isinstance(error, ContraflowError | ConnectorError) else f"{type(error).__name__}: "
    return (Problem(message=f"{name}{error}"),)
