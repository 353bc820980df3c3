"""What is owed: dead letters that are tried again or dropped, and items that are held."""

from __future__ import annotations

from typing import Any

import pytest

REJECTING = """
@hookimpl
def process_item(item, context):
    if item.data.get("id") == 2:
        raise ItemError("no e-mail address", code="no_email")
    return dict(item.data)
"""
REFUSING = """
@hookimpl
def write_items(items, context):
    with open("calls", "a") as calls:
        calls.writelines(f"{each.payload.get('name')} {each.idempotency_key}\\n" for each in items)
    return [Rejected(key=each.key, code="invalid", reason="no such country") for each in items]
"""
UNSURE = """
@hookimpl
def write_items(items, context):
    store(items, context)
    return [Unknown(key=change.key, reason="no answer") for change in items]
"""


@pytest.fixture
def refused(project: Any) -> Any:
    """Three customers and three lines, which the remote has refused."""
    project.connector(REFUSING)
    project.run("sync", "acme")
    project.run("sync", "acme", "--step", "lines")
    return project


@pytest.fixture
def holding(project: Any) -> Any:
    """Three customers and three lines, of which nobody can say whether the remote has them."""
    project.capabilities("", UNSURE)
    assert project.run("sync", "acme").exit_code == 4
    return project


def letters(project: Any) -> set[str]:
    return {"/".join(map(str, each["key"])) for each in project.json("dead-letters")["dead_letters"]}


def calls(project: Any) -> list[list[str]]:
    return [line.split() for line in (project.directory / "calls").read_text().splitlines()]


def test_a_dead_letter_stays_until_the_item_goes_through(project: Any) -> None:
    project.connector(REJECTING)
    for _ in range(2):
        project.run("sync", "acme", "--step", "customers")
    (letter,) = project.json("dead-letters", "--integration", "acme")["dead_letters"]
    assert letter["key"] == [2]
    assert (letter["code"], letter["reason"], letter["attempts"]) == ("no_email", "no e-mail address", 2)
    row = project.run("dead-letters").stdout.splitlines()[2]
    assert row.split() == ["1", "acme", "customers", "2", "no_email", "2", "no", "e-mail", "address"]
    assert project.run("dead-letters", "list").stdout == project.run("dead-letters").stdout
    assert "1 dead letters: see `contraflow dead-letters`" in project.run("status").stdout
    project.connector()
    assert project.run("sync", "acme", "--step", "customers", "--id", "2").exit_code == 0
    assert project.run("dead-letters").stdout == "No dead letters.\n"


def test_one_is_shown_with_all_that_is_known(refused: Any) -> None:
    shown = refused.run("dead-letters", "show", "2")
    assert shown.exit_code == 0
    assert "item:     2 of step customers, job crm_export, integration acme" in shown.stdout
    assert "reason:   no such country" in shown.stdout
    assert "1 times; first in execution 1, last in execution 1, " in shown.stdout
    assert refused.json("dead-letters", "show", "2")["key"] == [2]
    missing = refused.run("dead-letters", "show", "99")
    assert missing.exit_code == 2
    assert missing.stderr == "Error: there is no dead letter 99\n    hint: `contraflow dead-letters` lists them\n"


def test_what_the_remote_has_refused_is_tried_again_only_when_asked(refused: Any) -> None:
    before = calls(refused)
    assert refused.json("sync", "acme", "--step", "customers", code=3)["counts"]["rejected"] == 3
    assert calls(refused) == before, "the very same content is not refused twice"
    refused.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    again = refused.run("dead-letters", "retry", "acme", "--step", "customers", "--id", "1", "--id", "2")
    assert again.exit_code == 3
    assert [name for name, _ in calls(refused)[len(before) :]] == ["Anna", "František"], "as they are now"
    assert not {key for _, key in before} & {key for _, key in calls(refused)[len(before) :]}, (
        "another sending, that a remote which remembers its refusals must not recognise"
    )


def test_retry_sends_just_these_items(refused: Any) -> None:
    refused.connector()
    assert refused.run("dead-letters", "retry", "acme", "--step", "lines", "--id", "order_no=A,line=2").exit_code == 0
    assert set(refused.remote) == {"A/2"}
    assert letters(refused) == {"1", "2", "3", "A/1", "B/1"}
    rest = refused.json("dead-letters", "retry")
    assert sorted(each["counts"]["written"] for each in rest["executions"]) == [2, 3]
    assert letters(refused) == set()
    assert set(refused.remote) == {"1", "2", "3", "A/1", "A/2", "B/1"}


def test_yesterdays_value_never_overwrites_todays(refused: Any) -> None:
    refused.connector()
    refused.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    refused.run("sync", "acme", "--step", "customers")
    refused.run("dead-letters", "retry")
    assert refused.remote["1"]["name"] == "Anna"


def test_ids_of_several_steps_must_say_which(refused: Any) -> None:
    result = refused.run("dead-letters", "retry", "acme", "--id", "1")
    assert result.exit_code == 2
    assert "--id: several steps have dead letters; say which: acme --step customers, acme --step lines" in result.stderr


@pytest.mark.parametrize("group", ["dead-letters", "held"])
def test_options_before_a_command_of_a_group_are_not_ignored(refused: Any, group: str) -> None:
    before = calls(refused)
    result = refused.run(group, "--integration", "acme", "list")
    assert result.exit_code == 2
    assert f"--integration: options go behind the command: contraflow {group} list …" in result.stderr
    assert calls(refused) == before


def test_dropped_letters_are_forgotten(refused: Any) -> None:
    result = refused.run("dead-letters", "drop", "1", "3")
    assert (result.exit_code, result.stdout) == (0, "Dropped 2.\n")
    assert letters(refused) == {"2", "A/1", "A/2", "B/1"}
    assert refused.run("dead-letters", "drop", "2", "77").exit_code == 2
    assert "2" in letters(refused), "all or nothing"
    assert refused.json("dead-letters", "drop", "2") == {"dropped": 1}


def test_held_items_are_listed_and_never_sent_by_themselves(holding: Any) -> None:
    shown = holding.run("held").stdout.splitlines()
    assert [line.split()[:4] for line in shown[2:5]] == [["acme", "crm_export", "customers", key] for key in "123"]
    assert holding.run("held", "list").stdout.splitlines() == shown
    assert {tuple(each["key"]) for each in holding.json("held")["held"]} >= {(1,), ("A", 1)}
    status = holding.run("status").stdout
    assert "acme, customers: in doubt: 1, 2, 3\n  Sent, but no answer came that could be believed" in status
    assert "No sync sends them again by itself: see `contraflow held`" in status
    holding.capabilities("")
    again = holding.json("sync", "acme", "--step", "customers", code=4)
    assert again["counts"] == {"read": 3, "in_doubt": 3}


def test_held_items_are_settled_or_sent_again_by_hand(holding: Any) -> None:
    done = holding.run("held", "settle", "acme", "--step", "customers", "--id", "1", "--as", "written")
    assert (done.exit_code, done.stdout) == (0, "1 items: recorded as written.\n")
    gone = holding.json("held", "settle", "acme", "--step", "customers", "--id", "2", "--as", "deleted")
    assert gone == {"verdict": "deleted", "keys": [[2]]}
    again = holding.run("held", "resend", "acme", "--step", "lines", "--all")
    assert again.stdout == "3 items: the next sync sends them.\n"
    holding.capabilities("")
    answer = holding.json("sync", "acme", code=4)
    counts = {step["step"]: step["counts"] for step in answer["steps"]}
    assert (counts["customers"]["unchanged"], counts["customers"]["written"], counts["customers"]["in_doubt"]) == (
        1,
        1,
        1,
    )
    assert counts["lines"]["written"] == 3
    assert [each["key"] for each in holding.json("held")["held"]] == [[3]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["settle", "acme", "--step", "customers", "--id", "9", "--as", "written"],
            "item 9 of step 'customers' is not held",
        ),
        (["resend", "acme", "--step", "custommers", "--id", "1"], "did you mean 'customers'?"),
        (["resend", "acme", "--step", "customers"], "say which items: --id ID, or --all"),
        (["resend", "acme", "--step", "customers", "--all", "--id", "1"], "say which items: --id ID, or --all"),
        (["resend", "acme", "--step", "customers", "--id", "one"], "id 'one' is no key of"),
    ],
)
def test_what_cannot_be_decided_is_named_and_changes_nothing(holding: Any, arguments: list[str], said: str) -> None:
    before = holding.json("held")
    result = holding.run("held", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert holding.json("held") == before


def test_nothing_is_decided_while_the_job_runs(gated: Any) -> None:
    with gated.running("sync", "acme"):
        result = gated.run("held", "resend", "acme", "--step", "customers", "--all")
        assert result.exit_code == 5
        assert "already running since" in result.stderr


def test_what_a_run_resolves_by_itself_is_not_held(project: Any) -> None:
    project.connector(UNSURE)
    project.run("sync", "acme", "--step", "customers")
    assert project.json("held") == {"held": []}
    refused = project.run("held", "settle", "acme", "--step", "customers", "--id", "1", "--as", "deleted")
    assert "is not held" in refused.stderr
