"""The names under a step's services become stages: each a plugin, and the hook by which it serves."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from contraflow.assembly.runnable import Stage
from contraflow.config import ProjectConfig, StepDefinition
from contraflow.errors import ContraflowError, Location, Problem, near_match
from contraflow.plugins import Plugins

_ITEM = "item"
_ITEM_ALIASES = frozenset(
    {
        _ITEM,
        r"Oro\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Component\Batch\Step\ItemStep",
        r"Akeneo\Tool\Component\Batch\Step\ItemStep",
    }
)
_TASKLET = "tasklet"
_TASKLET_ALIASES = frozenset(
    {
        _TASKLET,
        r"Akeneo\Bundle\BatchBundle\Step\TaskletStep",
        r"Akeneo\Component\Batch\Step\TaskletStep",
        r"Akeneo\Tool\Component\Connector\Step\TaskletStep",
        r"Pim\Component\Connector\Step\TaskletStep",
    }
)
_STAGES = {"reader": "read_items", "processor": "process_item", "writer": "write_items"}
_OPTIONAL = (
    ("reader", "counter", "count_items"),
    ("writer", "confirmer", "confirm_items"),
    ("writer", "archiver", "archive_items"),
    ("writer", "finder", "find_items"),
    ("writer", "fetcher", "fetch_items"),
    ("writer", "lister", "list_items"),
    ("writer", "forgetter", "forget_items"),
)


@attrs.frozen(kw_only=True)
class Stages:
    """Resolves the names of one job's steps.

    Args:
        config: Its ``services:`` and ``classes:`` translate foreign names.
        plugins: The plugins that names may resolve to.
        problems: Grows by what does not resolve.
    """

    config: ProjectConfig
    plugins: Plugins
    problems: list[Problem]

    def of_step(self, step: StepDefinition) -> Iterator[tuple[str, Stage]]:
        """Each stage that resolves, with its name in :class:`~contraflow.assembly.RunnableStep`."""
        kind = step.step_class or _ITEM
        meant = self.config.classes.get(kind, kind).removeprefix("\\")
        if meant not in _ITEM_ALIASES | _TASKLET_ALIASES:
            yield from self._stages_of_class(step, kind)
        elif "reader" not in step.services and len(step.services) == 1:
            role, service = next(iter(step.services.items()))
            yield from self._tasklet(
                step, service, f"service '{role}'", step.service_locations.get(role, step.location)
            )
        elif meant in _TASKLET_ALIASES:
            self._problem(
                f"step '{step.key}' is a tasklet",
                step.location,
                found=f"services: {', '.join(step.services) or 'none'}",
                expected="one service, that implements run_step",
            )
        else:
            yield from self._item_stages(step)

    def _stages_of_class(self, step: StepDefinition, kind: str) -> Iterator[tuple[str, Stage]]:
        before = len(self.problems)
        yield from self._tasklet(step, kind, "class", step.location)
        if len(self.problems) > before:
            # What the class would make of its services is not known, but those that are not there will be missed.
            for role, name in step.services.items():
                self._provider(step, name, role, step.service_locations.get(role, step.location))

    def _tasklet(self, step: StepDefinition, name: str, what: str, location: Location) -> Iterator[tuple[str, Stage]]:
        stage = self._stage(step, name, "run_step", what, location)
        if stage is not None:
            yield "run", stage

    def _item_stages(self, step: StepDefinition) -> Iterator[tuple[str, Stage]]:
        for role in sorted(_STAGES.keys() - step.services.keys()):
            self._problem(
                f"step '{step.key}' names no {role}",
                step.location,
                found=f"services: {', '.join(step.services) or 'none'}",
                expected="reader, processor and writer, or one service that implements run_step",
            )
        for role, name in step.services.items():
            location = step.service_locations.get(role, step.location)
            if role not in _STAGES:
                self._problem(
                    f"step '{step.key}': an item step has no service '{role}'",
                    location,
                    expected=", ".join(_STAGES),
                    hint=near_match(role, _STAGES),
                )
                continue
            stage = self._stage(step, name, _STAGES[role], role, location)
            if stage is not None:
                yield role, stage
                for owner, optional, hook in _OPTIONAL:
                    if role == owner and self.plugins.implements(stage.plugin, hook):
                        yield optional, Stage(plugin=stage.plugin, call=self.plugins.caller(hook, stage.plugin))

    def _stage(self, step: StepDefinition, name: str, hook: str, what: str, location: Location) -> Stage | None:
        plugin = self._provider(step, name, what, location)
        if plugin is None:
            return None
        try:
            return Stage(plugin=plugin, call=self.plugins.caller(hook, plugin))
        except ContraflowError as error:
            record = self.plugins.record(plugin)
            hooks = [f"{each} as a wrapper" if each in record.wrappers else each for each in record.hooks]
            self._problem(
                f"step '{step.key}': {what} '{name}' cannot serve: {error}",
                location,
                found=", ".join(hooks) or "no hook",
                expected=hook,
            )
            return None

    def _provider(self, step: StepDefinition, name: str, what: str, location: Location) -> str | None:
        """The plugin for which a name stands; ``None``, and noted, if nothing provides it."""
        section = "classes" if what == "class" else "services"
        plugin = self.config.classes.get(name, name) if what == "class" else name
        plugin = self.config.services.get(plugin, plugin)
        if plugin in self.plugins.names:
            return plugin
        found, hint = self.plugins.explain_missing(plugin)
        if plugin != name:
            found = f"'{plugin}', as the project file translates it: {found}"
        near = near_match(name, {_ITEM, _TASKLET, *self.config.classes}) if what == "class" else None
        self._problem(
            f"step '{step.key}': {what} '{name}' is not provided",
            location,
            found=found,
            expected=f"the name of a plugin, or one that `{section}` in the project file translates",
            hint=f"{near} {hint}" if near else hint,
        )
        return None

    def _problem(
        self,
        message: str,
        location: Location,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problems.append(Problem(message=message, location=location, found=found, expected=expected, hint=hint))
