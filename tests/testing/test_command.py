"""``contraflow conformance`` finds the tests of a connector wherever they are, and its exit code says how they went."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contraflow.errors import ConfigError
from contraflow.testing.finding import find_tests

SUITE = """
import pytest
from contraflow.testing import ConnectorConformance
from contraflow_hookspecs import Capabilities, ExportJob, Idempotency, Written, hookimpl

RECORDS = {}

class Memory:
    @hookimpl
    def provide_export_job(self):
        return ExportJob(name="memory", capabilities=Capabilities(idempotency=Idempotency.CLAIM))

    @hookimpl
    def write_items(self, items, context):
        RECORDS.update((change.key, dict(change.payload)) for change in items)
        return [Written(key=change.key) for change in items]

class Remote:
    def read(self, key):
        return RECORDS.get(key)

    def count(self, key):
        return int(key in RECORDS)

class TestMemory(ConnectorConformance):
    @pytest.fixture
    def connector(self):
        return Memory()

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def remote(self):
        return Remote()

    def entity(self, number):
        return {"id": number, "name": f"Customer {number}"}
"""


def contraflow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "contraflow", "conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package: its files, and its entry points."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def install(files: dict[str, str], entry_points: str = "") -> Path:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        information = tmp_path / "contraflow_memo-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: contraflow-memo\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[contraflow]\nmemo = contraflow_memo\n{entry_points}")
        return tmp_path

    yield install
    for name in [each for each in sys.modules if each.partition(".")[0] == "contraflow_memo"]:
        del sys.modules[name]


def suite(claim: str = "UPSERT") -> str:
    return SUITE.replace("CLAIM", claim)


def test_a_claim_that_is_earned(tmp_path: Path) -> None:
    (tmp_path / "test_memory.py").write_text(suite())
    done = contraflow(tmp_path, "test_memory.py")
    assert done.returncode == 0, done.stdout
    assert "claims  class B" in done.stdout
    assert "earned  class B" in done.stdout
    assert not (tmp_path / ".pytest_cache").exists()


def test_a_claim_that_is_not_earned_in_json(tmp_path: Path) -> None:
    (tmp_path / "test_memory.py").write_text(suite("KEY"))
    done = contraflow(tmp_path, "test_memory.py::TestMemory", "--json", "-k", "earned or unicode")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    (connector,) = told["connectors"]
    assert told["passed"] is False
    assert (connector["claimed"], connector["earned"]) == ("A", "D")
    assert connector["failed"] == ["test_the_claimed_promise_is_earned"]
    assert connector["outcomes"] == {"passed": 1, "failed": 1}


def test_nothing_is_earned_by_what_cannot_be_seen(tmp_path: Path) -> None:
    (tmp_path / "test_memory.py").write_text(suite().replace("def count(", "def not_count("))
    done = contraflow(tmp_path, "test_memory.py", "-k", "earned")
    assert done.returncode == 1
    assert (
        "claims class B, and has earned class D: doubles cannot be seen: give the fixture 'remote' a method"
        in done.stdout
    )


@pytest.mark.parametrize("target", ["contraflow-memo", "contraflow_memo", "memo"])
def test_a_package_names_its_tests(package: Any, target: str) -> None:
    files = {"contraflow_memo/__init__.py": "", "contraflow_memo/proof.py": suite()}
    folder = package(files, "[contraflow.conformance]\nmemo = contraflow_memo.proof:TestMemory\n")
    assert find_tests(target) == [f"{folder / 'contraflow_memo/proof.py'}::TestMemory"]


@pytest.mark.parametrize(
    "place",
    ["contraflow_memo/conformance.py", "contraflow_memo/tests/test_conformance.py", "tests/test_conformance.py"],
)
def test_tests_are_found_where_people_keep_them(package: Any, place: str) -> None:
    files = {"contraflow_memo/__init__.py": "", "contraflow_memo/tests/__init__.py": "", place: suite()}
    folder = package(files)
    assert find_tests("contraflow-memo") == [str(folder / place)]


def test_of_a_module_one_class(package: Any) -> None:
    folder = package({"contraflow_memo/__init__.py": "", "contraflow_memo/proof.py": suite()})
    file = str(folder / "contraflow_memo/proof.py")
    assert find_tests("contraflow_memo.proof") == [file]
    assert find_tests("contraflow_memo.proof:TestMemory") == [f"{file}::TestMemory"]
    done = contraflow(folder, "contraflow_memo.proof:TestMemory", "-k", "null or unicode")
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout


def test_a_package_without_tests_is_told_where_to_put_them(package: Any) -> None:
    package({"contraflow_memo/__init__.py": ""})
    with pytest.raises(ConfigError, match=r"a module contraflow_memo\.conformance"):
        find_tests("contraflow-memo")


def test_a_misspelt_package(tmp_path: Path) -> None:
    done = contraflow(tmp_path, "contraflow-htpp")
    assert done.returncode == 2
    assert "no conformance tests are found for 'contraflow-htpp'" in done.stderr
    assert "did you mean 'contraflow-http'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_without_tests(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("")
    done = contraflow(tmp_path, "test_nothing.py", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"].startswith("no test was run for 'test_nothing.py'")
