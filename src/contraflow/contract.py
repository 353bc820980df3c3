"""Hold a plugin's implementations and answers against the contract."""

from __future__ import annotations

import inspect
import math
from typing import Any

from contraflow.errors import PluginError, near_match
from contraflow_hookspecs import PROJECT_NAME, SPEC_VERSION, specs

_STREAMS = ("read_items", "list_items")
"""Hooks whose answer may come item by item."""

COROUTINES = frozenset(
    {
        "check_connection",
        "write_items",
        "confirm_items",
        "archive_items",
        "find_items",
        "fetch_items",
        "forget_items",
    }
)
"""Hooks that may be ``async def``: those that talk to the remote, and answer as a whole."""


def describe(value: object) -> str:
    """A plugin's answer in words for an error message: its type, never its content."""
    if value is None:
        return "None (a forgotten `return`?)"
    if inspect.iscoroutine(value):
        value.close()
        return "a coroutine (a forgotten `await`?)"
    if inspect.isgenerator(value):
        return "a generator (did the hook `yield`?)"
    return f"an object of type {type(value).__qualname__}"


def flaw_of_pause(told: object, seconds: object) -> tuple[str, str] | None:
    """What is wrong with a pause that a connector asks for, and what was expected; ``None`` if nothing is.

    Args:
        told: The result or the error that asks for it.
        seconds: Its ``retry_after``, which nobody has looked at yet.
    """
    if seconds is None or (isinstance(seconds, int | float) and not math.isnan(seconds)):
        return None
    found = str(seconds) if isinstance(seconds, float) else f"type {type(seconds).__name__}"
    return f"{type(told).__name__} with a retry_after of {found}", "seconds, or None"


def check_implementation(plugin: str, hook: str, function: Any, *, wrapper: bool) -> None:
    """Hold one implementation against its specification.

    Args:
        plugin: The plugin's name, for messages.
        hook: The hook's name.
        function: The implementation.
        wrapper: Whether it is one around others.

    Raises:
        PluginError: The hook or an argument is unknown, an argument has a default, or the function cannot answer at once.
    """
    where = f"plugin '{plugin}', {hook}"
    known = {name for name, value in vars(specs).items() if getattr(value, f"{PROJECT_NAME}_spec", None)}
    if hook not in known:
        hint = near_match(hook, known)
        here = ".".join(map(str, SPEC_VERSION))
        raise PluginError(
            f"plugin '{plugin}' implements a hook '{hook}', which the contract {here} does not know"
            f"{'; ' + hint if hint else ''}"
        )
    if inspect.isasyncgenfunction(function) or (
        inspect.iscoroutinefunction(function) and (hook not in COROUTINES or wrapper)
    ):
        may = f"; `async def` may be {', '.join(sorted(COROUTINES))}" if hook not in COROUTINES else ""
        raise PluginError(f"{where} is `async def`; expected a plain function{may}")
    if wrapper and not inspect.isgeneratorfunction(function):
        raise PluginError(f"{where} is a wrapper without a `yield`; expected `result = yield` and a `return` of it")
    if inspect.isgeneratorfunction(function) and not wrapper and hook not in _STREAMS:
        raise PluginError(f"{where} is a generator function; expected one that returns its answer")
    expected = list(inspect.signature(getattr(specs, hook)).parameters)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in expected:
            hint = near_match(parameter.name, expected)
            raise PluginError(
                f"{where} takes an unknown argument '{parameter.name}'; expected ({', '.join(expected)})"
                f"{'; ' + hint if hint else ''}"
            )
        if parameter.default is not inspect.Parameter.empty:
            raise PluginError(f"{where} gives '{parameter.name}' a default; arguments of hooks have none")
