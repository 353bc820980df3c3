"""JSON Schemas (draft 2020-12) of the project file and of job files, for editors: completion, help, and red lines.

They say what can be said without the rest of the project: what keys there are, of which type, and what the settings of each
installed connector are. ``contraflow check`` knows more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import attrs

from contraflow.config.job_grammar import JOB_KEYS, STEP_KEYS, WRAPPER, WRAPPER_KEYS
from contraflow.config.project import ENTITY_KEYS, INTEGRATION_KEYS, PROJECT_KEYS
from contraflow.errors import ContraflowError
from contraflow.options import PARAMETERS
from contraflow.plugins import Plugins
from contraflow.settings_schema import Schema, settings_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Schema = {"type": ["string", "number", "boolean"]}  # names are text, exactly as they are written
_TEXT_OR_NULL: Schema = {"type": ["string", "number", "boolean", "null"]}
_TEXTS: Schema = {"anyOf": [{"type": "array", "items": _TEXT}, _TEXT_OR_NULL]}
_BOOLEAN: Schema = {"anyOf": [{"type": ["boolean", "null"]}, {"type": "string"}]}
_NAMES: Schema = {"type": ["object", "null"], "additionalProperties": _TEXT}


def project_schema(plugins: Plugins) -> Schema:
    """The schema of ``contraflow.yaml``.

    Args:
        plugins: Whose connectors' settings it describes.
    """
    definitions: dict[str, Schema] = {}
    integration = _described(
        INTEGRATION_KEYS,
        connector={**_TEXT, "description": "the plugin that exports to this remote", "examples": _connectors(plugins)},
        settings={"type": ["object", "null"], "description": "the connector's own settings"},
        enabled={**_BOOLEAN, "description": "whether it may be synchronised; true unless given"},
        job={**_TEXTS, "description": "the project's jobs to run, instead of those that the connector brings"},
        label={**_TEXT_OR_NULL, "description": "for people"},
    )
    integration |= {"required": ["connector"], "allOf": list(_settings_of(plugins, definitions))}
    entity = _described(
        ENTITY_KEYS,
        **{"class": {**_TEXT, "description": "a mapped class, as module:Class"}},
        table={**_TEXT, "description": "a table, whose key columns come from the schema"},
        schema={**_TEXT_OR_NULL, "description": "the table's schema; the database's default unless given"},
        key={**_TEXTS, "description": "the key columns, instead of the primary key"},
    )
    top = _described(
        PROJECT_KEYS,
        source={**_TEXT_OR_NULL, "description": "SQLAlchemy URL of the database that is exported"},
        ledger={**_TEXT_OR_NULL, "description": "SQLAlchemy URL of the ledger; sqlite:///contraflow.db unless given"},
        entities={
            "description": "what can be exported, by name: a mapped class or a table",
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [{"type": "string", "pattern": "^[^:]+:[^:]+$"}, entity]},
        },
        integrations={
            "description": "the remotes, by name",
            "type": ["object", "null"],
            "additionalProperties": integration,
        },
        jobs={**_TEXTS, "description": "the project's job files"},
        services={**_NAMES, "description": "service names in job files, and the plugins that they mean here"},
        classes={**_NAMES, "description": "step class names in job files, and the step types that they mean here"},
        plugins={**_NAMES, "description": "the project's own plugins: names, and the modules that implement them"},
        disable_plugins={**_TEXTS, "description": "names of installed plugins that are not to be loaded"},
    )
    return {"$schema": _DIALECT, "title": "contraflow.yaml", **top, "$defs": definitions}


def job_schema(plugins: Plugins) -> Schema:
    """The schema of a job file, in either of the ancestor's two forms.

    Args:
        plugins: Whose step parameters it describes.
    """
    services = {stage: {**_TEXT, "description": f"the plugin that serves the {stage} stage"} for stage in _STAGES}
    step = _described(
        STEP_KEYS,
        name={**_TEXT, "description": "the step's name, in a list of steps"},
        title={**_TEXT_OR_NULL, "description": "for people"},
        **{"class": {**_TEXT_OR_NULL, "description": "the step type: item unless given"}},
        services={
            "description": "the plugins that serve the stages; or one that runs the whole step",
            "type": ["object", "null"],
            "properties": services,
            "additionalProperties": _TEXT,
        },
        parameters={
            "description": "of the engine, and of the plugins that serve the step",
            "type": ["object", "null"],
            "properties": {name: {"description": text} for name, text in _parameters(plugins).items()},
        },
        templates={"description": "names pages of the ancestor's user interface, and is left out"},
        **services,
    )
    job = _described(
        JOB_KEYS,
        name={**_TEXT, "description": "the job's name, in a list of jobs"},
        title={**_TEXT_OR_NULL, "description": "for people"},
        type={**_TEXT_OR_NULL, "description": "export unless given; jobs of other types load, and are not run"},
        steps={"description": "in order; by name, or in a list", **_by_name_or_listed({"$ref": "#/$defs/step"})},
        templates={"description": "names pages of the ancestor's user interface, and is left out"},
    )
    job["type"] = ["object", "null"]
    wrapper = _described(
        WRAPPER_KEYS,
        name={**_TEXT_OR_NULL, "description": "whose jobs these are"},
        jobs=_by_name_or_listed({"$ref": "#/$defs/job"}),
    )
    return {
        "$schema": _DIALECT,
        "title": "contraflow job file",
        "type": ["object", "null"],
        "properties": {WRAPPER: {"$ref": "#/$defs/wrapper"}},
        "additionalProperties": {
            "if": {"type": "object", "required": ["jobs"]},
            "then": {"$ref": "#/$defs/wrapper"},
            "else": {"$ref": "#/$defs/job"},
        },
        "$defs": {"job": job, "step": step, "wrapper": wrapper},
    }


_STAGES = ("reader", "processor", "writer")


def _described(keys: Iterable[str], **properties: Schema) -> Schema:
    """A mapping with just these keys; a key that nobody describes is an error here, not in somebody's editor."""
    if set(keys) != set(properties):
        raise AssertionError(f"the schema describes {sorted(properties)}, and the loader takes {sorted(keys)}")
    return {"type": "object", "properties": {key: properties[key] for key in keys}, "additionalProperties": False}


def _by_name_or_listed(item: Schema) -> Schema:
    return {
        "anyOf": [
            {"type": "object", "additionalProperties": item},
            {"type": "array", "items": item},
            {"type": "null"},
        ]
    }


def _connectors(plugins: Plugins) -> list[str]:
    return [name for name in plugins.names if plugins.implements(name, "provide_export_job")]


def _settings_of(plugins: Plugins, definitions: dict[str, Schema]) -> Iterable[Schema]:
    """For each connector: if it is named, its settings."""
    for name in _connectors(plugins):
        with suppress(ContraflowError):  # a broken connector is check's business
            classes = dict.fromkeys(job.settings for job in plugins.export_jobs(name))
            schemas = [settings_schema(each, definitions) for each in classes if each is not None and attrs.has(each)]
            if schemas:
                settings = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
                yield {
                    "if": {"properties": {"connector": {"const": name}}, "required": ["connector"]},
                    "then": {"properties": {"settings": settings}},
                }


def _parameters(plugins: Plugins) -> Mapping[str, str]:
    known: dict[str, str] = {}
    for record in plugins.records:
        if record.error is None:
            with suppress(ContraflowError):
                known |= plugins.parameters(record.name, {}) or {}
    return {**known, **PARAMETERS}
