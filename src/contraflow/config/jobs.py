"""Job files, and the jobs that connectors bring, to :class:`JobDefinition`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from contraflow.config.document import load_document, parse_document
from contraflow.config.environment import Substitution
from contraflow.config.job_grammar import read_jobs, renamed
from contraflow.config.job_model import EXPORT, JobDefinition
from contraflow.config.nodes import MappingNode
from contraflow.config.python_nodes import mapping_node
from contraflow.errors import ConfigError, Problem


def load_jobs(files: Iterable[str | os.PathLike[str]]) -> Mapping[str, JobDefinition]:
    """Read job files.

    The same name and type in several files is one job: the steps of later files are appended, and the first title is
    kept. A step whose key the job already has is then called ``key_2``, and so on. The same name with another type is
    another job: the mapping has the one of type ``export`` (without one, the first) under the bare name, and each other
    under ``type:name``. So are two jobs of one name and type in wrappers with different names: the first has the bare name,
    the others ``connector:name``.

    Args:
        files: The files, in the order in which steps are appended; a file named twice is read once.

    Returns:
        The jobs by name, in the order of the files.

    Raises:
        ConfigError: A file is missing or holds something that cannot be honoured. Carries every problem of all files.
    """
    problems: list[Problem] = []
    jobs = read_job_files(files, problems)
    if problems:
        raise ConfigError(*problems)
    return jobs


def read_job_files(files: Iterable[str | os.PathLike[str]], problems: list[Problem]) -> Mapping[str, JobDefinition]:
    """The same as :func:`load_jobs`, but note problems instead of raising, and return what could be read."""
    definitions: list[JobDefinition] = []
    once: dict[str, Path] = {}
    for name in files:
        once.setdefault(os.path.realpath(name), Path(name))
    for file in once.values():
        try:
            definitions += _definitions(load_document(file), problems)
        except ConfigError as error:
            problems += error.problems
    return _by_name(_merged(definitions), problems)


def parse_jobs(definition: str | bytes | Mapping[str, Any], *, name: str) -> Mapping[str, JobDefinition]:
    """Read the jobs that a connector brings.

    Args:
        definition: The text of a job file, or a mapping as in one. In a mapping, a parameter may be any object.
        name: What messages call it: the file's name, or the plugin's.

    Returns:
        The jobs by name, as :func:`load_jobs` does.

    Raises:
        ConfigError: The definition holds something that cannot be honoured.
    """
    match definition:
        case Mapping():
            top = mapping_node(definition, name)
        case _:
            top = parse_document(definition, file=name)
    problems: list[Problem] = []
    jobs = _by_name(_merged(_definitions(top, problems)), problems)
    if problems:
        raise ConfigError(*problems)
    return jobs


def _definitions(top: MappingNode, problems: list[Problem]) -> list[JobDefinition]:
    # Job files are shared and published, so they take nothing from the environment; that is for the project file.
    substitution = Substitution(None)
    top = substitution.apply_to_mapping(top)
    problems += substitution.problems
    return read_jobs(top, problems)


def _merged(definitions: Iterable[JobDefinition]) -> list[JobDefinition]:
    """One definition for each name, type and connector; a job without connector belongs to the first of its name."""
    jobs: dict[tuple[str, str], list[JobDefinition]] = {}
    for job in definitions:
        namesakes = jobs.setdefault((job.name, job.type), [])
        for number, other in enumerate(namesakes):
            if None in (job.connector, other.connector) or job.connector == other.connector:
                namesakes[number] = _appended(other, job)
                break
        else:
            namesakes.append(job)
    return [job for namesakes in jobs.values() for job in namesakes]


def _appended(job: JobDefinition, more: JobDefinition) -> JobDefinition:
    steps = list(job.steps)
    for step in more.steps:
        steps.append(renamed(step, {other.key for other in steps}))
    return attrs.evolve(
        job,
        title=job.title or more.title,
        connector=job.connector or more.connector,
        steps=tuple(steps),
        warnings=(*job.warnings, *more.warnings),
    )


def _by_name(jobs: list[JobDefinition], problems: list[Problem]) -> dict[str, JobDefinition]:
    owners: dict[str, JobDefinition] = {}
    for job in jobs:
        owner = owners.setdefault(job.name, job)
        if job.type == EXPORT and owner.type != EXPORT:
            owners[job.name] = job
    named: dict[str, JobDefinition] = {}
    for job in jobs:
        owner = owners[job.name]
        if owner is job:
            name = job.name
        elif owner.type == job.type:
            name = f"{job.connector}:{job.name}"
        else:
            name = f"{job.type}:{job.name}"
        if name in named:
            message = f"two jobs would be called '{name}'"
            problems.append(Problem(message=message, location=job.location, hint="rename one of them"))
        named[name] = job
    return named
