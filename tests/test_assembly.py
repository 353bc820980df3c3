"""Assembly: every name of every step is resolved, and all that does not resolve is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from contraflow.config import engine_parameter
from contraflow.errors import ConfigError, HookContractError
from contraflow.options import PARAMETERS
from contraflow_hookspecs import hookimpl


class Wrapping:
    @hookimpl(wrapper=True)
    def write_items(self, items: Any, context: Any) -> Any:
        return (yield)


class Purge:
    @hookimpl
    def run_step(self, context: Any) -> Any:
        return {"purged": 3}


def refusal(shop) -> str:
    with shop.project() as project, pytest.raises(ConfigError) as caught:
        project.assemble(project.integration("acme"), "shop_export")
    return str(caught.value)


def test_a_step_of_an_unknown_class_lists_its_unknown_services_too(shop) -> None:
    services = {"reader": "entity.all", "processor": "pim.processor", "writer": "pim.writer"}
    shop.steps = {"one": {"class": r"Pim\Step\MassEditStep", "services": services}}
    told = refusal(shop)
    assert r"class 'Pim\Step\MassEditStep' is not provided" in told
    assert "processor 'pim.processor' is not provided" in told
    assert "writer 'pim.writer' is not provided" in told
    assert "reader 'entity.all'" not in told


def test_a_step_type_of_a_plugin_may_name_services_of_its_own(shop) -> None:
    shop.plugins = {"purge": Purge()}
    shop.steps = {"one": {"class": "purge", "services": {"cleaner": "whatever.it.means"}}}
    (step,) = shop.sync().steps
    assert step.counts == {"purged": 3}


@pytest.mark.parametrize(
    ("section", "step"),
    [
        ("services", {"services": {"reader": "pim.name", "processor": "remote", "writer": "remote"}}),
        ("classes", {"class": "pim.name", "services": {}}),
    ],
)
def test_a_translation_to_a_plugin_that_is_not_there_is_told_as_such(shop, section, step) -> None:
    shop.config = {section: {"pim.name": "remot"}}
    shop.steps = {"one": step}
    told = refusal(shop)
    assert "'pim.name' is not provided" in told
    assert "found: 'remot', as the project file translates it: no plugin of that name" in told
    assert "did you mean 'remote'?" in told


def test_a_name_that_nothing_provides_may_be_translated(shop) -> None:
    services = {"reader": "pim.reader", "processor": "remote", "writer": "remote"}
    shop.steps = {"one": {"class": "PimStep", "services": services}}
    told = refusal(shop)
    assert "one that `classes` in the project file translates" in told
    assert "one that `services` in the project file translates" in told
    shop.config = {"classes": {"PimStep": "item"}, "services": {"pim.reader": "entity.all"}}
    shop.parameters = {}
    shop.steps["one"]["parameters"] = {"entity": "customer"}
    assert shop.sync().counts["written"] == 3


def test_a_plugin_that_only_wraps_cannot_serve_and_is_called_a_wrapper(shop) -> None:
    shop.plugins = {"timing": Wrapping()}
    shop.steps = {"one": {"services": {"reader": "entity.all", "processor": "remote", "writer": "timing"}}}
    told = refusal(shop)
    assert "plugin 'timing' implements write_items only as a wrapper" in told
    assert "found: write_items as a wrapper" in told


def test_wrong_parameters_are_told_beside_wrong_names(shop) -> None:
    services = {"reader": "entity.al", "processor": "remote", "writer": "remote"}
    shop.steps = {"one": {"services": services, "parameters": {"batch_size": 0}}}
    told = refusal(shop)
    assert "reader 'entity.al' is not provided" in told
    assert "parameter 'batch_size'" in told


@pytest.mark.parametrize(
    "name",
    [
        r"Oro\Bundle\BatchBundle\Step\ItemStep",
        r"\Oro\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Bundle\BatchBundle\Step\ItemStep",
        r"Akeneo\Component\Batch\Step\ItemStep",
        r"Akeneo\Tool\Component\Batch\Step\ItemStep",
    ],
)
def test_the_ancestors_item_steps_are_item_steps(shop, name) -> None:
    services = {"reader": "entity.all", "processor": "remote", "writer": "remote"}
    shop.steps = {"one": {"class": name, "services": services, "parameters": {"entity": "customer"}}}
    with shop.project() as project:
        (step,) = project.assemble(project.integration("acme"), "shop_export").steps
    assert step.writer is not None


def test_what_describes_parameters_wrongly_is_told_whatever_the_others_say(shop) -> None:
    class Reader:
        @hookimpl
        def read_items(self, context: Any) -> Any:
            return []

        @hookimpl
        def describe_parameters(self, parameters: Any) -> Any:
            return ["entity"]

    shop.plugins = {"reader": Reader()}
    shop.reader = "reader"
    with shop.project() as project, pytest.raises(HookContractError, match="describe_parameters"):
        project.assemble(project.integration("acme"), "shop_export")


def test_every_parameter_of_the_engine_has_its_spelling_with_humps() -> None:
    for name in PARAMETERS:
        assert engine_parameter(name.replace("_", " ").title().replace(" ", "")) == name
