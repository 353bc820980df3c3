"""The kit for authors: fixtures for tests, a remote that fails as it is told, and the conformance suite for connectors.

Install ``contraflow[testing]``; pytest finds the fixtures by itself. The suite is one class to subclass:

>>> from contraflow.testing import ConnectorConformance
"""

from __future__ import annotations
