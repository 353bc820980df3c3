"""The plugin manager: finds plugins, holds them against the contract, and hands out callers for the stages of a step.

A façade over pluggy, which is used by its public interface alone. Plugins come from entry points in the group
``contraflow``, contraflow's own included. The entry point's name is the plugin's name; a second entry point for the same
object is an alias. A plugin that cannot be loaded or breaks the contract is kept aside with its error, and everything else
goes on working.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import attrs
import pluggy

from contraflow.config import JobDefinition, parse_jobs
from contraflow.contract import check_implementation, describe
from contraflow.contract_version import unmet_contract
from contraflow.errors import ConfigError, ContraflowError, HookContractError, PluginError, Problem, near_match
from contraflow_hookspecs import PROJECT_NAME, Advice, ConnectorError, ExportJob, StepContext, specs

_log = logging.getLogger("contraflow.plugins")


@attrs.frozen(kw_only=True)
class PluginRecord:
    """What is known of one plugin that was found."""

    name: str
    distribution: str
    """Name and version of the distribution that brings it, or where else it came from."""
    aliases: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    """The hooks that it implements, those in ``wrappers`` included."""
    wrappers: tuple[str, ...] = ()
    """The hooks that it implements around those of others."""
    error: str | None = None
    """Why it cannot be used; ``None`` if it can."""


class Plugins:
    """The plugins of a project.

    Args:
        disabled: Names of entry points that are not to be loaded.
        only: Names of the distributions whose entry points are considered; ``None`` for all that are installed.
    """

    def __init__(self, *, disabled: Iterable[str] = (), only: Iterable[str] | None = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(specs)
        self._records: dict[str, PluginRecord] = {}
        self._aliases: dict[str, str] = {}
        self._monitored = False
        self._disabled = frozenset(disabled)
        self._discover(None if only is None else frozenset(only))

    # Finding and registering

    def _discover(self, only: frozenset[str] | None) -> None:
        found: dict[str, list[tuple[str, metadata.EntryPoint]]] = {}
        unmet: dict[str, str] = {}
        names: dict[int, tuple[str, str]] = {}  # by distribution: each look at one reads its file again
        for entry_point in metadata.entry_points(group=PROJECT_NAME):
            dist = entry_point.dist
            if id(dist) not in names:
                names[id(dist)] = (
                    (dist.name, f"{dist.name} {dist.version}") if dist else ("", "an unknown distribution")
                )
                reason = unmet_contract(dist) if dist else None
                if reason is not None:
                    unmet[names[id(dist)][1]] = reason
            distribution, provider = names[id(dist)]
            if entry_point.name not in self._disabled and (only is None or distribution in only):
                found.setdefault(entry_point.name, []).append((provider, entry_point))
        # Sorted, so that the order of wrappers is the same on every machine.
        for name, rivals in sorted(found.items(), key=lambda pair: (pair[1][0][0], pair[0])):
            if len(rivals) > 1:
                providers = " and ".join(sorted({provider for provider, _ in rivals}))
                self._refuse(name, providers, f"provided by {providers}: uninstall one of them")
            elif rivals[0][0] in unmet:  # not imported: what it wants of the contract may not be there
                self._refuse(name, rivals[0][0], unmet[rivals[0][0]])
            else:
                self._load(*rivals[0])

    def _load(self, provider: str, entry_point: metadata.EntryPoint) -> None:
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module does at import must not stop the others
            self._refuse_import(entry_point.name, provider, entry_point.value, error)
            return
        try:
            self.register(plugin, entry_point.name, distribution=provider)
        except PluginError as error:
            self._refuse(entry_point.name, provider, str(error))

    def _refuse(self, name: str, provider: str, error: str) -> None:
        self._records[name] = PluginRecord(name=name, distribution=provider, error=error)

    def register(self, plugin: object, name: str, *, distribution: str = "registered by the program") -> None:
        """Add a plugin; the same object under a second name is an alias.

        Raises:
            PluginError: The name is taken, or the plugin breaks the contract.
        """
        if name in self._records or name in self._aliases:
            taken = self.record(name)
            raise PluginError(f"two plugins are named '{name}': one from {taken.distribution}, one from {distribution}")
        known = self._manager.get_name(plugin) if _hashable(plugin) else None
        if known is not None:
            self._aliases[name] = known
            record = self._records[known]
            self._records[known] = attrs.evolve(record, aliases=(*record.aliases, name))
            return
        hooks = self._hooks_of(plugin, name)
        self._manager.register(plugin, name)
        self._records[name] = PluginRecord(
            name=name,
            distribution=distribution,
            hooks=tuple(hooks),
            wrappers=tuple(hook for hook, wraps in hooks.items() if wraps),
        )

    def register_module(self, name: str, module: str, *, distribution: str) -> None:
        """Import a module and add it as a plugin; what goes wrong is kept as the plugin's error.

        Args:
            name: The plugin's name.
            module: Dotted name of the module.
            distribution: Where the wish comes from, for people.
        """
        try:
            plugin = importlib.import_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as for entry points
            self._refuse_import(name, distribution, module, error)
            return
        try:
            self.register(plugin, name, distribution=distribution)
        except PluginError as error:
            self._refuse(name, distribution, str(error))

    def _refuse_import(self, name: str, provider: str, target: str, error: BaseException) -> None:
        reason = f"cannot be imported from '{target}': {type(error).__name__}: {error}"
        _log.debug("plugin %r %s", name, reason, exc_info=error)
        self._refuse(name, provider, reason)

    def _hooks_of(self, plugin: object, name: str) -> Mapping[str, bool]:
        """The hooks that a plugin implements, and whether only around others, held against the contract."""
        if inspect.isclass(plugin):
            raise PluginError(
                f"plugin '{name}' is the class {plugin.__qualname__}; expected an instance or a module: "
                f"have you forgotten the '()'?"
            )
        if not _hashable(plugin):
            raise PluginError(f"plugin '{name}' is not hashable: declare its class with attrs.define(eq=False)")
        hooks: dict[str, bool] = {}
        for attribute in sorted(dir(plugin)):
            options = self._manager.parse_hookimpl_opts(plugin, attribute)
            if options is not None:
                hook = options["specname"] or attribute
                check_implementation(name, hook, getattr(plugin, attribute), wrapper=_is_wrapper(options))
                if options["wrapper"] and options["hookwrapper"]:
                    raise PluginError(
                        f"plugin '{name}', {hook} is marked twice as a wrapper; expected wrapper=True alone"
                    )
                hooks[hook] = hooks.get(hook, True) and _is_wrapper(options)
        return hooks

    # Asking

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """All plugins that were found, broken ones included, by name."""
        return tuple(self._records[name] for name in sorted(self._records))

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which a usable plugin answers, aliases included."""
        usable = {name for name, record in self._records.items() if record.error is None}
        return tuple(sorted(usable | set(self._aliases)))

    def record(self, name: str) -> PluginRecord:
        """What is known of the plugin of this name or alias.

        Raises:
            KeyError: There is none.
        """
        return self._records[self._aliases.get(name, name)]

    def explain_missing(self, name: str) -> tuple[str, str]:
        """Why no usable plugin answers to a name: what was found, and a hint."""
        if name in self._disabled:
            return "a plugin that the project disables", f"take '{name}' out of disable_plugins"
        if name in self._records:
            record = self._records[name]
            return f"a plugin of {record.distribution} that cannot be used", record.error or ""
        hint = near_match(name, self.names)
        return (
            "no plugin of that name",
            f"{hint + ' ' if hint else ''}looked for an entry point '{name}' in the group '{PROJECT_NAME}' of every "
            f"installed package; `contraflow plugins` lists what there is",
        )

    def implements(self, name: str, hook: str) -> bool:
        """Whether the plugin implements the hook itself, not only as a wrapper."""
        plugin = self._plugin(name)
        return any(impl.plugin is plugin and not _wraps(impl) for impl in self._caller(hook).get_hookimpls())

    def caller(self, hook: str, name: str) -> Callable[..., Any]:
        """The hook as a step calls it: the named plugin's implementation, within the wrappers that are registered by now.

        Raises:
            PluginError: The plugin does not implement the hook.
        """
        plugin = self._plugin(name)
        everywhere = self._caller(hook)
        others = [impl.plugin for impl in everywhere.get_hookimpls() if not _wraps(impl) and impl.plugin is not plugin]
        caller = self._manager.subset_hook_caller(hook, others)
        # Read back, since what is left out is decided by pluggy: exactly one implementation, and the right one.
        left = [impl for impl in caller.get_hookimpls() if not _wraps(impl)]
        if len(left) != 1 or left[0].plugin is not plugin:
            wrapper = any(impl.plugin is plugin for impl in everywhere.get_hookimpls())
            raise PluginError(
                f"plugin '{name}' implements {hook} only as a wrapper" if wrapper else f"plugin '{name}' has no {hook}"
            )
        return caller if self._monitored else _direct(caller, hook) or caller

    def source_digest(self, name: str) -> str | None:
        """A digest of the source of the module in which the named plugin is written; ``None`` where there is none."""
        plugin = self._plugin(name)
        module = plugin if inspect.ismodule(plugin) else inspect.getmodule(type(plugin))
        path = getattr(module, "__file__", None)
        try:
            return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest() if path else None
        except OSError:
            return None

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
            given = _package_of(self._plugin(name)) / given
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
        for name in self._implementers("configure_job"):
            answer = self._ask("configure_job", name, job=job, parameters=dict(merged))
            if answer is not None and not isinstance(answer, Mapping):
                raise HookContractError(name, "configure_job", describe(answer), "a mapping or None")
            merged.update(answer or {})
        return merged

    def notifier(self, hook: str) -> Callable[..., None] | None:
        """A function that tells every observer; ``None`` if nobody listens. What an observer raises is logged."""
        callers = [(name, self.caller(hook, name)) for name in self._implementers(hook)]
        if not callers:
            return None

        def notify(**arguments: Any) -> None:
            for name, caller in callers:
                try:
                    caller(**arguments)
                except Exception:  # noqa: BLE001 - an observer never fails a run
                    _log.exception("plugin %r failed in %s; the run goes on", name, hook)

        return notify

    def monitor(self, note: Callable[[str, Sequence[str], Mapping[str, Any], Any, BaseException | None], None]) -> None:
        """Let a function see every hook call from now on, after it, by callers that are asked for from now on: for tests.

        Args:
            note: Is given the hook, the names of the plugins called, the arguments, and what was answered or raised.
        """

        def after(
            outcome: pluggy.Result[Any], hook: str, impls: Sequence[pluggy.HookImpl], arguments: Mapping[str, Any]
        ) -> None:
            error = outcome.exception
            result = outcome.get_result() if error is None else None
            first = getattr(getattr(specs, hook), f"{PROJECT_NAME}_spec")["firstresult"]
            if not first and isinstance(result, list) and len(result) == 1:
                (result,) = result  # of a hook that anybody may answer, and one did
            note(hook, [impl.plugin_name for impl in impls], arguments, result, error)

        self._monitored = True
        self._manager.add_hookcall_monitoring(lambda hook, impls, arguments: None, after)

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

    def _implementers(self, hook: str) -> Sequence[str]:
        names = [impl.plugin_name for impl in self._caller(hook).get_hookimpls() if not _wraps(impl)]
        return sorted(set(names))

    def _caller(self, hook: str) -> pluggy.HookCaller:
        return cast(pluggy.HookCaller, getattr(self._manager.hook, hook))

    def _plugin(self, name: str) -> object:
        plugin = self._manager.get_plugin(self._aliases.get(name, name))
        if plugin is None:
            found, hint = self.explain_missing(name)
            raise PluginError(f"plugin '{name}': {found}; {hint}")
        return cast(object, plugin)


def _package_of(plugin: object) -> Traversable:
    module = plugin if inspect.ismodule(plugin) else inspect.getmodule(type(plugin))
    spec = getattr(module, "__spec__", None)
    if spec is None or spec.origin is None:
        raise PluginError(f"the plugin {plugin!r} lies in no file, so its definition must be a mapping")
    return Path(spec.origin).parent


def _direct(caller: pluggy.HookCaller, hook: str) -> Callable[..., Any] | None:
    """The implementation itself, where calling it comes to the same as calling the hook: there is nothing around it, one
    answer is wanted, and it takes all arguments by name. pluggy's own call takes longer than most processors.
    """
    (implementation, *others) = caller.get_hookimpls()
    specification = getattr(specs, hook)
    if others or not getattr(specification, f"{PROJECT_NAME}_spec")["firstresult"]:
        return None
    parameters = inspect.signature(implementation.function).parameters.values()
    by_name = {each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}
    taken = by_name == set(inspect.signature(specification).parameters) and len(by_name) == len(parameters)
    return cast(Callable[..., Any], implementation.function) if taken else None


def _is_wrapper(options: Mapping[str, Any]) -> bool:
    return bool(options["wrapper"] or options["hookwrapper"])


def _wraps(impl: pluggy.HookImpl) -> bool:
    return bool(impl.wrapper or impl.hookwrapper)


def _hashable(plugin: object) -> bool:
    try:
        hash(plugin)
    except TypeError:
        return False
    return True
