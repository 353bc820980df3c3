"""Finds plugins, holds them against the contract, and hands out callers for the stages of a step.

A façade over pluggy, which is used by its public interface alone. Plugins come from entry points in the group
``contraflow``, contraflow's own included. The entry point's name is the plugin's name; a second entry point for the same
object is an alias. A plugin that cannot be loaded or breaks the contract is kept aside with its error, and everything else
goes on working.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, cast

import attrs
import pluggy

from contraflow.contract import check_implementation
from contraflow.contract_version import unmet_contract
from contraflow.errors import PluginError, near_match
from contraflow.event_loop import EventLoop
from contraflow_hookspecs import PROJECT_NAME, specs

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


class PluginRegistry:
    """The plugins that there are.

    Args:
        disabled: Names of entry points that are not to be loaded.
        only: Names of the distributions whose entry points are considered; ``None`` for all that are installed.
    """

    def __init__(self, *, disabled: Iterable[str] = (), only: Iterable[str] | None = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(specs)
        self._given: dict[str, object] = {}
        self._records: dict[str, PluginRecord] = {}
        self._aliases: dict[str, str] = {}
        self._monitored = False
        self._disabled = frozenset(disabled)
        self.event_loop = EventLoop()
        """Where what the plugins have of ``async def`` runs."""
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
            advice = (
                ""
                if not _is_misnamed(entry_point, error)
                else (
                    f"; correct the entry point '{entry_point.name}' in its package's pyproject.toml, and install that again"
                )
            )
            self._refuse_import(entry_point.name, provider, entry_point.value, error, advice)
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
        known = next((each for each, given in self._given.items() if given == plugin), None)
        if known is not None:
            self._aliases[name] = known
            record = self._records[known]
            self._records[known] = attrs.evolve(record, aliases=(*record.aliases, name))
            return
        hooks = self._hooks_of(plugin, name)
        self._given[name] = plugin
        self._manager.register(self._without_coroutines(plugin), name)
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

    def _refuse_import(self, name: str, provider: str, target: str, error: BaseException, advice: str = "") -> None:
        reason = f"cannot be imported from '{target}': {type(error).__name__}: {error}{advice}"
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

    def _without_coroutines(self, plugin: object) -> object:
        """The plugin as pluggy is given it: itself, or one whose hooks answer at once where its own are ``async def``."""
        hooks = {name: getattr(plugin, name) for name in dir(plugin) if self._manager.parse_hookimpl_opts(plugin, name)}
        if not any(map(inspect.iscoroutinefunction, hooks.values())):
            return plugin
        stand_in = _StandIn()
        for name, function in hooks.items():
            waits = inspect.iscoroutinefunction(function)
            setattr(stand_in, name, self.event_loop.blocking(function) if waits else function)
        return stand_in

    def close(self) -> None:
        """End what runs for the plugins. They may be used again."""
        self.event_loop.close()

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

    def plugin(self, name: str) -> object:
        """The plugin of this name or alias.

        Raises:
            PluginError: No usable plugin answers to it.
        """
        known = self._aliases.get(name, name)
        if known not in self._given:
            found, hint = self.explain_missing(name)
            raise PluginError(f"plugin '{name}': {found}; {hint}")
        return self._given[known]

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
        plugin = self._registered(name)
        return any(impl.plugin is plugin and not _wraps(impl) for impl in self._caller(hook).get_hookimpls())

    def caller(self, hook: str, name: str) -> Callable[..., Any]:
        """The hook as a step calls it: the named plugin's implementation, within the wrappers that are registered by now.

        Raises:
            PluginError: The plugin does not implement the hook.
        """
        plugin = self._registered(name)
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

    def implementers(self, hook: str) -> Sequence[str]:
        """Names of the plugins that implement a hook themselves, sorted."""
        names = [impl.plugin_name for impl in self._caller(hook).get_hookimpls() if not _wraps(impl)]
        return sorted(set(names))

    def _registered(self, name: str) -> object:
        """The plugin of this name or alias, as pluggy knows it."""
        self.plugin(name)
        return cast(object, self._manager.get_plugin(self._aliases.get(name, name)))

    def _caller(self, hook: str) -> pluggy.HookCaller:
        return cast(pluggy.HookCaller, getattr(self._manager.hook, hook))


class _StandIn:
    """Has the hooks of a plugin as its attributes."""


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


def _is_misnamed(entry_point: metadata.EntryPoint, error: BaseException) -> bool:
    """Whether an entry point names what is not there, and not the module that it names something else."""
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and f"{entry_point.module}.".startswith(f"{error.name}.")
    return isinstance(error, AttributeError) and getattr(error, "name", None) in entry_point.attr.split(".")
