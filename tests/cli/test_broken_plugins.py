"""What a plugin can do wrongly before anything runs: it is told as the plugin's trouble, and nothing is touched."""

from __future__ import annotations

from typing import Any

import pytest

HOOKS: dict[str, tuple[str, str]] = {
    "provide_export_job": (
        "def provide_export_job():\n    raise RuntimeError('no idea')",
        "plugin 'crm' failed in provide_export_job: RuntimeError: no idea",
    ),
    "provide_export_job without return": (
        "def provide_export_job():\n    return None",
        "found None (a forgotten `return`?); expected an ExportJob",
    ),
    "capabilities": (
        "def provide_export_job():\n    return ExportJob(name='crm_export', settings=Settings, capabilities=len)",
        "connector 'crm' cannot say what its remote is capable of: TypeError: object of type 'Settings'",
    ),
    "describe_parameters": (
        "def describe_parameters(parameters):\n    raise KeyError('greeting')",
        "plugin 'crm' failed in describe_parameters: KeyError: 'greeting'",
    ),
    "check_step": (
        "def check_step(context):\n    raise OSError('no disk')",
        "plugin 'crm' failed in check_step: OSError: no disk",
    ),
    "check_step objects": (
        "def check_step(context):\n    return ['the greeting is rude']",
        "jobs.yml:4 (crm_export.steps.customers): step 'customers': the greeting is rude",
    ),
    "configure_job refuses": (
        "def configure_job(job, parameters):\n    raise SystemicError('not on a Sunday')",
        "plugin 'crm', configure_job: not on a Sunday",
    ),
    "configure_job": (
        "def configure_job(job, parameters):\n    return 5",
        "plugin 'crm', hook configure_job: found an object of type int; expected a mapping or None",
    ),
    "misspelt hook": (
        "def proces_item(item, context):\n    pass",
        "plugin 'crm' implements a hook 'proces_item', which the contract 1.0 does not know; did you mean 'process_item'?",
    ),
    "misspelt argument": (
        "def process_item(itm, context):\n    pass",
        "process_item takes an unknown argument 'itm'; expected (item, context); did you mean 'item'?",
    ),
}


@pytest.mark.parametrize("case", HOOKS)
def test_a_hook_that_fails(exported: Any, case: str) -> None:
    hook, said = HOOKS[case]
    exported.connector(f"@hookimpl\n{hook}")
    before = exported.state()
    result = exported.run("sync", "acme")
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert "Inside contraflow" not in result.stderr
    assert "Traceback" not in result.stderr
    assert exported.state() == before


def test_a_connector_that_fails_leaves_other_integrations_alone(exported: Any) -> None:
    exported.write(
        "other.py", "from contraflow_hookspecs import hookimpl\n@hookimpl\ndef provide_export_job():\n    1 / 0\n"
    )
    exported.replace("contraflow.yaml", "{crm: crm}", "{crm: crm, other: other}")
    exported.replace("contraflow.yaml", "integrations:\n", "integrations:\n  broken: {connector: other}\n")
    assert exported.json("sync", "acme")["exit"] == 0
    jobs = exported.run("jobs")
    assert jobs.exit_code == 2
    assert "plugin 'other' failed in provide_export_job: ZeroDivisionError" in jobs.stdout
    assert "ready" in jobs.stdout
