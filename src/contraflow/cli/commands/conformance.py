"""``contraflow conformance``: put an installed connector through the conformance suite."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from contraflow.cli.exit_codes import FAILED
from contraflow.cli.options import json_option
from contraflow.cli.output import TESTING, print_json
from contraflow.errors import ConfigError, Problem

_NO_TESTS = 5  # pytest's exit code


@click.command("conformance", short_help="Put a connector through the conformance suite.")
@click.argument("target")
@click.option("-k", "expression", metavar="EXPRESSION", help="Only the tests whose names match, as pytest's -k.")
@json_option
def command(target: str, expression: str | None, as_json: bool) -> None:
    """Run the conformance tests of TARGET, and say which promise the connector has earned.

    TARGET is an installed package, a module (with :Class, if one is meant) or a test file (with ::Class). A package's tests
    are those that it names in the entry-point group `contraflow.conformance`, else its module `conformance` or
    `tests.test_conformance`, else `tests/test_conformance.py` of the source tree that it is installed from.

    The exit code is 1 if a test fails: the connector does not keep the contract, or claims a promise that it has not earned.
    """
    if importlib.util.find_spec("pytest") is None:
        raise ConfigError(Problem(message="the conformance suite needs pytest", hint=TESTING))
    from contraflow.testing.finding import find_tests

    tests = find_tests(target)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--contraflow-report={report}"]
        options += ["-k", expression] if expression else []
        # In a process of its own, since pytest wants to be there before what it tests.
        arguments = [sys.executable, "-m", "pytest", *options, *tests]
        code = subprocess.run(arguments, stdout=sys.stderr if as_json else None, check=False).returncode  # noqa: S603
        connectors = json.loads(report.read_text(encoding="utf-8")) if report.exists() else []
    if code == _NO_TESTS:
        raise ConfigError(Problem(message=f"no test was run for '{target}'", found=", ".join(tests)))
    if as_json:
        print_json({"connectors": connectors, "passed": code == 0})
    sys.exit(FAILED if code else 0)
