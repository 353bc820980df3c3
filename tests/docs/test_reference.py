"""The reference is complete: what can be written, called, raised or returned is on its page."""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
import pytest

import contraflow_hookspecs
from contraflow import errors
from contraflow.cli.app import COMMANDS, app
from contraflow.cli.exit_codes import MEANINGS
from contraflow.config.job_grammar import JOB_KEYS, STEP_KEYS
from contraflow.config.project import ENTITY_KEYS, INTEGRATION_KEYS, PROJECT_KEYS
from contraflow.engine.outcomes import OUTCOMES
from contraflow.ledger.records import ITEM_STATUSES
from contraflow.options import PARAMETERS
from contraflow.readers import changed, query
from contraflow_hookspecs import specs

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
HOOKS = [ast.parse(inspect.getsource(getattr(specs, name))).body[0] for name in specs.__all__]
TYPES = [kind for kind in vars(contraflow_hookspecs).values() if attrs.has(kind) and inspect.isclass(kind)]
ENUMERATIONS = [
    kind for kind in vars(contraflow_hookspecs).values() if inspect.isclass(kind) and issubclass(kind, enum.Enum)
]
ERRORS = [
    kind
    for module in (errors, contraflow_hookspecs)
    for kind in vars(module).values()
    if inspect.isclass(kind) and issubclass(kind, Exception)
]


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same level."""
    level = heading.partition(" ")[0]
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert match, f"no section {heading!r}"
    return match[1]


def first_cells(text: str) -> set[str]:
    """What stands in backquotes in the first cell of the rows of all tables."""
    return {name for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.name)
def test_each_hook_has_its_exact_signature(hook: ast.FunctionDef) -> None:
    signature = f"def {hook.name}({ast.unparse(hook.args)}) -> {ast.unparse(hook.returns or ast.Constant(None))}: ..."
    assert f"```python\n{signature}\n```" in section(page("hooks.md"), f"## {hook.name}")


def test_hooks_stand_in_the_order_of_a_run() -> None:
    assert re.findall(r"^## (\w+)$", page("hooks.md"), re.MULTILINE) == [hook.name for hook in HOOKS]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command under its heading, those of groups included."""
    for name in COMMANDS:
        command = app.get_command(click.Context(app), name)
        assert command is not None
        yield f"## contraflow {name}", command
        if isinstance(command, click.Group):
            yield from ((f"### contraflow {name} {each}", command.commands[each]) for each in command.commands)


@pytest.mark.parametrize(
    ("heading", "command"), list(commands()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_each_command_has_its_options(heading: str, command: click.Command) -> None:
    text = section(page("cli.md"), heading)
    own = text.partition("\n### ")[0]
    documented = {option.partition(" ")[0] for option in first_cells(own) if option.startswith("-")}
    options = {each for option in command.params if isinstance(option, click.Option) for each in option.opts}
    assert documented == options - {"--json"}
    for argument in (each for each in command.params if isinstance(each, click.Argument)):
        assert argument.human_readable_name in text


def test_the_options_of_all_commands() -> None:
    documented = {option.partition(" ")[0] for option in first_cells(page("cli.md").partition("\n## ")[0])}
    own = {each for option in app.params for each in option.opts}
    assert documented == own | {"-h", "--help", "--json"}


def test_each_exit_code() -> None:
    documented = re.findall(r"^\| (\d+) \|", section(page("cli.md"), "## Exit codes"), re.MULTILINE)
    assert [int(code) for code in documented] == sorted(MEANINGS)


@pytest.mark.parametrize(
    ("heading", "keys"),
    [("# The project file", PROJECT_KEYS), ("## An entity", ENTITY_KEYS), ("## An integration", INTEGRATION_KEYS)],
)
def test_each_key_of_a_project_file(heading: str, keys: tuple[str, ...]) -> None:
    text = section(page("project-file.md"), heading)
    assert first_cells(text.partition("\n## ")[0]) == set(keys)


def test_each_key_of_a_job_file() -> None:
    documented = first_cells(page("job-files.md").partition("\n## ")[0])
    assert documented == {*JOB_KEYS, *STEP_KEYS}


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("## Parameters of every step", PARAMETERS),
        (
            "## Readers that come with contraflow",
            {**changed.describe_parameters(parameters={}), **query.describe_parameters(parameters={})},
        ),
    ],
)
def test_each_step_parameter(heading: str, known: dict[str, str]) -> None:
    assert first_cells(section(page("job-files.md"), heading)) == set(known)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_each_field_of_each_type(kind: type) -> None:
    text = page("types-and-errors.md")
    if f"### {kind.__name__}\n" in text:
        text = section(text, f"### {kind.__name__}")
    else:  # a row of a table
        (text,) = re.findall(rf"^\| `{kind.__name__}` \|.*$", text, re.MULTILINE)
    properties = {name for name, value in vars(kind).items() if isinstance(value, property)}
    for name in {field.name for field in attrs.fields(kind)} | properties:
        assert f"`{name}`" in text or name == "key", name


@pytest.mark.parametrize("kind", ENUMERATIONS, ids=lambda kind: kind.__name__)
def test_each_member_of_each_enumeration(kind: type[enum.Enum]) -> None:
    text = page("types-and-errors.md")
    start = (
        text.index(f"`{kind.__name__}`: ") if f"`{kind.__name__}`: " in text else text.index(f"### {kind.__name__}\n")
    )
    assert all(f"`{member.name}`" in text[start : start + 700] for member in kind)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error(kind: type[Exception]) -> None:
    (row,) = re.findall(rf"^\| `{kind.__name__}` \|.*$", page("types-and-errors.md"), re.MULTILINE)
    if issubclass(kind, errors.ContraflowError):
        assert f"| {kind.exit_code} |" in row


@pytest.mark.parametrize(
    ("path", "heading", "names"),
    [
        ("how-a-run-works.md", "## The outcomes of an item", OUTCOMES),
        ("the-ledger.md", "# The ledger", ITEM_STATUSES),
    ],
    ids=["outcomes", "states"],
)
def test_each_outcome_and_each_state_is_explained(path: str, heading: str, names: tuple[str, ...]) -> None:
    text = section((REFERENCE.parent / "explanation" / path).read_text(encoding="utf-8"), heading)
    table = re.search(r"^\| (?:outcome|state) \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table
    explained = [row.split("|")[1].strip(" `").replace(" ", "_") for row in table[1].splitlines()]
    assert sorted(explained) == sorted(names)
