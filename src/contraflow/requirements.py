"""What a step's parameters and the declared capabilities need of the connector. Asked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from contraflow.errors import Location, Problem
from contraflow_hookspecs import Capabilities


class _Hook(NamedTuple):
    stage: str
    """Under this name a runnable step has it."""
    hook: str


_ARCHIVE = _Hook("archiver", "archive_items")
_REMOVALS = ("deletions", "filtered", "missing")
_HOOKS: Mapping[tuple[str, str], _Hook] = {(name, "archive"): _ARCHIVE for name in _REMOVALS} | {
    ("adopt", "true"): _Hook("finder", "find_items")
}


def requirement_problems(
    parameters: Mapping[str, Any],
    writer: str,
    stages: Collection[str],
    capabilities: Capabilities,
    locate: Callable[[str], Location],
) -> Iterator[Problem]:
    """What the connector lacks for a step's parameters, and for what it declares itself.

    Args:
        parameters: The step's.
        writer: Name of the plugin that writes.
        stages: Names of the stages that the step has.
        capabilities: What the connector declares of its remote.
        locate: Where a parameter was written.
    """
    if capabilities.confirm and "confirmer" not in stages:
        yield Problem(
            message=f"plugin '{writer}' cannot confirm what it writes, as the connector's capabilities declare",
            location=locate(""),
            found="confirm=True, and no hook confirm_items",
            expected="an implementation of confirm_items, or Capabilities without confirm",
        )
    for name, value in parameters.items():
        if name in _REMOVALS and value == "delete" and not capabilities.delete:
            yield Problem(
                message=f"parameter '{name}': connector '{writer}' declares that its remote cannot delete",
                location=locate(name),
                found=repr(value),
                expected="another choice, or a connector with the capability delete",
            )
        needed = _HOOKS.get((name, _text(value)))
        if needed is not None and needed.stage not in stages:
            yield Problem(
                message=f"parameter '{name}': connector '{writer}' has no hook {needed.hook}",
                location=locate(name),
                found=repr(value),
                expected=f"another choice, or a connector that implements {needed.hook}",
            )


def _text(value: Any) -> str:
    """As the parameters' readers understand it: ``true``, ``True`` and ``1`` are the same."""
    return {"true": "true", "1": "true"}.get(str(value).lower(), str(value))
