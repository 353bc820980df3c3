"""The project file: ``contraflow.yaml`` to :class:`ProjectConfig`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from contraflow.config.document import load_document
from contraflow.config.environment import Substitution
from contraflow.config.files import display_name, is_directory, is_file, names_in
from contraflow.config.job_files import find_job_files
from contraflow.config.nodes import MappingNode, Node, describe, plain_value, walk
from contraflow.config.project_model import DEFAULT_LEDGER, EntityConfig, IntegrationConfig, ProjectConfig
from contraflow.config.section import Section, name_of
from contraflow.errors import ConfigError, Location, Problem, near_match

PROJECT_FILE = "contraflow.yaml"
"""The project file's name within a directory."""

PROJECT_KEYS = (
    "source",
    "ledger",
    "entities",
    "integrations",
    "jobs",
    "services",
    "classes",
    "plugins",
    "disable_plugins",
)
INTEGRATION_KEYS = ("connector", "settings", "enabled", "job", "label")
ENTITY_KEYS = ("class", "table", "schema", "key")

_SQLITE_FILE = re.compile(r"(?P<head>sqlite(?:\+\w+)?:///)(?P<file>[^?]+)(?P<query>\?.*)?", re.DOTALL)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\+[A-Za-z0-9_]+)?://")
_URL_EXPECTED = "a SQLAlchemy URL, such as sqlite:///shop.db or postgresql+psycopg://user@host/name"
_CLASS_EXPECTED = "a mapped class as 'module:Class', or a mapping with 'class' or 'table'"


def load_project(path: str | os.PathLike[str], *, environ: Mapping[str, str] = os.environ) -> ProjectConfig:
    """Read a project file.

    Args:
        path: The file, or a directory that holds a ``contraflow.yaml``.
        environ: The environment variables that its values may use.

    Raises:
        ConfigError: The file is missing, or holds something that cannot be honoured. Carries every problem found.
    """
    problems: list[Problem] = []
    project = read_project(path, environ, problems)
    if problems:
        raise ConfigError(*problems)
    return project


def read_project(path: str | os.PathLike[str], environ: Mapping[str, str], problems: list[Problem]) -> ProjectConfig:
    """The same as :func:`load_project`, but note problems instead of raising, and return what could be read.

    Raises:
        ConfigError: The file is missing, or no YAML that could be read at all.
    """
    file = _project_file(Path(path))
    substitution = Substitution(environ)
    top = substitution.apply_to_mapping(load_document(file, file=display_name(file)))
    found: list[Problem] = []
    project = _project(file, top, substitution.secrets, found)
    # What cannot be substituted need not also be of the wrong kind.
    unset = {problem.location for problem in substitution.problems}
    found = substitution.problems + [problem for problem in found if problem.location not in unset]
    problems += sorted(found, key=lambda problem: problem.location.line or 0)
    return project


def _project_file(path: Path) -> Path:
    if is_file(path):
        return path.absolute()
    if is_directory(path) and is_file(path / PROJECT_FILE):
        return (path / PROJECT_FILE).absolute()
    directory, name = (path, PROJECT_FILE) if is_directory(path) else (path.parent, path.name)
    raise ConfigError(
        Problem(
            message="there is no project file here",
            location=Location(file=display_name(path)),
            expected=f"a file {name}" if directory == path else "a project file, or a directory that holds one",
            hint=near_match(name, names_in(directory)) or "make one with 'contraflow init'",
        )
    )


def _project(file: Path, top: MappingNode, environment: frozenset[str], problems: list[Problem]) -> ProjectConfig:
    section = Section(top, PROJECT_KEYS, problems, what="the project file")
    directory = file.parent
    source = _database_url(section, "source", directory)
    ledger = _database_url(section, "ledger", directory) or _resolved(DEFAULT_LEDGER, directory)
    return ProjectConfig(
        path=file,
        directory=directory,
        source=source,
        ledger=ledger,
        entities=_entities(section, problems),
        integrations=_integrations(section, problems),
        jobs=find_job_files(directory, section.texts("jobs"), problems),
        services=section.text_mapping("services", of="the name of a plugin"),
        classes=section.text_mapping("classes", of="the name of a step type"),
        plugins=section.text_mapping("plugins", of="the name of a module"),
        disabled_plugins=tuple(name.text for name in section.texts("disable_plugins")),
        secrets=environment | {url for url in (source, ledger) if url and "@" in url},
        locations={node.place.path: node.place.location for node in walk(top)},
    )


def _database_url(section: Section, key: str, directory: Path) -> str | None:
    """The URL of a database; never shown in a message, since it may hold a password."""
    url = section.text(key, expected=_URL_EXPECTED)
    node = section.node_of(key)
    if url is None or node is None:
        return None
    if not _URL.match(url):
        section.note(f"'{key}' must be the URL of a database", node, found="no URL", expected=_URL_EXPECTED)
        return None
    return _resolved(url, directory)


def _resolved(url: str, directory: Path) -> str:
    """The URL with a relative SQLite file made absolute."""
    match = _SQLITE_FILE.fullmatch(url)
    if match is None or match["file"] == ":memory:" or match["file"].startswith("file:"):
        return url
    return f"{match['head']}{directory / match['file']}{match['query'] or ''}"


def _entities(section: Section, problems: list[Problem]) -> dict[str, EntityConfig]:
    node = section.mapping("entities")
    entities = {}
    for name, value in ({} if node is None else node.entries).items():
        entity = _entity(name, value, section, problems)
        if entity is not None:
            entities[name] = entity
    return entities


def _entity(name: str, value: Node, section: Section, problems: list[Problem]) -> EntityConfig | None:
    if not isinstance(value, MappingNode):
        mapped = _mapped_class(name, value, section)
        return EntityConfig(name=name, mapped=mapped, location=value.place.location) if mapped else None
    entity = Section(value, ENTITY_KEYS, problems, what=f"the entity '{name}'")
    class_node, table = entity.node_of("class"), entity.text("table", show=True)
    if class_node is not None:
        for key in ("table", "schema", "key"):
            if entity.node_of(key) is not None:
                hint = "take 'class', or 'table' with its schema and key"
                entity.note(f"'{key}' does not go with 'class'", value.entries[key], hint=hint)
        mapped = _mapped_class(name, class_node, entity)
        return EntityConfig(name=name, mapped=mapped, location=entity.location) if mapped else None
    if table is None:
        if entity.node_of("table") is None:
            entity.note(f"the entity '{name}' needs 'class' or 'table'", value, expected=_CLASS_EXPECTED)
        return None
    return EntityConfig(
        name=name,
        table=table,
        schema=entity.text("schema", show=True),
        key=tuple(column.text for column in entity.texts("key")),
        location=entity.location,
    )


def _mapped_class(name: str, value: Node, section: Section) -> str | None:
    text = name_of(value) or ""
    module, colon, path = text.partition(":")
    if colon and all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        return text
    hint = f"for a table: {name}: {{table: {text}}}" if text.isidentifier() else None
    section.note(
        f"the entity '{name}' must name a mapped class or a table",
        value,
        found=describe(value, show=True),
        expected=_CLASS_EXPECTED,
        hint=hint,
    )
    return None


def _integrations(section: Section, problems: list[Problem]) -> dict[str, IntegrationConfig]:
    node = section.mapping("integrations")
    integrations = {}
    for name, value in ({} if node is None else node.entries).items():
        if not isinstance(value, MappingNode):
            message, expected = f"the integration '{name}' must be a mapping", "'connector' and 'settings' below it"
            section.note(message, value, found=describe(value), expected=expected)
            continue
        integration = Section(value, INTEGRATION_KEYS, problems, what=f"the integration '{name}'")
        connector = integration.text("connector", required=True, show=True, expected="the name of a connector")
        settings = integration.mapping("settings")
        integrations[name] = IntegrationConfig(
            name=name,
            connector=connector or "",
            settings={} if settings is None else plain_value(settings),
            enabled=integration.boolean("enabled", default=True),
            job=tuple(job.text for job in integration.texts("job")),
            label=integration.text("label", show=True),
            location=integration.location,
        )
    return integrations
