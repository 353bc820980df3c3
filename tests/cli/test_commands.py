"""The other commands: making a project, checking it, and asking what there is and what happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contraflow import __version__
from contraflow.cli.app import COMMANDS
from contraflow.cli.exit_codes import MEANINGS
from contraflow.engine.promise import Promise
from contraflow.plugins import Plugins

UNSURE = """
@hookimpl
def write_items(items, context):
    return [Unknown(key=change.key, reason="no answer") for change in items]
"""


def test_the_version_is_told(project: Any) -> None:
    result = project.spawn("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"contraflow {__version__}\n", "")


def test_the_installed_program_is_the_module(project: Any) -> None:
    program = Path(sys.executable).with_name("contraflow")
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "contraflow "
    )


def test_the_help_names_every_command_and_exit_code(project: Any) -> None:
    shown = " ".join(project.run("--help").stdout.split())
    assert all(f" {command} " in shown for command in COMMANDS)
    assert all(f" {code} " in shown for code in MEANINGS)
    assert "Start with `contraflow init`" in shown
    assert "..." not in shown.split("Commands:")[1], "no description is cut off"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(project: Any, command: str) -> None:
    result = project.run(command, "--help")
    assert result.exit_code == 0
    assert result.stdout == project.run(command, "-h").stdout
    assert "--json" in result.stdout
    assert len(result.stdout.split("Options:")[0].split()) > 15, "says what it is for"


def test_init_makes_a_project_that_runs(directory: Path) -> None:
    """As a newcomer does it: the commands that ``init`` itself names, each a process of its own."""

    def contraflow(*arguments: str, cwd: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "contraflow", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = contraflow("init", "first steps", cwd=directory)
    assert "Made first steps/contraflow.yaml" in said
    assert "cd 'first steps'" in said
    made = directory / "first steps"
    for line in said.split("Next:\n")[1].splitlines()[1:]:
        program, *arguments = line.split()
        assert program == "contraflow"
        contraflow(*arguments, cwd=made)
    book = json.loads((made / "address_book.json").read_text(encoding="utf-8"))
    assert book["2"] == {"name": "František Wichterlová", "mail": "frantisek@example.org"}
    assert set(book) == {"1", "2"}, "the third has no e-mail address"


def test_init_overwrites_nothing(directory: Path, project: Any) -> None:
    before = {path: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    result = project.run("init")
    assert result.exit_code == 2
    assert "contraflow.yaml: this file is already there" in result.stderr
    assert "shop.db: this file is already there" in result.stderr
    assert {path: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before
    said = project.json("init", code=2)
    assert [problem["file"] for problem in said["problems"]] == ["contraflow.yaml", "jobs.yml", "shop.db"]


def test_init_tells_programs_what_it_made(project: Any) -> None:
    made = project.json("init", "new")["files"]
    assert [Path(each).name for each in made] == ["contraflow.yaml", "jobs.yml", "address_book.py", "shop.db"]
    assert all(Path(each).is_file() for each in made)


def test_init_below_a_file_says_so(project: Any) -> None:
    result = project.run("init", "shop.db/new")
    assert result.exit_code == 2
    assert "Error: shop.db/new: cannot write here: Not a directory" in result.stderr


def test_check_goes_through_everything_and_writes_nothing(project: Any) -> None:
    result = project.run("check")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"ok       plugins: {len(Plugins().records) + 1} loaded",  # those that are installed, and the project's own
        "ok       source: connected; 2 entities",
        "ok       ledger: not there yet; the first run makes it",
        "ok       integration acme, job crm_export: 2 steps",
        f"         promise: {Promise.STATE_SAFE.sentence}",
        "",
        "Everything is in order.",
    ]
    assert set(project.state().values()) == {None}


def test_check_tells_of_a_broken_plugin_that_no_job_needs(project: Any) -> None:
    project.replace("contraflow.yaml", "{crm: crm}", "{crm: crm, spare: spare_part}")
    result = project.run("check")
    assert result.exit_code == 0
    assert "warning  plugin spare (contraflow.yaml, plugins)" in result.stdout
    assert "No module named 'spare_part'" in result.stdout


@pytest.mark.parametrize(
    ("hook", "code", "said"),
    [
        ("", 0, "ok       integration acme, job crm_export, connection: connector 'crm' cannot check it"),
        (
            "@hookimpl\ndef check_connection(context):\n    return 'CRM 4.2, as user sync'",
            0,
            "ok       integration acme, job crm_export, connection: CRM 4.2, as user sync",
        ),
        (
            "@hookimpl\ndef check_connection(context):\n    raise SystemicError('the CRM refuses the token')",
            2,
            "PROBLEM  integration acme, job crm_export, connection\n         the CRM refuses the token",
        ),
        (
            "@hookimpl\ndef check_connection(context):\n    raise OSError('no route to host')",
            2,
            "PROBLEM  integration acme, job crm_export, connection\n         OSError: no route to host",
        ),
        (
            "@hookimpl\ndef check_connection(context):\n    pass",
            2,
            "found None (a forgotten `return`?); expected one line of text",
        ),
    ],
    ids=["not implemented", "good", "refused", "unexpected", "no answer"],
)
def test_check_connect_asks_the_remote(project: Any, hook: str, code: int, said: str) -> None:
    project.connector(hook)
    result = project.run("check", "--connect")
    assert result.exit_code == code
    assert said in result.stdout
    findings = project.json("check", "--connect", code=code)
    assert findings["ok"] is (code == 0)
    assert findings["findings"][-1]["subject"] == "integration acme, job crm_export, connection"
    assert "connection" not in project.run("check").stdout, "nobody is asked without --connect"


OTHERS = """
unused:
    steps:
        one: {services: {reader: entity.all, processor: crm, writer: crmm}}
        two: {class: acme.sweep, services: {sweeper: broom}}
unused_and_good:
    steps: {one: {services: {reader: entity.all, processor: crm, writer: crm}}}
nightly_import:
    type: import
    steps: {one: {services: {reader: acme.read, processor: acme.process, writer: acme.write}}}
"""


def test_check_looks_at_jobs_that_no_integration_uses(project: Any) -> None:
    project.write("others.yml", OTHERS)
    project.replace("contraflow.yaml", "[jobs.yml]", "[jobs.yml, others.yml]")
    result = project.run("check")
    assert result.exit_code == 0, "no job that could run is kept from it"
    assert "warning  job unused\n         others.yml:4 (unused.steps.one.services.writer): " in result.stdout
    assert "writer 'crmm' is not provided" in result.stdout
    assert "did you mean 'crm'?" in result.stdout
    assert "others.yml:5 " in result.stdout
    assert "'acme.sweep' is not provided" in result.stdout
    assert "ok       job unused_and_good: no integration uses it" in result.stdout
    assert "ok       job nightly_import: of type import, so it is not run" in result.stdout
    assert "acme.read" not in result.stdout
    findings = {each["subject"]: each for each in project.json("check")["findings"]}
    assert findings["job unused"]["fatal"] is False
    assert len(findings["job unused"]["problems"]) >= 2
    assert findings["integration acme, job crm_export"]["promise"][0].startswith("class B, state-safe: ")


@pytest.mark.parametrize(
    ("capabilities", "parameters", "words"),
    [
        ("idempotency=Idempotency.KEY", "", "class A, effectively once"),
        ("", "", "class D, at most once, reported"),
        ("", ", in_doubt: resend", "class E, at least once"),
    ],
)
def test_check_and_sync_say_what_is_promised(project: Any, capabilities: str, parameters: str, words: str) -> None:
    project.capabilities(capabilities)
    jobs = (project.directory / "jobs.yml").read_text()
    for entity in ("customer", "line"):
        jobs = jobs.replace(f"entity: {entity}", f"entity: {entity}{parameters}")
    project.write("jobs.yml", jobs)
    assert f"         promise: {words}: " in project.run("check").stdout
    assert f"Promise: {words}: " in project.run("sync", "acme", "--step", "customers").stdout


def test_what_is_declared_confirmed_needs_a_hook_that_does_it(project: Any) -> None:
    project.capabilities("confirm=True")
    for command in (["check"], ["sync", "acme"]):
        result = project.run(*command)
        assert result.exit_code == 2
        assert "plugin 'crm' cannot confirm what it writes, as the connector's capabilities declare" in result.output
        assert "expected: an implementation of confirm_items, or Capabilities without confirm" in result.output
    crm = (project.directory / "crm.py").read_text()
    project.write("crm.py", crm + "\n\n@hookimpl\ndef confirm_items(items, context):\n    raise NotImplementedError\n")
    assert "         promise: class C, confirmed once: " in project.run("check").stdout


def test_check_and_sync_name_each_promise_where_steps_differ(project: Any) -> None:
    project.replace("jobs.yml", "entity: line", "entity: line, in_doubt: hold")
    shown = project.run("check").stdout
    assert "promise: class B, " in shown
    assert "promise: class D, " in shown


def test_jobs_lists_what_can_be_run(project: Any) -> None:
    project.replace("contraflow.yaml", "    settings:", "    enabled: false\n    settings:")
    result = project.run("jobs")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2].split() == ["acme", "crm", "crm_export", "customers,", "lines", "disabled"]
    (job,) = project.json("jobs")["jobs"]
    assert job == {
        "integration": "acme",
        "connector": "crm",
        "enabled": False,
        "job": "crm_export",
        "title": "The shop to the CRM",
        "steps": ["customers", "lines"],
        "problem": None,
    }


def test_jobs_tells_what_cannot_be_run(project: Any) -> None:
    project.replace("jobs.yml", "entity: line", "entity: line, batchsize: 5")
    result = project.run("jobs")
    assert result.exit_code == 2
    assert "cannot run" in result.stdout
    assert "did you mean 'batch_size'?" in result.stdout
    assert "batchsize" in project.json("jobs", code=2)["jobs"][0]["problem"]


def test_plugins_lists_what_is_installed_and_what_is_broken(project: Any) -> None:
    project.replace("contraflow.yaml", "{crm: crm}", "{crm: crm, spare: spare_part}")
    result = project.run("plugins")
    assert result.exit_code == 2
    assert "entity.by_id, oro_integration.reader.entity.by_id" in result.stdout
    assert "BROKEN" in result.stdout
    assert "spare: cannot be imported from 'spare_part': ModuleNotFoundError" in result.stdout
    plugins = {each["name"]: each for each in project.json("plugins", code=2)["plugins"]}
    assert plugins["crm"]["hooks"] == [
        "configure_job",
        "describe_parameters",
        "process_item",
        "provide_export_job",
        "write_items",
    ]
    assert plugins["crm"]["distribution"] == "contraflow.yaml, plugins"
    assert plugins["spare"]["error"].startswith("cannot be imported from 'spare_part'")
    assert plugins["entity.all"]["distribution"] == f"contraflow {__version__}"


def test_plugins_works_outside_of_a_project_and_in_a_broken_one(project: Any) -> None:
    outside = project.run("-C", "/", "plugins")
    assert outside.exit_code == 0
    assert "entity.all" in outside.stdout
    assert "Only what is installed, since the project cannot be read: " in outside.stderr
    project.replace("contraflow.yaml", "plugins:", "plugin:")
    broken = project.run("plugins", "--json")
    assert "did you mean 'plugins'?" in broken.stderr
    assert "crm" not in {each["name"] for each in json.loads(broken.stdout)["plugins"]}


def test_before_the_first_run_there_is_nothing_to_ask(project: Any) -> None:
    assert project.run("status").stdout == "Nothing has run yet. `contraflow sync INTEGRATION` runs it.\n"
    assert project.run("dead-letters").stdout == "No dead letters.\n"
    assert project.run("held").stdout == "No items are held.\n"
    assert project.run("stop", "acme").stdout == "acme: nothing runs.\n"
    assert project.run("dead-letters", "retry").stdout == "No dead letters.\n"
    nothing = ("executions", "died", "running", "requests", "items", "forgetting")
    assert project.json("status") == {**{name: [] for name in nothing}, "dead_letters": 0}
    assert project.json("held") == {"held": []}
    assert project.json("dead-letters") == {"dead_letters": []}
    assert set(project.state().values()) == {None}, "asking makes no ledger"


def test_status_shows_runs_newest_first_and_what_is_in_doubt(project: Any) -> None:
    project.connector(UNSURE)
    project.run("sync", "acme", "--step", "lines")
    project.connector()
    project.run("sync", "acme", "--step", "customers")
    shown = project.run("status").stdout
    lines = shown.splitlines()
    assert lines[2].split()[0] == "2"
    assert "3 written" in lines[2]
    assert "3 in doubt" in lines[3]
    assert "acme, lines: in doubt: " in shown
    assert "A" in shown.split("in doubt: ")[1]
    answer = project.json("status", "acme", "--limit", "1")
    assert [each["id"] for each in answer["executions"]] == [2]
    counts = {(each["step"], each["status"]): each["items"] for each in answer["items"]}
    assert counts == {("customers", "written"): 3, ("lines", "in_doubt"): 3}
    (doubtful,) = (each for each in answer["items"] if each["status"] == "in_doubt")
    assert sorted(doubtful["examples"]) == [["A", 1], ["A", 2], ["B", 1]]


def test_the_project_can_lie_elsewhere(project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for place in (project.directory, project.directory / "contraflow.yaml"):
        assert project.json("-C", str(place), "jobs")["jobs"][0]["job"] == "crm_export"
    assert project.run("-C", str(project.directory), "sync", "acme").exit_code == 0
    assert (project.directory / "ledger.db").exists(), "a ledger's path is relative to the project"
