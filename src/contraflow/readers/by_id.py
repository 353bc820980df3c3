"""``entity.by_id``: the entities whose ids the run asks for, in the order asked; all of them if it asks for all.

It reads as ``entity.all`` does. What differs is the engine's affair: a run of this one must say which ids, or that all are
meant.
"""

from __future__ import annotations

from contraflow.readers.all import check, check_step, count_items, describe_parameters, read_items

__all__ = ["check", "check_step", "count_items", "describe_parameters", "read_items"]
