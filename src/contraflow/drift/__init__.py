"""Compare the remote with what it last confirmed: what others edited there, what is missing, what is not ours."""

from __future__ import annotations

from contraflow.drift.compare import SAMPLE, drift
from contraflow.drift.found import Drift, FieldDrift, ItemDrift, StepDrift

__all__ = ["SAMPLE", "Drift", "FieldDrift", "ItemDrift", "StepDrift", "drift"]
