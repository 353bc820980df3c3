"""Plans: what a run would do, seen beforehand, kept in a file, and applied later as it was seen."""

from __future__ import annotations

from contraflow.plans.apply import apply_plan
from contraflow.plans.make import make_plan
from contraflow.plans.plan import Plan, PlannedItem, StepPlan

__all__ = ["Plan", "PlannedItem", "StepPlan", "apply_plan", "make_plan"]
