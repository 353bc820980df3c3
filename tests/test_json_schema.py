"""The JSON Schemas take what the loader takes, refuse what it refuses, and help those who type."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import jsonschema
import pytest
import yaml

import contraflow_http
from contraflow.config import load_configuration, parse_jobs
from contraflow.errors import ConfigError
from contraflow.json_schema import job_schema, project_schema
from contraflow.plugins import Plugins
from contraflow.settings import structure_settings
from contraflow.settings_schema import Schema, settings_schema
from contraflow_hookspecs import ExportJob, hookimpl

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT / "src/contraflow/cli/starter/contraflow.yaml", ROOT / "docs/examples/music_shop/contraflow.yaml"]
JOBS = [
    ROOT / "src/contraflow/cli/starter/jobs.yml",
    ROOT / "docs/examples/music_shop/jobs.yml",
    ROOT / "tests/config/data/ancestor_example.yml",
]


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Inner:
    path: str


@attrs.frozen
class Settings:
    """What Acme needs.

    And more.
    """

    url: str
    """Where it is."""
    token: str = attrs.field(metadata={"secret": True})
    most: int = 5
    share: float | None = None
    quick: bool = False
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    routes: list[Inner] = attrs.field(factory=list)
    headers: dict[str, str] = attrs.field(factory=dict)


class Acme:
    @hookimpl
    def provide_export_job(self) -> ExportJob:
        return ExportJob(name="acme", settings=Settings)

    @hookimpl
    def describe_parameters(self, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"season": "which price list"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    plugins = Plugins(only={"contraflow", "contraflow-http"})
    plugins.register(Acme(), "acme")
    return plugins


def read(text: str) -> Any:
    return yaml.load(text, Loader=yaml.SafeLoader)


def takes(schema: Schema, document: Any) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(document)


def test_the_schemas_are_schemas(plugins: Plugins) -> None:
    for schema in (project_schema(plugins), job_schema(plugins)):
        jsonschema.Draft202012Validator.check_schema(schema)
        json.dumps(schema)


@pytest.mark.parametrize("file", PROJECTS, ids=lambda file: file.parent.name)
def test_real_project_files_are_taken(plugins: Plugins, file: Path) -> None:
    jsonschema.validate(read(file.read_text()), project_schema(plugins))


@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.name)
def test_real_job_files_are_taken(plugins: Plugins, file: Path) -> None:
    jsonschema.validate(read(file.read_text()), job_schema(plugins))


@pytest.mark.parametrize(
    "text", re.findall(r"```yaml\n(url: .*?)```", (ROOT / "plugins/contraflow-http/README.md").read_text(), re.S)
)
def test_the_settings_in_a_connectors_readme_are_taken(text: str) -> None:
    definitions: dict[str, Schema] = {}
    schema = {**settings_schema(contraflow_http.Settings, definitions), "$defs": definitions}
    jsonschema.validate(read(text), schema)


SETTINGS = [
    {"url": "u", "token": "t"},
    {"url": "u", "token": "t", "most": "7", "share": 0.5, "quick": "true", "mode": "b", "colour": "red"},
    {"url": "u", "token": "t", "routes": [{"path": "/x"}], "headers": {"A": "b"}},
    {"url": "u"},
    {"url": "u", "token": "t", "mots": 1},
    {"url": "u", "token": "t", "most": "many"},
    {"url": "u", "token": "t", "most": 1.5},
    {"url": "u", "token": "t", "mode": "c"},
    {"url": "u", "token": "t", "colour": "blue"},
    {"url": "u", "token": "t", "routes": [{"pth": "/x"}]},
    {"url": "u", "token": "t", "routes": "/x"},
    {"url": "u", "token": "t", "headers": [1]},
    {"url": ["u"], "token": "t"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings_are_taken_and_refused_as_by_the_loader(plugins: Plugins, settings: Mapping[str, Any]) -> None:
    try:
        structure_settings(Settings, settings, lambda path: None)  # type: ignore[arg-type, return-value]
        loads = True
    except ConfigError:
        loads = False
    document = {"integrations": {"eu": {"connector": "acme", "settings": settings}}}
    assert takes(project_schema(plugins), document) == loads


def test_a_variable_may_stand_for_any_value(plugins: Plugins) -> None:
    settings = {"url": "${U}", "token": "${T}", "most": "${M:-5}", "quick": "${Q}", "share": "${S}"}
    assert takes(project_schema(plugins), {"integrations": {"eu": {"connector": "acme", "settings": settings}}})


PROJECT_TEXTS = [
    "{}",
    "source: sqlite:///shop.db",
    "entities: {customer: 'shop:Customer', line: {table: line, key: [a, b]}}",
    "entities: {customer: {class: 'shop:Customer'}}",
    "integrations: {eu: {connector: acme, enabled: false, job: [one, two], settings: {url: u, token: t}}}",
    "services: {YOUR_PROCESSOR: acme}",
    "sorce: sqlite:///shop.db",
    "entities: {customer: customer}",
    "entities: {customer: {tabel: customer}}",
    "integrations: {eu: {settings: {}}}",
    "integrations: {eu: acme}",
    "integrations: [eu]",
    "services: [a]",
]


@pytest.mark.parametrize("text", PROJECT_TEXTS)
def test_projects_are_taken_and_refused_as_by_the_loader(plugins: Plugins, tmp_path: Path, text: str) -> None:
    file = tmp_path / "contraflow.yaml"
    file.write_text(text)
    try:
        load_configuration(file, environ={})
        loads = True
    except ConfigError:
        loads = False
    assert takes(project_schema(plugins), read(text)) == loads


JOB_TEXTS = [
    "job: {title: ~, steps: {one: {services: {reader: entity.all, processor: p, writer: w}, parameters: ~}}}",
    "job: {steps: [{title: One, reader: r, processor: p, writer: w, parameters: {batchSize: 5, other: x}}]}",
    "connector: {name: Shop, jobs: {one: {}, two: ~}}",
    "shop: {jobs: [{name: one, type: export}]}",
    "job: {step: {}}",
    "job: {steps: {one: {servces: {}}}}",
    "job: {steps: one}",
    "job: [one]",
    "connector: {names: Shop, jobs: {}}",
]


@pytest.mark.parametrize("text", JOB_TEXTS)
def test_job_files_are_taken_and_refused_as_by_the_loader(plugins: Plugins, text: str) -> None:
    try:
        parse_jobs(text.encode(), name="jobs.yml")
        loads = True
    except ConfigError:
        loads = False
    assert takes(job_schema(plugins), read(text)) == loads


def test_descriptions_come_from_the_code(plugins: Plugins) -> None:
    schema = project_schema(plugins)
    (settings,) = [
        each for name, each in schema["$defs"].items() if name.endswith("Settings") and "most" in each["properties"]
    ]
    assert settings["description"] == "What Acme needs."
    assert settings["properties"]["url"]["description"] == "Where it is."
    assert settings["properties"]["token"]["writeOnly"] is True
    parameters = job_schema(plugins)["$defs"]["step"]["properties"]["parameters"]["properties"]
    assert parameters["season"]["description"] == "which price list"
    assert "chunk" in parameters["batch_size"]["description"]
