"""The kit for authors: fixtures for tests, a remote that fails as it is told, and the conformance suite for connectors.

Install ``contraflow[testing]``; pytest finds the fixtures by itself. The suite is one class to subclass:

>>> from contraflow.testing import ConnectorConformance
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contraflow.testing.conformance import ConnectorConformance
    from contraflow.testing.fault_proxy import FaultProxy
    from contraflow.testing.faults import Fault, FaultInjector, FaultKind, Request
    from contraflow.testing.tcp_proxy import TcpProxy

_HOMES = {
    "ConnectorConformance": "conformance",
    "Fault": "faults",
    "FaultInjector": "faults",
    "FaultKind": "faults",
    "FaultProxy": "fault_proxy",
    "Request": "faults",
    "TcpProxy": "tcp_proxy",
}

__all__ = ["ConnectorConformance", "Fault", "FaultInjector", "FaultKind", "FaultProxy", "Request", "TcpProxy"]


def __getattr__(name: str) -> Any:
    # Only for those who ask: pytest imports this package in every run, wherever contraflow is installed.
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
