"""Configuration: the project file and job files, from YAML to checked values.

Everything wrong with what the user wrote is raised at once, as one :class:`~contraflow.errors.ConfigError`. Names of
plugins, services and step types are not resolved here.
"""

from __future__ import annotations

from contraflow.config.job_model import ENGINE_PARAMETERS, EXPORT, JobDefinition, StepDefinition, engine_parameter
from contraflow.config.jobs import load_jobs, parse_jobs
from contraflow.config.loading import Configuration, load_configuration
from contraflow.config.project import PROJECT_FILE, load_project
from contraflow.config.project_model import EntityConfig, IntegrationConfig, ProjectConfig

__all__ = [
    "ENGINE_PARAMETERS",
    "EXPORT",
    "PROJECT_FILE",
    "Configuration",
    "EntityConfig",
    "IntegrationConfig",
    "JobDefinition",
    "ProjectConfig",
    "StepDefinition",
    "engine_parameter",
    "load_configuration",
    "load_jobs",
    "load_project",
    "parse_jobs",
]
