"""contraflow keeps remote systems in step with your own database."""

from __future__ import annotations

__version__ = "0.1.0"
