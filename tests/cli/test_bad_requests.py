"""What a user can ask wrongly, and what the databases can refuse. Remote and ledger stay as they were."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

Refused = Callable[..., str]
Tells = Callable[[str, str], None]

REQUESTS: dict[str, tuple[list[str], str]] = {
    "integration": (
        ["acne"],
        """
        contraflow.yaml:7 (integrations): there is no integration 'acne'
        expected: one of acme
        did you mean 'acme'?
    """,
    ),
    "step": (
        ["acme", "--step", "customer"],
        """
        job 'crm_export' has no step 'customer'
        expected: customers, lines
        did you mean 'customers'?
    """,
    ),
    "job": (
        ["acme", "--job", "crm_exprot"],
        """
        integration 'acme' has no job 'crm_exprot'
        did you mean 'crm_export'?
    """,
    ),
    "parameter": (
        ["acme", "-p", "greting=Hello"],
        """
        (parameter greting): step 'customers' does not understand the parameter 'greting'
        did you mean 'greeting'?
    """,
    ),
    "entity": (
        ["acme", "--step", "customers", "-p", "entity=custommer"],
        """
        step 'customers': unknown entity 'custommer'
        did you mean 'customer'?
    """,
    ),
    "parameter out of range": (
        ["acme", "-p", "batch_size=0"],
        """
        (parameter batch_size): parameter 'batch_size'
        found: 0
        expected: a whole number from 1 on
    """,
    ),
    "id of the wrong type": (
        ["acme", "--step", "customers", "--id", "first"],
        """
        id 'first' is no key of entity 'customer' (id)
        expected: integer
    """,
    ),
    "two ids of the wrong type": (
        ["acme", "--step", "customers", "--id", "1", "--id", "2.5", "--id", "x"],
        """
        id '2.5' is no key
        id 'x' is no key
    """,
    ),
    "id with a column's name": (
        ["acme", "--step", "customers", "--id", "idd=1"],
        """
        id 'idd=1' is no key of entity 'customer' (id)
    """,
    ),
    "id with a column missing": (
        ["acme", "--step", "lines", "--id", "A"],
        """
        id 'A' is no key of entity 'line' (order_no, line)
        order_no=…,line=…
    """,
    ),
    "id with an unknown column": (
        ["acme", "--step", "lines", "--id", "order_no=A,lnie=1"],
        """
        is no key of entity 'line' (order_no, line)
        did you mean 'line'?
    """,
    ),
    "id with a value of the wrong type": (
        ["acme", "--step", "lines", "--id", "order_no=A,line=one"],
        """
        is no key of entity 'line'
        integer
        for column 'line'
    """,
    ),
    "id with too many values": (
        ["acme", "--step", "lines", "--id", '["A", 1, 2]'],
        """
        is no key of entity 'line' (order_no, line)
    """,
    ),
    "id of broken JSON": (
        ["acme", "--step", "lines", "--id", '{"order_no": "A"'],
        """
        is no key of entity 'line'
    """,
    ),
    "ids and everything": (
        ["acme", "--id", "1", "--all"],
        """
        both ids and everything were asked for
        expected: one of the two
    """,
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_what_a_command_cannot_mean(refused: Refused, tells: Tells, case: str) -> None:
    arguments, said = REQUESTS[case]
    tells(refused("sync", *arguments), said)


@pytest.mark.parametrize("command", [["status"], ["dead-letters", "--integration"]])
def test_other_commands_know_the_integrations_too(refused: Refused, exported: Any, command: list[str]) -> None:
    assert "did you mean 'acme'?" in refused(*command, "acne")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("sqlite:///gone.db", ["gone.db does not exist"], id="SQLite file"),
        pytest.param(
            "postgresql://ana:s3cr3t@127.0.0.1:1/shop",
            ["cannot reach the source database postgresql://ana:***@127.0.0.1:1/shop"],
            id="PostgreSQL",
        ),
        pytest.param(
            "mysql://ana:s3cr3t@127.0.0.1:1/shop",
            ["cannot reach the source database mysql://ana:***@127.0.0.1:1/shop"],
            id="MySQL",
        ),
    ],
)
def test_a_database_that_cannot_be_reached(refused: Refused, exported: Any, url: str, said: list[str]) -> None:
    exported.replace("contraflow.yaml", "sqlite:///shop.db", url)
    message = refused("sync", "acme", code=1)
    assert all(part in message for part in said), message
    assert "s3cr3t" not in message
    checked = exported.run("check")
    assert checked.exit_code == 2
    assert said[0] in checked.stdout


COMMANDS = [["sync", "acme"], ["status"], ["dead-letters"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_ledger_of_a_newer_version(refused: Refused, exported: Any, command: list[str]) -> None:
    exported.sql("UPDATE cf_alembic_version SET version_num = '9999'", "ledger.db")
    message = refused(*command, code=6)
    assert "was made by a newer contraflow (revision 9999); this one knows up to" in message
    assert "upgrade contraflow" in message
    checked = exported.run("check")
    assert (checked.exit_code, "newer contraflow" in checked.stdout) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_ledger_that_is_not_writable(refused: Refused, exported: Any, command: list[str]) -> None:
    exported.replace(
        "contraflow.yaml", "sqlite:///ledger.db", f"sqlite:///file:{exported.directory}/ledger.db?mode=ro&uri=true"
    )
    assert "is not writable" in refused(*command, code=6)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("sqlite:///nowhere/ledger.db", "there is no directory", id="directory"),
        pytest.param("sqlite:///shop.db/ledger.db", "there is no directory", id="directory that is a file"),
        pytest.param("sqlite:///crm.py", "is not an SQLite database", id="another file"),
        pytest.param("'sqlite:///:memory:'", "a ledger in memory would forget everything", id="memory"),
        pytest.param("mysql://root@127.0.0.1/ledger", "a ledger cannot be kept in 'mysql'", id="kind"),
        pytest.param(
            "postgresql://ana:s3cr3t@127.0.0.1:1/ledger",
            "postgresql://ana:***@127.0.0.1:1/ledger cannot be reached",
            id="server",
        ),
    ],
)
def test_a_ledger_that_cannot_be_opened(refused: Refused, exported: Any, url: str, said: str) -> None:
    exported.replace("contraflow.yaml", "sqlite:///ledger.db", url)
    assert said in refused("sync", "acme", code=6)


def test_a_ledger_that_is_locked_for_good(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contraflow.ledger.sqlite._PRAGMAS", {"busy_timeout": 1})
    with closing(sqlite3.connect(exported.directory / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = exported.run("sync", "acme")
    assert result.exit_code == 6
    assert "is locked by another process; try again when that has ended" in result.stderr
    assert exported.remote["1"]["name"] == "Ana"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "Usage: contraflow", id="nothing"),
        pytest.param(["sink"], "No such command 'sink'", id="unknown command"),
        pytest.param(["sycn", "acme"], "No such command 'sycn'. Did you mean 'sync'?", id="misspelt command"),
        pytest.param(["sync"], "Missing argument 'INTEGRATION'", id="missing argument"),
        pytest.param(["sync", "acme", "--al"], "No such option '--al'", id="unknown option"),
        pytest.param(["sync", "acme", "-p", "x"], "found 'x', expected NAME=VALUE", id="parameter without value"),
        pytest.param(["status", "--limit", "0"], "0 is not in the range x>=1", id="limit"),
        pytest.param(["init", "contraflow.yaml"], "is a file", id="file for a directory"),
    ],
)
def test_wrong_usage(exported: Any, arguments: list[str], said: str) -> None:
    before = exported.state()
    result = exported.run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    if arguments:
        answer = exported.run(*arguments, "--json")
        assert answer.exit_code == 2
        assert said in json.loads(answer.stdout)["error"]
    assert exported.state() == before


def test_a_log_level_that_there_is_not(project: Any) -> None:
    result = project.run("jobs", CONTRAFLOW_LOG="loud")
    assert result.exit_code == 2
    assert "CONTRAFLOW_LOG: found 'LOUD', expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL" in result.stderr
