"""The ancestor's documentation example runs byte for byte, with two plugins that pip installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

EXAMPLE = Path(__file__).parent / "config" / "data" / "ancestor_example.yml"

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "1.0"
dependencies = ["contraflow-hookspecs>=1.0,<2"]
[project.entry-points.contraflow]
{entry} = "{module}"
[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""

PROCESSOR = '''
"""Turns a row into a record."""
from contraflow_hookspecs import hookimpl

@hookimpl
def process_item(item, context):
    return {name: value for name, value in item.data.items()}
'''

WRITER = '''
"""Writes records to a JSON file."""
import json
from pathlib import Path
import attrs
from contraflow_hookspecs import Capabilities, ExportJob, Idempotency, Written, hookimpl

@attrs.frozen
class Settings:
    path: str
    entity: str

@hookimpl
def provide_export_job():
    return ExportJob(
        name="example_export", entity="customer", settings=Settings,
        capabilities=Capabilities(idempotency=Idempotency.UPSERT),
    )

@hookimpl
def write_items(items, context):
    path = Path(context.settings.path)
    records = json.loads(path.read_text()) if path.exists() else {}
    for change in items:
        records["-".join(map(str, change.key))] = change.payload
    path.write_text(json.dumps(records))
    return [Written(key=change.key) for change in items]
'''


def build(folder: Path, name: str, entry: str, module: str, source: str) -> Path:
    """A package as a third party would write it."""
    package = folder / name / "src" / module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source)
    (folder / name / "pyproject.toml").write_text(PYPROJECT.format(name=name, entry=entry, module=module))
    return folder / name


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the two packages."""
    folder = tmp_path_factory.mktemp("packages")
    packages = [
        build(folder, "your-processor", "YOUR_PROCESSOR", "your_processor", PROCESSOR),
        build(folder, "your-reverse-writer", "YOUR_REVERSE_WRITER", "your_reverse_writer", WRITER),
    ]
    target = folder / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--target", str(target), *map(str, packages)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@attrs.frozen
class Ancestor:
    directory: Path
    installed: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.installed)}
        command = [sys.executable, "-m", "contraflow", *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def records(self) -> dict[str, Any]:
        path = self.directory / "remote.json"
        records: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return records


@pytest.fixture
def ancestor(tmp_path: Path, installed: Path) -> Ancestor:
    shutil.copyfile(EXAMPLE, tmp_path / "batch_jobs.yml")
    (tmp_path / "contraflow.yaml").write_text(
        "source: sqlite:///shop.db\n"
        "entities:\n"
        "  customer: {table: customer}\n"
        "  line: {table: line}\n"
        "integrations:\n"
        "  acme: {connector: YOUR_REVERSE_WRITER, settings: {path: remote.json, entity: customer}}\n"
        "jobs: [batch_jobs.yml]\n"
    )
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.executescript(
            """
            CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
            INSERT INTO customer VALUES (1, 'Ana'), (2, 'Bo'), (3, 'Cy');
            CREATE TABLE line (order_no INTEGER, line INTEGER, name TEXT, PRIMARY KEY (order_no, line));
            INSERT INTO line VALUES (1, 1, 'one'), (1, 2, 'two'), (2, 1, 'three');
            """
        )
    return Ancestor(tmp_path, installed)


def test_the_example_is_the_ancestors_byte_for_byte() -> None:
    assert hashlib.sha256(EXAMPLE.read_bytes()).hexdigest() == hashlib.sha256(ANCESTOR.encode()).hexdigest()


ANCESTOR = r"""example_export:
    title: Job title here
    type:  export
    steps:
        export_entity_1:
            title:      Step title here
            class:      Oro\Bundle\BatchBundle\Step\ItemStep
            services:
                reader:    oro_integration.reader.entity.by_id  # read entity from database by identifier
                processor: YOUR_PROCESSOR                       # service which process each record. Could prepare changeset for writer.
                writer:    YOUR_REVERSE_WRITER                  # service that are responsible for pushing data to remote instance
            parameters: ~
        # .... another steps
"""  # noqa: E501


def test_it_is_in_order_and_listed(ancestor: Ancestor) -> None:
    checked = ancestor.run("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ok       integration acme, job example_export: 1 step" in checked.stdout
    assert "YOUR_PROCESSOR" in ancestor.run("plugins").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--id", "2"], {"2": {"id": 2, "name": "Bo"}}),
        (["--id", "3", "--id", "1"], {"3": {"id": 3, "name": "Cy"}, "1": {"id": 1, "name": "Ana"}}),
        (["-p", "id=2"], {"2": {"id": 2, "name": "Bo"}}),
        (["-p", 'export={"id": [2]}'], {"2": {"id": 2, "name": "Bo"}}),
        (
            ["-p", "entityName=line", "--id", "order_no=1,line=2", "--id", "[2, 1]"],
            {
                "1-2": {"order_no": 1, "line": 2, "name": "two"},
                "2-1": {"order_no": 2, "line": 1, "name": "three"},
            },
        ),
        (["-p", "ids=[]"], {}),
    ],
    ids=["by id", "by ids", "as a parameter", "in the section of the type", "by composite ids", "no ids"],
)
def test_it_runs(ancestor: Ancestor, arguments: list[str], expected: dict[str, Any]) -> None:
    ran = ancestor.run("sync", "acme", *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ancestor.records == expected


def test_all_of_it_runs_when_everything_is_said(ancestor: Ancestor) -> None:
    refused = ancestor.run("sync", "acme")
    assert refused.returncode == 2
    assert "nothing says which" in refused.stderr
    ran = ancestor.run("sync", "acme", "--all", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["counts"]["written"] == 3
    assert set(ancestor.records) == {"1", "2", "3"}


def test_without_the_packages_check_says_what_is_missing_and_how_it_looked(ancestor: Ancestor, tmp_path: Path) -> None:
    bare = Ancestor(ancestor.directory, tmp_path / "nothing")
    checked = bare.run("check")
    assert checked.returncode == 2
    assert "connector 'YOUR_REVERSE_WRITER' is not provided" in checked.stdout
    assert "entry point 'YOUR_REVERSE_WRITER' in the group 'contraflow'" in checked.stdout
    refused = bare.run("sync", "acme", "--all")
    assert refused.returncode == 2
    assert "YOUR_REVERSE_WRITER" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (ancestor.directory / "contraflow.db").exists()


def test_every_name_that_nothing_provides_is_listed(ancestor: Ancestor) -> None:
    jobs = ancestor.directory / "batch_jobs.yml"
    text = jobs.read_text().replace("YOUR_PROCESSOR", "acme.processor", 1).replace("entity.by_id ", "entity.by_idd ", 1)
    jobs.write_text(text)
    checked = ancestor.run("check")
    assert checked.returncode == 2
    assert "batch_jobs.yml:9" in checked.stdout
    assert "reader 'oro_integration.reader.entity.by_idd' is not provided" in checked.stdout
    assert "did you mean 'oro_integration.reader.entity.by_id'?" in checked.stdout
    assert "processor 'acme.processor' is not provided" in checked.stdout


def test_a_project_may_translate_foreign_service_names(ancestor: Ancestor) -> None:
    jobs = ancestor.directory / "batch_jobs.yml"
    text = (
        jobs.read_text()
        .replace("YOUR_PROCESSOR ", "%acme.processor% ", 1)
        .replace(r"Oro\Bundle\BatchBundle\Step\ItemStep", "%acme.step%")
    )
    jobs.write_text(text)
    project = ancestor.directory / "contraflow.yaml"
    project.write_text(
        project.read_text() + 'services: {"%acme.processor%": YOUR_PROCESSOR}\nclasses: {"%acme.step%": item}\n'
    )
    ran = ancestor.run("sync", "acme", "--id", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert set(ancestor.records) == {"1"}
