"""Runs whose updates send only what changed, to a real server at which somebody else edits as well."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import contraflow_http

ENDPOINT = {
    "create": {"path": "/c/records"},
    "update": {"method": "PATCH", "path": "/c/records/{remote_id}", "only_changed": True},
    "id": "remote_id",
}


@pytest.fixture
def remote(connector: Any, source: Any, fault_remote: Any) -> Any:
    source.fill("customer", {"id": 1, "name": "Ana", "city": "Brno", "points": 1}, key="id")
    connector(contraflow_http, name="http", settings={"url": fault_remote.url, "endpoints": {"customer": ENDPOINT}})
    return fault_remote


def edit(remote: Any, **fields: Any) -> None:
    (number,) = [name.partition("/")[2] for name in remote.state()]
    httpx.patch(f"{remote.url}/c/records/{number}", json=fields, trust_env=False).raise_for_status()


def record(remote: Any) -> dict[str, Any]:
    (held,) = remote.state().values()
    return {name: held["payload"][name] for name in ("name", "city", "points")}


def test_what_others_edited_is_not_overwritten_by_the_way(remote: Any, source: Any, run_job: Any) -> None:
    assert run_job().counts["created"] == 1
    edit(remote, city="Praha")
    source.change("customer", 1, name="Anna")
    assert run_job().counts["updated"] == 1
    assert record(remote) == {"name": "Anna", "city": "Praha", "points": 1}


def test_force_sends_all_of_it(remote: Any, source: Any, run_job: Any) -> None:
    run_job()
    edit(remote, city="Praha")
    source.change("customer", 1, name="Anna")
    assert run_job(force=True).counts["updated"] == 1
    assert record(remote) == {"name": "Anna", "city": "Brno", "points": 1}


def test_a_change_that_was_refused_is_sent_with_the_next_one(remote: Any, source: Any, run_job: Any) -> None:
    run_job()
    source.change("customer", 1, name="")
    remote.script({"rules": [{"fault": "status", "status": 422, "times": 1}]})
    assert run_job().counts["rejected"] == 1
    source.change("customer", 1, points=2)
    assert run_job().counts["updated"] == 1
    assert record(remote) == {"name": "", "city": "Brno", "points": 2}


def test_a_change_whose_answer_was_lost_and_the_next_one_both_arrive(remote: Any, source: Any, run_job: Any) -> None:
    run_job()
    source.change("customer", 1, name="Anna")
    remote.script({"rules": [{"fault": "reset_before", "times": 1}]})
    assert run_job().counts["in_doubt"] == 1
    source.change("customer", 1, points=2)
    assert run_job().counts["in_doubt"] == 1  # held: nobody can be asked
    assert record(remote) == {"name": "Ana", "city": "Brno", "points": 1}
