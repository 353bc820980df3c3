"""The project file and its job files together, with every problem of all of them at once."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from contraflow.config.job_model import JobDefinition
from contraflow.config.jobs import read_job_files
from contraflow.config.project import read_project
from contraflow.config.project_model import ProjectConfig
from contraflow.errors import ConfigError, Problem


@attrs.frozen(kw_only=True)
class Configuration:
    """All that the user wrote."""

    project: ProjectConfig
    jobs: Mapping[str, JobDefinition]
    """The jobs of the project's own files; connectors may bring more."""


def load_configuration(path: str | os.PathLike[str], *, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Read a project file and the job files that it names.

    Args:
        path: The project file, or a directory that holds a ``contraflow.yaml``.
        environ: The environment variables that the project file may use.

    Raises:
        ConfigError: Something cannot be honoured. Carries every problem of all files.
    """
    problems: list[Problem] = []
    project = read_project(path, environ, problems)
    jobs = read_job_files(project.jobs, problems)
    if problems:
        raise ConfigError(*problems)
    return Configuration(project=project, jobs=jobs)
