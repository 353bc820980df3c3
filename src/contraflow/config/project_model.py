"""What a project file says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from contraflow.errors import Location

DEFAULT_LEDGER = "sqlite:///contraflow.db"
"""The ledger of a project that names none: beside the project file."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class EntityConfig:
    """An entity that can be exported: a mapped class, or a table."""

    name: str
    mapped: str | None = None
    """The mapped class, ``module:Class``; otherwise ``table`` is set."""
    table: str | None = None
    schema: str | None = None
    """The table's schema; ``None`` for the database's default."""
    key: tuple[str, ...] = ()
    """The key columns of the table, instead of its primary key; empty for the primary key."""
    location: Location = attrs.field(factory=Location)


@attrs.frozen(kw_only=True)
class IntegrationConfig:
    """One configured remote instance."""

    name: str
    connector: str
    settings: Mapping[str, Any] = attrs.field(default=_EMPTY, repr=False)
    """Plain Python values; those with environment variables are always text. Checked by the connector's own class."""
    enabled: bool = True
    job: tuple[str, ...] = ()
    """Names of the project's jobs to run when the connector does not bring its own."""
    label: str | None = None
    location: Location = attrs.field(factory=Location)


@attrs.frozen(kw_only=True)
class ProjectConfig:
    """A project file, checked as far as it can be without plugins and database."""

    path: Path
    """The project file, absolute."""
    directory: Path
    """Its directory, to which relative paths refer."""
    source: str | None = attrs.field(default=None, repr=False)
    """SQLAlchemy URL of the database that is exported; a relative SQLite file is made absolute."""
    ledger: str = attrs.field(default=DEFAULT_LEDGER, repr=False)
    """SQLAlchemy URL of the ledger; a relative SQLite file is made absolute."""
    entities: Mapping[str, EntityConfig] = _EMPTY
    integrations: Mapping[str, IntegrationConfig] = _EMPTY
    jobs: tuple[Path, ...] = ()
    """The job files, absolute, each once, in the order in which they are named."""
    services: Mapping[str, str] = _EMPTY
    """Service names in job files, and the plugins that they mean here."""
    classes: Mapping[str, str] = _EMPTY
    """Step class names in job files, and the step types that they mean here."""
    plugins: Mapping[str, str] = _EMPTY
    """The project's own plugins: names, and the modules that implement them."""
    disabled_plugins: tuple[str, ...] = ()
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)
    """Values that must never be shown: those that came from the environment, and database URLs with a password."""
    locations: Mapping[str, Location] = attrs.field(default=_EMPTY, repr=False)
    """Where each path of the file stands: ``integrations.acme-eu.settings.url`` and so on."""

    def location(self, path: str) -> Location:
        """Where a path stands, or the nearest one above it that the file has."""
        while path and path not in self.locations:
            path = path.rpartition(".")[0]
        return self.locations.get(path, Location(file=str(self.path)))
