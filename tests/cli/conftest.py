"""A project on disk, as a user has it: a real source, a real ledger, and a connector whose remote is a JSON file.

The commands run for real: most within this process through click's runner, some as processes of their own.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from contraflow.cli.app import app
from contraflow.redaction import RedactingFormatter

PROJECT_FILE = """\
source: sqlite:///shop.db
ledger: sqlite:///ledger.db
entities:
  customer: {table: customer}
  line: {table: order_line}
plugins: {crm: crm}
integrations:
  acme:
    connector: crm
    settings: {path: remote.json}
jobs: [jobs.yml]
"""

JOB_FILE = """\
crm_export:
    title: The shop to the CRM
    steps:
        customers:
            services: {reader: entity.all, processor: crm, writer: crm}
            parameters: {entity: customer}
        lines:
            services: {reader: entity.all, processor: crm, writer: crm}
            parameters: {entity: line}
"""

CONNECTOR = """\
from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import attrs

from contraflow_hookspecs import *


CAPABILITIES = Capabilities(idempotency=Idempotency.UPSERT, request_lifetime=0.0)


@attrs.frozen
class Settings:
    path: str
    token: str = attrs.field(default="", repr=False, metadata={"secret": True})
    retries: int = 3
    region: str = attrs.field(default="eu", validator=attrs.validators.in_(["eu", "us"]))


@hookimpl
def provide_export_job():
    return ExportJob(name="crm_export", settings=Settings, capabilities=CAPABILITIES)


@hookimpl
def configure_job(job, parameters):
    return {"retry_wait": 0.001}  # nobody's time is wasted


@hookimpl
def describe_parameters(parameters):
    return {"greeting": "how to address the customer"}


@hookimpl
def process_item(item, context):
    return {name: value for name, value in item.data.items() if value is not None}


def store(items, context):
    path = Path(context.settings.path)
    records = json.loads(path.read_text()) if path.exists() else {}
    for change in items:
        records["/".join(map(str, change.key))] = dict(change.payload)
    path.write_text(json.dumps(records, sort_keys=True))
    return [Written(key=change.key) for change in items]


@hookimpl
def write_items(items, context):
    return store(items, context)
"""

GATED = """
import time

@hookimpl
def write_items(items, context):
    print("writing", flush=True)
    while not Path("go").exists():
        time.sleep(0.01)
    return store(items, context)
"""
"""A connector that writes when a file ``go`` is there."""

SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT);
INSERT INTO customer VALUES (1, 'Ana', 'ana@example.org'), (2, 'František', NULL), (3, 'Cy', 'cy@example.org');
CREATE TABLE order_line (order_no TEXT, line INTEGER, amount INTEGER, PRIMARY KEY (order_no, line));
INSERT INTO order_line VALUES ('A', 1, 10), ('A', 2, 20), ('B', 1, 30);
CREATE TABLE memo (text TEXT);
"""


@attrs.define
class ProjectOnDisk:
    """A project directory, which is the current one."""

    directory: Path

    def write(self, name: str, content: str | bytes) -> None:
        (self.directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def replace(self, name: str, old: str, new: str) -> None:
        """Change one place of a file."""
        text = (self.directory / name).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def connector(self, *hooks: str) -> None:
        """Let the connector behave otherwise: a hook that is defined again replaces the one above."""
        self.write("crm.py", "\n\n".join((CONNECTOR, *map(dedent, hooks))))

    def capabilities(self, capabilities: str, *hooks: str) -> None:
        """Let the connector declare something else of its remote, and behave otherwise."""
        self.connector(*hooks)
        self.replace(
            "crm.py", "Capabilities(idempotency=Idempotency.UPSERT,", f"Capabilities({capabilities},".replace("(,", "(")
        )

    def sql(self, script: str, database: str = "shop.db") -> None:
        with closing(sqlite3.connect(self.directory / database)) as connection:
            connection.executescript(script)

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run a command within this process."""
        self.forget_modules()
        return CliRunner(env=environment).invoke(app, arguments, prog_name="contraflow")

    def json(self, *arguments: str, code: int = 0, **environment: str) -> Any:
        """Run a command with ``--json``, and read what it says."""
        result = self.run(*arguments, "--json", **environment)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def spawn(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a process of its own, without a terminal."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that is under way in a process of its own, and in which the connector has said "writing"."""
        with subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "writing\n"
                yield process
            finally:
                process.kill()

    def command(self, *arguments: str) -> Sequence[str]:
        return [sys.executable, "-m", "contraflow", *arguments]

    @property
    def remote(self) -> dict[str, Any]:
        """What the remote holds."""
        path = self.directory / "remote.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def state(self) -> Mapping[str, bytes | None]:
        """Remote and ledger, byte by byte."""
        files = [self.directory / name for name in ("remote.json", "ledger.db", "ledger.db-journal")]
        return {file.name: file.read_bytes() if file.exists() else None for file in files}

    def forget_modules(self) -> None:
        """Modules of other projects, and earlier versions of this one's, as a new process would."""
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{self.directory}{os.sep}"):
                del sys.modules[name]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory; what the program changes in its process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # whose age in seconds hides a quick change of the source
    for name in ("CONTRAFLOW_LOG", "CRM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    level = logging.getLogger("contraflow").level
    yield tmp_path
    ProjectOnDisk(tmp_path).forget_modules()
    logging.getLogger("contraflow").setLevel(level)
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each.formatter, RedactingFormatter)]:
        root.removeHandler(handler)


@pytest.fixture
def gated(project: ProjectOnDisk) -> ProjectOnDisk:
    """A project whose remote answers only when there is a file ``go``."""
    project.connector(GATED)
    return project


@pytest.fixture
def project(directory: Path) -> ProjectOnDisk:
    """Three customers and three order lines, ready to be exported."""
    return make_project(directory)


def make_project(directory: Path) -> ProjectOnDisk:
    project = ProjectOnDisk(directory)
    project.write("contraflow.yaml", PROJECT_FILE)
    project.write("jobs.yml", JOB_FILE)
    project.connector()
    project.sql(SHOP)
    return project


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Remote and ledger as a first run leaves them."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("exported")
        patch.chdir(directory)
        patch.setattr(sys, "path", list(sys.path))
        made = make_project(directory)
        made.json("sync", "acme")
        made.forget_modules()
    return directory


@pytest.fixture
def exported(project: ProjectOnDisk, finished_run: Path) -> ProjectOnDisk:
    """A project that has run once, and whose next run would write something."""
    for name in ("remote.json", "ledger.db"):
        shutil.copy(finished_run / name, project.directory)
    project.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    return project


@pytest.fixture
def refused(project: ProjectOnDisk) -> Callable[..., str]:
    """Run a command that must be refused, for people and for programs; the message, which is the same for both."""

    def refused(*command: str, code: int = 2, **environment: str) -> str:
        before = project.state()
        result = project.run(*command, **environment)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("Error: "), result.stderr
        assert "Traceback" not in result.stderr
        answer = project.run(*command, "--json", **environment)
        assert answer.exit_code == code
        assert answer.stderr == ""
        said = json.loads(answer.stdout)
        assert said["exit"] == code
        assert result.stderr == f"Error: {said['error']}\n"
        assert project.state() == before
        return str(said["error"])

    return refused


@pytest.fixture
def tells() -> Callable[[str, str], None]:
    """Assert that a message has all of these parts, one a line."""

    def tells(message: str, parts: str) -> None:
        missing = [part for part in parts.strip().splitlines() if part.strip() not in message]
        assert not missing, f"{missing} not in:\n{message}"

    return tells
