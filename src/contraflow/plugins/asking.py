"""Asks plugins what is to be known before anything runs, and holds their answers against the contract."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any

from contraflow.config import JobDefinition, parse_jobs
from contraflow.contract import describe
from contraflow.errors import ConfigError, ContraflowError, HookContractError, PluginError, Problem
from contraflow.plugins.registry import PluginRegistry
from contraflow_hookspecs import Advice, ConnectorError, ExportJob, StepContext

_log = logging.getLogger("contraflow.plugins")


class Plugins(PluginRegistry):
    """The plugins of a project.

    Args:
        disabled: Names of entry points that are not to be loaded.
        only: Names of the distributions whose entry points are considered; ``None`` for all that are installed.
    """

    def export_jobs(self, name: str) -> tuple[ExportJob, ...]:
        """The jobs that the named connector brings; empty if it brings none.

        Raises:
            HookContractError: The answer is not an ``ExportJob`` or a tuple of them.
        """
        if not self.implements(name, "provide_export_job"):
            return ()
        answer = self._ask("provide_export_job", name)
        jobs = answer if isinstance(answer, tuple) else (answer,)
        strangers = [job for job in jobs if not isinstance(job, ExportJob)]
        if strangers or not jobs:
            found = describe(strangers[0]) if strangers else "an empty tuple"
            raise HookContractError(name, "provide_export_job", found, "an ExportJob or a tuple of them")
        return jobs

    def definitions(self, name: str, job: ExportJob) -> Mapping[str, JobDefinition]:
        """The jobs in the definition that the named connector brings; none if the project defines them.

        Raises:
            ConfigError: The connector's definition is not valid, or its file is not there.
        """
        given: Any = job.definition
        if given is None:
            return {}
        where = f"plugin '{name}'"
        if isinstance(given, Mapping):
            return parse_jobs(given, name=where)
        if isinstance(given, str):
            given = _package_of(self.plugin(name)) / given
        if not isinstance(given, Traversable):
            expected = "a definition that is the name of a file, a file, a mapping, or None"
            raise HookContractError(name, "provide_export_job", describe(given), expected)
        try:
            text = given.read_bytes()
        except OSError:
            raise ConfigError(
                Problem(message=f"{where}: the definition of job '{job.name}' cannot be read", found=str(given))
            ) from None
        return parse_jobs(text, name=f"{where}, {given.name}")

    def source_digest(self, name: str) -> str | None:
        """A digest of the source of the module in which the named plugin is written; ``None`` where there is none."""
        path = getattr(_module_of(self.plugin(name)), "__file__", None)
        try:
            return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest() if path else None
        except OSError:
            return None

    def check_step(self, name: str, context: StepContext) -> Sequence[str]:
        """What the named plugin objects to in a step; empty if nothing."""
        if not self.implements(name, "check_step"):
            return ()
        answer = self._ask("check_step", name, context=context)
        if (
            isinstance(answer, str)
            or not isinstance(answer, Sequence)
            or any(type(each) not in (str, Advice) for each in answer)
        ):
            raise HookContractError(name, "check_step", describe(answer), "a sequence of sentences")
        return answer

    def check_connection(self, name: str, context: StepContext) -> str:
        """What the named plugin's remote says to us.

        Raises:
            Exception: Whatever keeps the connector from talking to its remote.
        """
        answers = self.caller("check_connection", name)(context=context)
        answer = answers[0] if answers else None
        if not isinstance(answer, str):
            raise HookContractError(name, "check_connection", describe(answer), "one line of text")
        return answer

    def parameters(self, name: str, given: Mapping[str, Any]) -> Mapping[str, str] | None:
        """The step parameters that the named plugin understands; ``None`` if it does not say."""
        if not self.implements(name, "describe_parameters"):
            return None
        answer = self._ask("describe_parameters", name, parameters=given)
        if not isinstance(answer, Mapping):
            raise HookContractError(name, "describe_parameters", describe(answer), "a mapping of names to help texts")
        return answer

    def configure(self, job: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Let every plugin add or override parameters of a run; later answers overlay earlier ones."""
        merged = dict(parameters)
        for name in self.implementers("configure_job"):
            answer = self._ask("configure_job", name, job=job, parameters=dict(merged))
            if answer is not None and not isinstance(answer, Mapping):
                raise HookContractError(name, "configure_job", describe(answer), "a mapping or None")
            merged.update(answer or {})
        return merged

    def notifier(self, hook: str) -> Callable[..., None] | None:
        """A function that tells every observer; ``None`` if nobody listens. What an observer raises is logged."""
        callers = [(name, self.caller(hook, name)) for name in self.implementers(hook)]
        if not callers:
            return None

        def notify(**arguments: Any) -> None:
            for name, caller in callers:
                try:
                    caller(**arguments)
                except Exception:  # noqa: BLE001 - an observer never fails a run
                    _log.exception("plugin %r failed in %s; the run goes on", name, hook)

        return notify

    def _ask(self, hook: str, name: str, **arguments: Any) -> Any:
        """What the named plugin answers to a hook that is called before anything runs.

        Raises:
            PluginError: It raised something. Said so, lest it looks like an error of contraflow's.
        """
        try:
            answers = self.caller(hook, name)(**arguments)
        except ContraflowError:  # of a built-in plugin
            raise
        except ConnectorError as error:
            raise PluginError(f"plugin '{name}', {hook}: {error}") from error
        except Exception as error:
            raise PluginError(f"plugin '{name}' failed in {hook}: {type(error).__name__}: {error}") from error
        return answers[0] if answers else None  # pluggy leaves out answers of None


def _package_of(plugin: object) -> Traversable:
    spec = getattr(_module_of(plugin), "__spec__", None)
    if spec is None or spec.origin is None:
        raise PluginError(f"the plugin {plugin!r} lies in no file, so its definition must be a mapping")
    return Path(spec.origin).parent


def _module_of(plugin: object) -> ModuleType | None:
    return plugin if inspect.ismodule(plugin) else inspect.getmodule(type(plugin))
