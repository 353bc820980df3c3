"""What was promised to authors of plugins still holds."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from contraflow_hookspecs import JobExecution

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_contract_is_as_it_is_written_down() -> None:
    contract = load("contract")
    kept, now = contract.KEPT.read_text(encoding="utf-8").splitlines(), contract.lines()
    gone = [line for line in kept if line not in now]
    assert not gone, f"plugins may rely on what is gone or has changed: {gone}"
    assert kept == now, "the contract has grown: write it down with python tests/stability/contract.py"


@pytest.fixture
def acme() -> Any:
    return load("acme_1_0")


def test_a_connector_of_contract_1_0_runs(
    acme: Any, source: Any, connector: Callable[..., str], run_job: Callable[..., JobExecution]
) -> None:
    names = ("Ana", "skip", "", "refused", "later")
    source.fill("customer", *({"id": number, "name": name} for number, name in enumerate(names, start=1)))
    connector(acme, name="acme", settings={"region": "eu", "token": "secret"}, parameters={"retry_wait": 0})
    execution = run_job(everything=True)
    assert execution.counts["written"] == 2
    assert (execution.counts["filtered"], execution.counts["rejected"]) == (1, 2)
    assert acme.REMOTE == {(1,): {"name": "Ana", "region": "eu"}, (5,): {"name": "later", "region": "eu"}}
    assert acme.TOLD[-1][0] == "COMPLETED"
    assert run_job(everything=True).counts["unchanged"] == 2
