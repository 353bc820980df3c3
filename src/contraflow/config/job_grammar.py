"""The ancestor's grammar of job files: a tree of nodes to job definitions.

::

    customers_export:               # a bare job, or any name around {name: …, jobs: …}
        title: Customers to Acme    # optional
        type:  export               # optional; export
        steps:                      # a mapping, or a list
            customers:
                title:      Customers
                class:      item
                services:   {reader: entity.by_id, processor: acme.customers, writer: acme.customers}
                parameters: {entity: customer, batch_size: 200}

Names and titles are text exactly as written; only parameters are typed. ``reader``, ``processor`` and ``writer`` may stand
directly below the step, as they did in the oldest files. In a list, an entry of ``jobs`` carries its ``name``; a step is
known by its ``name``, else by its ``title`` if no step before it has that, else by its number in the list (from 1).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from contraflow.config.job_model import EXPORT, JobDefinition, StepDefinition, engine_parameter
from contraflow.config.nodes import ListNode, MappingNode, Node, ScalarNode, describe, plain_value
from contraflow.config.section import Section, name_of
from contraflow.errors import Location, Problem

WRAPPER = "connector"
"""The ancestor's name for the mapping around ``jobs``; any other name does as well."""
WRAPPER_KEYS = ("name", "jobs")
JOB_KEYS = ("name", "title", "type", "steps", "templates")
STEP_KEYS = ("name", "title", "class", "services", "parameters", "reader", "processor", "writer", "templates")
STAGES = ("reader", "processor", "writer")
"""The services of an item step, in their order."""


def read_jobs(top: MappingNode, problems: list[Problem]) -> list[JobDefinition]:
    """The jobs of one file, in its order; what cannot be honoured is noted as a problem."""
    jobs: list[JobDefinition] = []
    for name, node in top.entries.items():
        if _is_wrapper(name, node):
            jobs += _wrapped_jobs(name, node, problems)
        else:
            jobs += _read_job(name, node, problems)
    return jobs


def _is_wrapper(name: str, node: Node) -> bool:
    if isinstance(node, MappingNode):
        return "jobs" in node.entries or name == WRAPPER or list(node.entries) == ["name"]
    return name == WRAPPER


def _wrapped_jobs(name: str, node: Node, problems: list[Problem]) -> list[JobDefinition]:
    mapping = _mapping_or_note(node, f"'{name}' must be a mapping with 'jobs'", problems)
    if mapping is None:
        return []
    section = Section(mapping, WRAPPER_KEYS, problems, what=f"'{name}'")
    connector = section.text("name", show=True)
    value = section.node_of("jobs")
    jobs: list[JobDefinition] = []
    if isinstance(value, ListNode):
        for item in value.items:
            jobs += _read_listed_job(item, problems)
    else:
        named = section.mapping("jobs")
        for alias, job in ({} if named is None else named.entries).items():
            jobs += _read_job(alias, job, problems)
    _refuse_twins(jobs, problems)
    return [attrs.evolve(job, connector=connector) for job in jobs]


def _read_listed_job(node: Node, problems: list[Problem]) -> list[JobDefinition]:
    mapping = _mapping_or_note(node, "a job in a list must be a mapping", problems)
    if mapping is None:
        return []
    name_node = mapping.entries.get("name")
    name = None if name_node is None else name_of(name_node)
    if name:
        return _read_job(name, mapping, problems)
    expected = "the job's 'name' beside its title, type and steps"
    found = None if name_node is None else describe(name_node)
    location = node.place.location
    problems.append(Problem(message="a job in a list needs a name", location=location, found=found, expected=expected))
    return []


def _read_job(name: str, node: Node, problems: list[Problem]) -> list[JobDefinition]:
    """The job, or nothing."""
    mapping = _mapping_or_note(node, f"the job '{name}' must be a mapping", problems)
    if mapping is None:
        return []
    section = Section(mapping, JOB_KEYS, problems, what=f"the job '{name}'")
    warnings = _left_out(section)
    job = JobDefinition(
        name=section.text("name", show=True) or name,
        title=section.text("title", show=True),
        type=section.text("type", show=True) or EXPORT,
        steps=_steps(section, problems, warnings),
        location=section.location,
        warnings=tuple(warnings),
    )
    return [job]


def _refuse_twins(jobs: list[JobDefinition], problems: list[Problem]) -> None:
    """Within one list of jobs, a name and type is there once; only other files may append to a job."""
    seen: dict[tuple[str, str], JobDefinition] = {}
    for job in jobs:
        first = seen.setdefault((job.type, job.name), job)
        if first is not job:
            found = f"first on line {first.location.line}, again on line {job.location.line}"
            problems.append(Problem(message=f"the job '{job.name}' is there twice", location=job.location, found=found))


def _steps(job: Section, problems: list[Problem], warnings: list[Problem]) -> tuple[StepDefinition, ...]:
    steps: dict[str, StepDefinition] = {}
    for default, node in _step_nodes(job):
        mapping = _mapping_or_note(node, "a step must be a mapping", problems)
        if mapping is None:
            continue
        section = Section(mapping, STEP_KEYS, problems, what="a step")
        warnings += _left_out(section)
        title = section.text("title", show=True)
        key = section.text("name", show=True) or default or ""
        if not key:
            key = title if title and title not in steps else str(len(steps) + 1)
        if key in steps:
            section.note(f"the step '{key}' is there twice", node, found=f"first on line {steps[key].location.line}")
        steps[key] = _step(key, title, section)
    return tuple(steps.values())


def _step_nodes(job: Section) -> list[tuple[str | None, Node]]:
    """The steps with their keys; steps in a list have none yet."""
    value = job.node_of("steps")
    if isinstance(value, ListNode):
        return [(None, item) for item in value.items]
    mapping = job.mapping("steps")
    return [] if mapping is None else list(mapping.entries.items())


def _step(key: str, title: str | None, section: Section) -> StepDefinition:
    services = section.text_mapping("services", of="the name of a service")
    service_nodes = _entries(section, "services")
    for stage in STAGES:
        name = section.text(stage, show=True, expected="the name of a service")
        if name is None:
            continue
        flat = section.node.entries[stage]
        if stage in services:
            found = f"first on line {service_nodes[stage].place.line}, again on line {flat.place.line}"
            section.note(f"the step '{key}' has two services '{stage}'", flat, found=found, hint="keep one of them")
        services[stage], service_nodes[stage] = name, flat
    parameters = _entries(section, "parameters") if section.mapping("parameters") is not None else {}
    _refuse_doubles(parameters, section)
    return StepDefinition(
        key=key,
        title=title,
        step_class=section.text("class", show=True, expected="the name of a step type"),
        services=services,
        parameters={name: plain_value(node) for name, node in parameters.items()},
        location=section.location,
        service_locations=_locations(service_nodes),
        parameter_locations=_locations(parameters),
    )


def _entries(section: Section, key: str) -> dict[str, Node]:
    node = section.node_of(key)
    return dict(node.entries) if isinstance(node, MappingNode) else {}


def _locations(nodes: Mapping[str, Node]) -> dict[str, Location]:
    return {name: node.place.location for name, node in nodes.items()}


def _refuse_doubles(parameters: Mapping[str, Node], section: Section) -> None:
    """``batchSize`` beside ``batch_size`` is the same parameter twice."""
    seen: dict[str, tuple[str, Node]] = {}
    for written, node in parameters.items():
        name = engine_parameter(written)
        if name is None:
            continue
        if name in seen:
            first, first_node = seen[name]
            found = f"'{first}' on line {first_node.place.line}, '{written}' on line {node.place.line}"
            section.note(f"the parameter '{name}' is given twice", node, found=found, hint="keep one of them")
        seen.setdefault(name, (written, node))


def _left_out(section: Section) -> list[Problem]:
    node = section.node.entries.get("templates")
    if node is None:
        return []
    message = "'templates' names pages of the ancestor's user interface, and is left out"
    return [Problem(message=message, location=node.place.location)]


def _mapping_or_note(node: Node, message: str, problems: list[Problem]) -> MappingNode | None:
    """The mapping; an empty one for null or an empty list; ``None`` for anything else, which is noted."""
    if isinstance(node, MappingNode):
        return node
    is_null = isinstance(node, ScalarNode) and node.value is None
    if is_null or (isinstance(node, ListNode) and not node.items):
        return MappingNode(place=node.place, entries={})
    expected = "names with values below it"
    problems.append(Problem(message=message, location=node.place.location, found=describe(node), expected=expected))
    return None


def renamed(step: StepDefinition, taken: set[str]) -> StepDefinition:
    """The step under a key that is not taken yet: ``export``, ``export_2``, ``export_3`` and so on."""
    key, number = step.key, 1
    while key in taken:
        number += 1
        key = f"{step.key}_{number}"
    return step if number == 1 else attrs.evolve(step, key=key)
