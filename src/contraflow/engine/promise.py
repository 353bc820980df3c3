"""The delivery promise: what a remote's capabilities allow, in a class and in words.

A remote that recognises a repeated sending can be sent to again; one that does not must be asked, or left alone. After a
crash, or an answer that never came, the class decides what happens to the items in doubt.
"""

from __future__ import annotations

import enum

import attrs

from contraflow_hookspecs import Capabilities, Idempotency

DEFAULT_LIFETIME = 65.0
"""Seconds after which a request can no longer arrive, for a remote that does not say: twice 30 s of timeout, and 5 s."""


class Promise(enum.Enum):
    """How often the remote carries an item out."""

    EFFECTIVELY_ONCE = "A"
    STATE_SAFE = "B"
    CONFIRMED_ONCE = "C"
    REPORTED = "D"
    AT_LEAST_ONCE = "E"

    @property
    def words(self) -> str:
        """The promise, for people."""
        return _WORDS[self]

    @property
    def sentence(self) -> str:
        """The promise with its class, as check and sync show it."""
        return f"class {self.value}, {self.words}"

    @property
    def recovery(self) -> str:
        """What the next run does about an item whose fate is unknown, for people."""
        return _RECOVERY[self]


_WORDS = {
    Promise.EFFECTIVELY_ONCE: "effectively once: never lost, and a repeated sending has no second effect",
    Promise.STATE_SAFE: "state-safe: never lost, and a repeated sending leaves the same state",
    Promise.CONFIRMED_ONCE: "confirmed once: never lost; a doubtful item is asked for before it is sent again",
    Promise.REPORTED: "at most once, reported: a doubtful item is held and listed, never sent again by itself",
    Promise.AT_LEAST_ONCE: "at least once: never lost; a doubtful item is sent again, and may arrive twice",
}

_RECOVERY = {
    Promise.EFFECTIVELY_ONCE: "The next sync sends them again under the same key or version, which has no second effect",
    Promise.STATE_SAFE: "The next sync waits until no late request can arrive, and sends them again, which is harmless",
    Promise.CONFIRMED_ONCE: "The next sync asks the remote for them, and sends those that did not arrive",
    Promise.REPORTED: "No sync sends them again by itself: see `contraflow held`",
    Promise.AT_LEAST_ONCE: "The next sync sends them again, and some may arrive twice",
}


def promise_of(capabilities: Capabilities, in_doubt: str | None = None) -> Promise:
    """The promise that a remote's capabilities allow.

    Args:
        capabilities: What the connector declares.
        in_doubt: The step's parameter: ``hold`` gives up sending again, ``resend`` accepts doubles where nothing better is
            possible, ``None`` takes the best.
    """
    if in_doubt == "hold":
        return Promise.REPORTED
    if capabilities.idempotency in (Idempotency.KEY, Idempotency.VERSIONED):
        return Promise.EFFECTIVELY_ONCE
    if capabilities.idempotency is Idempotency.UPSERT:
        return Promise.STATE_SAFE
    if capabilities.confirm:
        return Promise.CONFIRMED_ONCE
    return Promise.AT_LEAST_ONCE if in_doubt == "resend" else Promise.REPORTED


def promise_when_restored(capabilities: Capabilities, in_doubt: str | None = None) -> Promise:
    """The same for a ledger that is an older copy of itself: it does not know the keys under which items were sent since."""
    if capabilities.idempotency is Idempotency.KEY:
        capabilities = attrs.evolve(capabilities, idempotency=Idempotency.NONE)
    return promise_of(capabilities, in_doubt)


def lifetime_of(capabilities: Capabilities) -> float:
    """Seconds after which a request that was sent can no longer take effect: the quiesce time."""
    return DEFAULT_LIFETIME if capabilities.request_lifetime is None else capabilities.request_lifetime
