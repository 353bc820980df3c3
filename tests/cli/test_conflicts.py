"""``contraflow conflicts``: what waits for a decision is listed, shown and settled."""

from __future__ import annotations

import json
from typing import Any

import pytest

FETCHING = """
@hookimpl
def fetch_items(items, context):
    records = json.loads(Path(context.settings.path).read_text())
    return [RemoteItem(key=each.key, payload=records["/".join(map(str, each.key))]) for each in items]
"""


@pytest.fixture
def project(project: Any) -> Any:
    """Customer 1 was edited on both sides, and waits."""
    project.connector(FETCHING)
    project.replace("jobs.yml", "{entity: customer}", "{entity: customer, conflicts: ask}")
    assert project.run("sync", "acme").exit_code == 0
    edit(project, email="theirs")
    project.sql("UPDATE customer SET name = 'Anna', email = 'ours' WHERE id = 1")
    result = project.run("sync", "acme")
    assert result.exit_code == 8, result.output
    assert "1 had been changed at the remote by somebody else" in result.output
    assert "1: conflict: changed at the remote by somebody else: email" in result.output
    return project


def remote(project: Any) -> dict[str, Any]:
    records: dict[str, Any] = json.loads((project.directory / "remote.json").read_text())
    return records


def edit(project: Any, **fields: Any) -> None:
    records = remote(project)
    records["1"].update(fields)
    project.write("remote.json", json.dumps(records))


def test_what_waits_is_listed_and_shown(project):
    listed = project.run("conflicts", "--integration", "acme")
    assert listed.output.split()[:6] == ["number", "integration", "step", "id", "fields", "since"]
    assert listed.output.splitlines()[-1].split()[:5] == ["1", "acme", "customers", "1", "email"]
    shown = project.run("conflicts", "show", "1").output
    assert "'ours'" in shown
    assert "'theirs'" in shown
    assert "is not known: the step does not say `remember: payload`" in shown
    as_json = json.loads(project.run("conflicts", "show", "1", "--json").output)
    assert as_json["fields"][0] == {"name": "email", "base": None, "local": "ours", "remote": "theirs", "waits": True}
    assert json.loads(project.run("conflicts", "list", "--json").output)["conflicts"] == [as_json]


@pytest.mark.parametrize(
    ("take", "result"),
    [
        (["local"], {"id": 1, "name": "Anna", "email": "ours"}),
        (["remote"], {"id": 1, "name": "Anna", "email": "theirs"}),
        (["email=local"], {"id": 1, "name": "Anna", "email": "ours"}),
        (["local", "email=remote"], {"id": 1, "name": "Anna", "email": "theirs"}),
    ],
)
def test_one_command_settles(project, take, result):
    options = [word for each in take for word in ("--take", each)]
    settled = project.run("conflicts", "settle", "1", *options, "--json")
    assert settled.exit_code == 0
    assert json.loads(settled.output)["counts"]["written"] == 1
    assert remote(project)["1"] == result
    assert project.run("conflicts").output == "No conflicts.\n"
    assert project.run("sync", "acme", "--step", "customers").exit_code == 0


def test_what_has_changed_meanwhile_waits_again(project):
    edit(project, email="theirs again")
    assert project.run("conflicts", "settle", "1", "--take", "local").exit_code == 8
    assert remote(project)["1"]["email"] == "theirs again"
    assert "'theirs again'" in project.run("conflicts", "show", "1").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "7"], "there is no conflict 7"),
        (["settle", "7", "--take", "local"], "there is no conflict 7"),
        (["settle", "1", "--take", "ours"], "expected local, remote, FIELD=local or FIELD=remote"),
        (["settle", "1", "--take", "emal=local"], "did you mean 'email'?"),
        (["settle", "1", "--take", "name=local"], "field 'name' of conflict 1 does not wait for a decision"),
        (["settle", "1"], "--take"),
        (["--integration", "acne"], "did you mean 'acme'?"),
    ],
)
def test_bad_input(project, arguments, said):
    result = project.run("conflicts", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert remote(project)["1"]["email"] == "theirs"


def test_a_field_left_undecided(project):
    edit(project, name="Eve")
    assert project.run("sync", "acme", "--step", "customers").exit_code == 8
    result = project.run("conflicts", "settle", "1", "--take", "email=local")
    assert result.exit_code == 2
    assert "conflict 1 is not decided: name" in result.output


def test_check_names_the_hook_that_is_missing(project):
    project.connector()
    result = project.run("check")
    assert result.exit_code == 2
    assert "step 'customers': parameter 'conflicts' needs what its connector cannot do" in result.output
    assert "no fetch_items in 'crm'" in result.output


def test_the_status_names_what_waits(project):
    output = project.run("status").output
    assert "acme, customers: conflict: 1" in output
    assert "they wait for a decision: see `contraflow conflicts`" in output


def test_nothing_waits_where_nothing_ran(project):
    (project.directory / "ledger.db").unlink()
    assert project.run("conflicts").output == "No conflicts.\n"
