"""What the page on schedules gives to cron and systemd does what it is for."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "scheduling.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    match = re.search(rf"```\w+\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    assert match, f"the page has no {name}"
    return match[1]


@pytest.fixture
def shop(follower: Any) -> Path:
    """The project that the page speaks of."""
    follower._run_command("contraflow init shop", "", 0)
    shop: Path = follower.here / "shop"
    (shop / "secrets.env").write_text("export ACME_TOKEN=secret\n")
    return shop


def test_each_line_of_the_crontab_runs(follower: Any, shop: Path) -> None:
    lines = [line for line in block("contraflow.cron").splitlines() if line[:1] in "*0123456789"]
    assert len(lines) == 2
    for line in lines:
        *_, user, command = line.split(maxsplit=6)
        assert user == "shop"
        follower._run_command(command.replace("/srv/shop", shlex.quote(str(shop))), "", 0)
    assert (shop / "sync.log").read_text().count("COMPLETED in") == 2


def test_the_service_runs_and_forgives_what_is_no_failure(follower: Any, shop: Path) -> None:
    unit = configparser.ConfigParser(strict=True, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block("contraflow.service"))
    service = unit["Service"]
    follower._run_command(f"cd {shlex.quote(str(shop))} && {service['ExecStart']}", "", 0)
    assert service["SuccessExitStatus"] == "3 5 75"
    assert service["KillSignal"] == "SIGTERM"


def test_the_timer_starts_the_service_of_its_name(follower: Any) -> None:
    timer = configparser.ConfigParser(strict=True, delimiters=("=",))
    timer.read_string(block("contraflow.timer"))
    assert timer["Timer"]["OnCalendar"] == "*:0/5"
    assert "contraflow.service" in PAGE
