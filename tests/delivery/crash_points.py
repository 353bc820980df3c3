"""The named points at which a worker can be made to kill itself, after the crash points of the delivery model.

``POINTS`` maps each name to the moment that :mod:`delivery_probe` reports. ``RECOVERY`` are those of a second life, which
finds what the first left in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping

POINTS: Mapping[str, str] = {
    "P0-lease": "before lease",
    "P1-lease": "after lease",  # the lease is taken, the execution not recorded
    "P0": "before T0",  # nothing is recorded
    "P1": "after T0",  # the execution is recorded, the lease taken
    "P2": "read begins",
    "P3": "process",
    "P3-read": "read item",
    "P4": "before T1",  # the intent's transaction is open
    "P5": "after T1",  # the intent is recorded, nothing is sent
    "P5-call": "call begins",
    "P6": "half sent",
    "P7": "sent",  # delivered; whether applied, depends on the remote
    "P8": "answer came",  # applied, the answer not looked at
    "P9": "call ends",
    "P10": "before T2",
    "P11": "after T2",
    "P12": "call begins again",  # between two attempts, or two halves of a chunk
    "P13": "wait",  # in the backoff
    "P16": "before T3",
    "P17": "after T3",
}

RECOVERY: Mapping[str, str] = {
    "P14-wait": "wait in recovery",  # in the quiesce time
    "P14": "confirm begins",
    "P14-after": "confirm ends",
    "P15-call": "call begins in recovery",
    "P15": "call ends in recovery",
    "P15-T2": "before T2 in recovery",
    "P15-done": "after T2 in recovery",
}

MOMENTS = {**POINTS, **RECOVERY}

PHASES = ("start", "T0", "reading", "processing", "T1", "call", "answered", "T2", "T3", "waiting", "confirm", "other")
"""What a worker is doing, as the shared counters have it; a kill falls into one of them."""
