"""What plugins are asked before a run: what they bring, what they understand, and whether all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contraflow_hookspecs.markers import hookspec
from contraflow_hookspecs.types import ExportJob, StepContext


@hookspec
def provide_export_job() -> ExportJob | tuple[ExportJob, ...]:  # type: ignore[empty-body]
    """Say which export job this connector brings. What makes a plugin a connector.

    Called once, at assembly, before anything is opened. Pure: no I/O.

    Returns:
        The job, or a tuple of them where one plugin serves several.

    Example:
        >>> @hookimpl
        ... def provide_export_job():
        ...     return ExportJob(name="customers_export", entity="customer", label="Customers to Acme")
        >>> provide_export_job().capabilities.idempotency
        <Idempotency.NONE: 'none'>
    """


@hookspec
def describe_parameters(parameters: Mapping[str, Any]) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Optional. Name the step parameters that this plugin's stages understand, so that a misspelt one is refused.

    A step whose plugins all answer accepts these and the engine's own parameters, and no other; a step with a plugin that
    does not implement this hook accepts any. Called at assembly. Pure.

    Args:
        parameters: The step's parameters as its job file gives them.

    Returns:
        Parameter names, each with one line of help.

    Example:
        >>> @hookimpl
        ... def describe_parameters(parameters):
        ...     return {"season": "which price list to send: summer or winter"}
    """


@hookspec
def check_step(context: StepContext) -> Sequence[str]:  # type: ignore[empty-body]
    """Optional. Say what is wrong with a step's parameters and settings that only this plugin can know.

    Called by ``contraflow check`` and before each run, for every plugin that serves a stage of the step. May look at the
    source database; does not talk to the remote.

    Args:
        context: With ``parameters``, ``settings`` and ``source``; without a resource and without a running execution.

    Returns:
        One sentence for each problem: what was found, what was expected, the nearest valid name. Empty if all is well. A
        sentence that is an ``Advice`` keeps nothing from running.

    Example:
        >>> @hookimpl
        ... def check_step(context):
        ...     season = context.parameters.get("season", "summer")
        ...     return [] if season in ("summer", "winter") else [f"season '{season}': expected summer or winter"]
        >>> check_step(StepContext(integration="a", job="j", step="s", execution_id=0, parameters={"season": "autumn"}))
        ["season 'autumn': expected summer or winter"]
    """


@hookspec
def configure_job(job: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Add or override parameters of a run that is about to start. (The ancestor's event *before sync*.)

    Every plugin is asked; later answers overlay earlier ones. Raise ``SystemicError`` to refuse the run.

    Args:
        job: The job's name.
        parameters: The run's parameters as they stand.

    Returns:
        The parameters to add or replace, or ``None`` for no opinion.

    Example:
        >>> @hookimpl
        ... def configure_job(job, parameters):
        ...     return {"season": "winter"} if job == "customers_export" else None
        >>> configure_job(job="customers_export", parameters={})
        {'season': 'winter'}
    """


@hookspec
def check_connection(context: StepContext) -> str:  # type: ignore[empty-body]
    """Optional. Ask the remote whether we may talk to it; for ``contraflow check --connect``. Read-only.

    Args:
        context: With ``settings`` and ``resource``; without a running execution.

    Returns:
        One line for people, such as ``"Acme 4.2, as user sync"``.

    Raises:
        ConnectorError: The remote cannot be reached, or refuses us.

    Example:
        >>> @hookimpl
        ... def check_connection(context):
        ...     return f"Acme {context.resource.version}"
    """
