from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from contraflow.config import ProjectConfig, load_jobs, load_project
from contraflow.config.job_model import JobDefinition
from contraflow.errors import ConfigError, Problem


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the current one, so that messages show short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(directory: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file; text is dedented."""

    def write(name: str, content: str | bytes) -> Path:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        return path

    return write


@pytest.fixture
def project(write: Callable[..., Path]) -> Callable[..., ProjectConfig]:
    """Write a ``contraflow.yaml`` and load it; variables of the environment by keyword."""

    def project(text: str, **environ: str) -> ProjectConfig:
        return load_project(write("contraflow.yaml", text), environ=environ)

    return project


@pytest.fixture
def project_problems(project: Callable[..., ProjectConfig]) -> Callable[..., tuple[Problem, ...]]:
    """Load a ``contraflow.yaml`` that cannot be honoured, and return the problems."""

    def problems(text: str, **environ: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as raised:
            project(text, **environ)
        return raised.value.problems

    return problems


@pytest.fixture
def jobs(write: Callable[..., Path]) -> Callable[..., dict[str, JobDefinition]]:
    """Write job files and load them together."""

    def jobs(*texts: str | bytes) -> dict[str, JobDefinition]:
        return dict(load_jobs([write(f"jobs_{number}.yml", text) for number, text in enumerate(texts)]))

    return jobs


@pytest.fixture
def job_problems(jobs: Callable[..., dict[str, JobDefinition]]) -> Callable[..., tuple[Problem, ...]]:
    """Load job files that cannot be honoured, and return the problems."""

    def problems(*texts: str | bytes) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as raised:
            jobs(*texts)
        return raised.value.problems

    return problems
