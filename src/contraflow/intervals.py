"""Lengths of time as people write them: ``45``, ``10min``, ``7d``."""

from __future__ import annotations

import re
from typing import Any

EXPECTED = "seconds, or a time such as 90s, 10min, 12h, 7d"
"""What :func:`parse_interval` takes, for messages."""

_INTERVAL = re.compile(r"\s*(?P<number>[0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?P<unit>s|min|h|d)?\s*", re.ASCII)
_SECONDS = {None: 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_interval(value: Any) -> float:
    """Seconds, from a number of them or from text with a unit.

    Raises:
        ValueError: The value is none, or negative.
    """
    match = _INTERVAL.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no length of time")
    return float(match["number"]) * _SECONDS[match["unit"]]
