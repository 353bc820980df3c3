"""``contraflow plan`` and ``contraflow apply``: what they say, and how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest

REMEMBERING = "parameters: {entity: customer, remember: payload}"


def test_a_plan_is_a_table_and_writes_nothing(project: Any) -> None:
    before = project.state()
    result = project.run("plan", "acme")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["step", "create", "update", "delete", "unchanged"]
    assert lines[2].split() == ["customers", "3", "0", "0", "0"]
    assert lines[3].split() == ["lines", "3", "0", "0", "0"]
    assert "acme, crm_export: 6 to be sent (digest" in lines[-1]
    assert project.state() == before


def test_old_and_new_are_told_and_the_rest_is_counted(project: Any) -> None:
    project.replace("jobs.yml", "parameters: {entity: customer}", REMEMBERING)
    project.run("sync", "acme")
    project.sql("UPDATE customer SET name = name || '!', email = NULL; INSERT INTO customer VALUES (9, 'New', NULL)")
    text = project.run("plan", "acme", "--limit", "1").stdout
    assert 'email: "ana@example.org" → (none), name: "Ana" → "Ana!"' in text
    assert "2 more" in text
    assert "František" not in text
    assert '"New"' in project.run("plan", "acme", "--values").stdout
    document = project.json("plan", "acme")
    assert document["changes"] == 4
    customers = document["steps"][0]
    assert customers["counts"] == {"create": 1, "update": 3, "delete": 0}
    assert customers["items"][-1] == {
        "key": [9],
        "operation": "create",
        "changed": None,
        "values": None,
        "reason": None,
    }
    assert customers["items"][0]["values"]["name"] == {"old": "Ana", "new": "Ana!"}


def test_the_exit_code_tells_on_demand_whether_there_is_something_to_do(project: Any) -> None:
    assert project.run("plan", "acme", "--exit-code").exit_code == 10
    project.run("sync", "acme")
    assert project.run("plan", "acme", "--exit-code").exit_code == 0
    result = project.run("plan", "acme")
    assert "Nothing to do. Nothing was written." in result.stdout


def test_nothing_in_the_data_is_read_as_markdown(project: Any) -> None:
    project.replace("jobs.yml", "parameters: {entity: customer}", REMEMBERING)
    project.run("sync", "acme")
    project.sql("UPDATE customer SET name = '| <b>[x](javascript:y)</b>\n# `z` **' WHERE id = 1")
    result = project.run("plan", "acme", "--markdown", "--step", "customers")
    assert result.exit_code == 0
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("| update")]
    assert row == (r'| update | 1 | name\: "Ana" → "\| \<b\>\[x\]\(javascript\:y\)\</b\>\\n\# \`z\` \*\*" |')
    assert result.stdout.startswith("### acme, crm\\_export: 1 to be sent\n")


def test_json_and_markdown_are_two(project: Any) -> None:
    assert project.run("plan", "acme", "--json", "--markdown").exit_code == 2


def test_a_plan_is_saved_and_applied_and_what_is_stale_is_named(project: Any) -> None:
    saved = project.json("plan", "acme", "--out", "plan.json")
    assert (saved["file"], saved["left_out"]) == ("plan.json", 0)
    project.sql("UPDATE customer SET name = 'Cyd' WHERE id = 3; INSERT INTO customer VALUES (4, 'Di', NULL)")
    result = project.run("apply", "plan.json")
    assert result.exit_code == 11
    assert "3: stale: its content has changed since" in result.stdout
    assert "Exit code 11: done, but what has changed since the plan was made was left out: plan again." in result.stdout
    assert set(project.remote) == {"1", "2", "A/1", "A/2", "B/1"}
    again = project.run("apply", "plan.json")
    assert again.exit_code == 2
    assert "the plan was applied before, by execution 1; make a new one" in again.stderr
    assert project.json("apply", "plan.json", code=2)["exit"] == 2
    executions = project.json("status")["executions"]
    assert len(executions) == 1


def test_a_plan_of_which_nothing_is_stale_ends_with_0(project: Any) -> None:
    project.run("plan", "acme", "--out", "plan.json")
    assert project.json("apply", "plan.json")["exit"] == 0


def test_what_is_not_read_any_more_is_left_out_of_a_plan_too(project: Any) -> None:
    project.run("plan", "acme", "--out", "plan.json")
    project.sql("DELETE FROM customer WHERE id = 3")
    result = project.run("apply", "plan.json")
    assert "3: stale: it is not read any more" in result.stdout
    assert result.exit_code == 11


def test_json_tells_of_the_exit_code_of_a_stale_plan(project: Any) -> None:
    project.run("plan", "acme", "--out", "plan.json")
    project.sql("UPDATE customer SET name = 'Cyd' WHERE id = 3")
    ended = project.json("apply", "plan.json", code=11)
    assert (ended["exit"], ended["counts"]["stale"]) == (11, 1)


def test_the_file_holds_values_only_on_demand(project: Any) -> None:
    project.run("plan", "acme", "--out", "plan.json")
    assert "Ana" not in (project.directory / "plan.json").read_text()
    project.run("plan", "acme", "--out", "plan.json", "--values")
    entries = json.loads((project.directory / "plan.json").read_text())["steps"][0]["entries"]
    assert entries[0]["values"]["name"] == {"new": "Ana"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("apply", "none.json"), "cannot be read: No such file or directory"),
        (("apply", "contraflow.yaml"), "contraflow.yaml is no plan"),
        (("apply", "plan.json", "--max-age", "1y"), "found '1y', expected an age such as 90m, 12h or 7d"),
        (("apply", "plan.json", "--max-age", "0s"), "at most 0 seconds are allowed"),
        (("apply", "plan.json", "--approve", "yes"), "an approval that is none"),
        (("plan", "acm"), "did you mean 'acme'?"),
        (("plan", "acme", "--step", "line"), "did you mean 'lines'?"),
        (("plan", "acme", "-p", "greting=x"), "did you mean 'greeting'?"),
        (("plan", "acme", "--out", "none/plan.json"), "cannot be written to none/plan.json"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_words(project: Any, arguments: tuple[str, ...], message: str) -> None:
    project.run("plan", "acme", "--out", "plan.json")
    before = project.state()
    result = project.run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert project.state() == before


def test_a_plan_is_not_applied_while_the_job_runs_elsewhere(project: Any) -> None:
    project.connector(
        """
        import time

        @hookimpl
        def write_items(items, context):
            print("writing", flush=True)
            while not Path("go").exists():
                time.sleep(0.01)
            return store(items, context)
        """
    )
    project.run("plan", "acme", "--out", "plan.json")
    before = (project.directory / "plan.json").read_text()
    project.run("plan", "acme", "--out", "plan.json")
    assert (project.directory / "plan.json").read_text() != before
    with project.running("sync", "acme") as running:
        assert project.run("plan", "acme").exit_code == 0
        result = project.run("apply", "plan.json")
        assert result.exit_code == 2, "the ledger was made meanwhile"
        project.run("plan", "acme", "--out", "plan.json")
        result = project.run("apply", "plan.json")
        assert result.exit_code == 5
        (project.directory / "go").touch()
        running.wait(timeout=30)
    assert project.json("status")["requests"] == []


def test_a_guard_stops_an_apply_too(project: Any) -> None:
    project.replace(
        "jobs.yml", "parameters: {entity: customer}", "parameters: {entity: customer, guards: {creates: 2}}"
    )
    text = project.run("plan", "acme", "--out", "plan.json").stdout
    assert "customers: a guard would stop it: creates: 3 (1, 2, 3), 1 more than the limit of 2." in text
    stopped = project.json("apply", "plan.json", code=7)
    assert project.remote == {}
    assert project.json("apply", "plan.json", "--approve", stopped["approve"])["exit"] == 0
    assert len(project.remote) == 6
