"""The pytest plugin of ``contraflow[testing]``. Every test run of whoever has contraflow installed imports this module, so
it imports nothing but pytest: what a fixture needs comes with the fixture."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contraflow.testing.project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which promises connectors have earned, if the conformance suite was run."""
    import sys

    if "contraflow.testing.conformance" in sys.modules:
        from contraflow.testing.report import write_report

        write_report(terminalreporter)
