"""The plugin manager: what plugins there are, and what they answer."""

from __future__ import annotations

from contraflow.plugins.asking import Plugins
from contraflow.plugins.registry import PluginRecord

__all__ = ["PluginRecord", "Plugins"]
