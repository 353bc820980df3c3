"""The two decorators of the contract, and its name for pluggy and for entry points."""

from __future__ import annotations

import pluggy

PROJECT_NAME = "contraflow"
"""The pluggy project, and the entry-point group under which plugins are found."""

SPEC_VERSION = (1, 0)
"""Version of the contract: major changes break plugins, minor ones add hooks, arguments or fields."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
"""Marks a specification. Only this distribution uses it."""

hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a plugin's implementation of a hook: ``@hookimpl``, or ``@hookimpl(wrapper=True)`` for a wrapper."""
