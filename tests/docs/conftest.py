"""Follow a page of the documentation as a person would: type its commands, save its files, run its programs.

The blocks of a page are carried out in their order, in an empty directory of the page's own:

- ``console``: a line ``$ command`` is run by bash (``> `` continues it), and the lines below it are what it prints: all of
  it, where ``…`` stands for any text, and a line that is only ``…`` for any lines. Blanks and empty lines do not count. A
  command that fails says so: ``# exit code 3``.
- ``yaml``, ``python``, ``toml``: saved, if the first line is a comment with a file name. ``# in module.py`` puts the
  functions and imports of the block into a module that is there already.
- without a file name: ``python`` is run, together with the blocks that follow directly, and a ``text`` block behind it is
  what it prints; ``yaml`` is loaded, as a project file or a job file.
- ``sh``: commands for the repository itself, which must be targets of its Makefile.

Working directory and exported variables last until the end of the page. ``<!-- needs port: NAME -->`` gives a page a free
port in a variable, ``<!-- needs database: NAME -->`` the URL of an empty PostgreSQL database,
``<!-- needs directory: NAME -->`` that of an LDAP directory, and ``<!-- needs erp: NAME -->`` that of a Tryton.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest
import sqlalchemy as sa
from markdown_it import MarkdownIt

from contraflow.config import load_configuration, parse_jobs
from contraflow.config.project import PROJECT_KEYS

ROOT = Path(__file__).parents[2]
POSTGRESQL = os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")

_SAVED = re.compile(r"# (?P<into>in )?(?P<name>[\w./-]+\.\w+)\n")
_NEEDS = re.compile(r"<!-- needs (?P<what>port|database|directory|erp|redis): (?P<name>\w+) -->")
_EXIT_CODE = re.compile(r"# exit code (\d+)\s*$")
_MAKE = re.compile(r"(?:\w+=\S+ )*make (?P<target>\w+)(?: ARGS=.+)?")

# What stands in for programs that a page takes for granted: here they need no network and no installation.
_PROGRAMS = {
    "python": 'exec {python} "$@"',
    "contraflow": 'exec {python} -m contraflow "$@"',
    "celery": 'PYTHONWARNINGS= exec {python} -m celery "$@"',
    "sqlite3": """exec {python} -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])' "$@" """,
    "pip": """shift
options=() paths=()
for path in "$@"; do
    if [ "$path" = -e ]; then options+=(-e); continue; fi
    [ -e "${{path%%\\[*}}/pyproject.toml" ] || path={root}/$path
    paths+=("${{options[@]}}" "$path")
    options=()
done
PYTHONWARNINGS= exec {python} -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --upgrade \\
    --target {site} "${{paths[@]}}"
""",
}


@attrs.frozen
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    line: int


@attrs.frozen
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        tokens = MarkdownIt().parse(self.text)
        return [Block(t.info.strip(), t.content, (t.map or [0])[0] + 1) for t in tokens if t.type == "fence"]


class AnyEnvironment(Mapping[str, str]):
    """Every variable is set, and to something that is a URL, too."""

    def __getitem__(self, name: str) -> str:
        return "sqlite:///value.db"

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@attrs.define
class Follower:
    """Follows one page."""

    home: Path
    environ: dict[str, str]
    ports: list[int] = attrs.field(factory=list)
    here: Path = attrs.field(init=False)
    _groups: list[int] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.here = self.home / "page"
        self.here.mkdir()
        programs, site = self.home / "bin", self.home / "site"
        programs.mkdir()
        site.mkdir()
        # What is installed with `pip install -e` is a .pth file, which Python reads in a folder that is a site alone.
        (site / "sitecustomize.py").write_text(f"import site\nsite.addsitedir({str(site)!r})\n", encoding="utf-8")
        for name, script in _PROGRAMS.items():
            program = programs / name
            named = {"python": sys.executable, "root": str(ROOT), "site": str(site)}
            quoted = {name: shlex.quote(value) for name, value in named.items()}
            program.write_text(f"#!/bin/bash\n{script.format(**quoted)}\n", encoding="utf-8")
            program.chmod(0o755)
        self.environ |= {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(site), "PYTHONWARNINGS": "error"}

    def follow(self, page: Page) -> None:
        programs: list[Block] = []
        for block in page.blocks:
            if block.language == "python" and not _SAVED.match(block.text):
                programs.append(block)
                continue
            self._run_python(programs, block if block.language == "text" else None)
            programs = []
            if block.language != "text":
                self._carry_out(block)
        self._run_python(programs, None)

    def _carry_out(self, block: Block) -> None:
        saved = _SAVED.match(block.text)
        if block.language == "console":
            self._type(block)
        elif block.language == "sh":
            _check_targets(block)
        elif saved is not None:
            file = self.here / saved["name"]
            file.parent.mkdir(parents=True, exist_ok=True)
            text = block.text[saved.end() :]
            file.write_text(_merged(file.read_text(), text) if saved["into"] else text, encoding="utf-8")
        elif block.language == "yaml":
            self._load(block)
        else:
            raise AssertionError(f"line {block.line}: nothing can be done with a block of {block.language!r}")

    def _type(self, block: Block) -> None:
        assert block.text.startswith("$ "), f"line {block.line}: a console block begins with a command"
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, output = re.sub(r"\n> ", "\x00", part).partition("\n")
            self._run_command(command.replace("\x00", "\n"), output, block.line)

    def _run_command(self, command: str, expected: str, line: int) -> None:
        state, where = self.home / "state.sh", self.home / "where"
        keep = f"{command}\ncode=$?; export -p > {shlex.quote(str(state))}; pwd > {shlex.quote(str(where))}; exit $code"
        load = f". {shlex.quote(str(state))}\n" if state.exists() else ""
        process = subprocess.Popen(
            ["bash", "-c", load + keep],
            cwd=self.here,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if command.rstrip().endswith("&"):
            self._groups.append(process.pid)
        output, _ = process.communicate(timeout=120)
        if command.rstrip().endswith("&"):
            self._wait_for_ports()
        self.here = Path(where.read_text().strip())
        code = _EXIT_CODE.search(command)
        assert process.returncode == int(code[1] if code else 0), f"line {line}: $ {command}\n{output}"
        if expected.strip():
            assert_prints(expected, output, f"line {line}: $ {command}")

    def _wait_for_ports(self) -> None:
        end = time.monotonic() + 30
        for port in self.ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, f"nothing listens on port {port}"
                    time.sleep(0.05)

    def give_port(self, name: str) -> None:
        """Put a free port into a variable; what the page starts in the background listens there."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.ports.append(port)
        self.environ[name] = str(port)

    def _run_python(self, blocks: list[Block], output: Block | None) -> None:
        assert blocks or output is None, f"line {output.line if output else 0}: the output of nothing"
        if not blocks:
            return
        (self.home / "program.py").write_text("".join(block.text for block in blocks), encoding="utf-8")
        command = f"PYTHONPATH=.:$PYTHONPATH python {shlex.quote(str(self.home / 'program.py'))}"
        self._run_command(command, output.text if output else "", blocks[0].line)

    def _load(self, block: Block) -> None:
        if any(re.search(rf"^{key}:", block.text, re.MULTILINE) for key in PROJECT_KEYS):
            file = self.home / "fragment.yaml"
            file.write_text(block.text, encoding="utf-8")
            load_configuration(file, environ=AnyEnvironment())
        else:
            assert parse_jobs(block.text, name=f"line {block.line}")

    def stop(self) -> None:
        """End the programs that the page left running."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


def _check_targets(block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in block.text.splitlines():
        match = _MAKE.fullmatch(line.partition("#")[0].strip())
        assert match, f"line {block.line}: {line!r} is no make command"
        assert re.search(rf"^{match['target']}:", makefile, re.MULTILINE), f"the Makefile has no {match['target']}"


def _merged(module: str, block: str) -> str:
    """The module with the functions of the block in the place of its own, and with the block's imports."""
    lines = module.splitlines(keepends=True)
    there = {node.name: node for node in ast.parse(module).body if isinstance(node, ast.FunctionDef)}
    imports = []
    for node in ast.parse(block).body:
        source = "".join(block.splitlines(keepends=True)[_first_line(node) - 1 : node.end_lineno])
        if isinstance(node, ast.FunctionDef):
            old = there[node.name]
            lines[_first_line(old) - 1 : old.end_lineno] = [source] + [""] * ((old.end_lineno or 0) - _first_line(old))
        else:
            imports.append(source)
    at = next(number for number, line in enumerate(lines) if line.startswith(("import ", "from json", "from pathlib")))
    return "".join([*lines[:at], *imports, *lines[at:]])


def _first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return min([node.lineno, *(each.lineno for each in decorators)])


def assert_prints(expected: str, actual: str, what: str) -> None:
    """Compare what a page says with what was printed."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in _plain(expected)
    )
    printed = "".join(f"{line}\n" for line in _plain(actual))
    assert re.fullmatch(pattern, printed), f"{what}\n--- the page says\n{expected}\n--- printed\n{actual}"


def _plain(text: str) -> list[str]:
    lines = (re.sub(r"─+", "─", re.sub(r"\s+", " ", line)).strip() for line in text.splitlines())
    return [line for line in lines if line]


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONTRAFLOW_")}
    follower = Follower(tmp_path, inherited)
    yield follower
    follower.stop()


@pytest.fixture
def tutorial() -> Page:
    """The tutorial for authors of connectors."""
    return Page(ROOT / "docs" / "tutorial-first-connector.md")


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[[str], Page]:
    """Makes a page of a text."""

    def write(text: str) -> Page:
        path = tmp_path / "page.md"
        path.write_text(text, encoding="utf-8")
        return Page(path)

    return write


@pytest.fixture
def empty_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    engine = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"contraflow_docs_{secrets.token_hex(6)}"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except sa.exc.OperationalError as error:
        engine.dispose()
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {error.orig}")
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def empty_directory(tmp_path: Path) -> Iterator[str]:
    """The URL of an LDAP directory with nobody in it."""
    sys.path.insert(0, str(ROOT / "plugins" / "contraflow-ldap" / "tests"))
    import private_slapd

    try:
        template = private_slapd.make_template(tmp_path / "slapd_template")
    except private_slapd.SlapdError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with private_slapd.running(template, tmp_path / "slapd") as slapd:
        yield slapd.url


@pytest.fixture
def empty_erp(tmp_path: Path) -> Iterator[str]:
    """The URL of a Tryton without parties."""
    sys.path.insert(0, str(ROOT / "plugins" / "contraflow-tryton" / "tests"))
    import private_trytond

    if not private_trytond.is_installed():
        reason = f"Tryton is not installed in {private_trytond.ENVIRONMENT}; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with private_trytond.running(tmp_path / "tryton") as trytond:
        yield trytond.url


@pytest.fixture
def empty_redis() -> str:
    """The URL of a Redis, in which the page leaves nothing that another run would meet."""
    url = os.environ.get("CONTRAFLOW_TEST_REDIS", "redis://127.0.0.1:6379/15")
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout=3).close()
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Redis: {error}")
    return url


@pytest.fixture
def needs(page: Page, follower: Follower, request: pytest.FixtureRequest) -> None:
    """Give the page what it needs."""
    for match in _NEEDS.finditer(page.text):
        if match["what"] != "port":
            follower.environ[match["name"]] = request.getfixturevalue(f"empty_{match['what']}")
            continue
        follower.give_port(match["name"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a ``page`` for each page."""
    if "page" in metafunc.fixturenames:
        examples = ROOT / "docs" / "examples"  # played as a whole, by tests/test_demo.py
        paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
        paths += (path for path in sorted((ROOT / "docs").rglob("*.md")) if examples not in path.parents)
        metafunc.parametrize(
            "page", [Page(path) for path in paths], ids=[str(path.relative_to(ROOT)) for path in paths]
        )
