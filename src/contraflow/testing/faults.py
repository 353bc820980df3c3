"""What can go wrong between a connector and its remote, and what makes it go wrong."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

import attrs


class FaultKind(enum.Enum):
    """What the remote, or the way to it, does instead of answering as it should."""

    STATUS = "status"
    """Answers an HTTP status."""
    RESET = "reset"
    """Resets the connection."""
    SILENCE = "silence"
    """Does not answer, until the client gives up."""
    REFUSE = "refuse"
    """Takes no connection."""
    TRUNCATED = "truncated"
    """Carries out, and answers the first half."""
    PAGE = "page"
    """Answers 200 with a page of HTML."""
    REDIRECT = "redirect"
    """Sends the client to another host."""


@attrs.frozen(kw_only=True)
class Fault:
    """One fault, in force until it is cleared or has happened so often as it should."""

    kind: FaultKind
    apply: bool = False
    """Whether the request is carried out before."""
    status: int = 0
    """Of a ``STATUS`` or a ``REDIRECT``."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Of the answer."""
    echo: bool = False
    """Whether the answer repeats what the client used as credentials, as some remotes do."""
    reads: bool = False
    """Whether it meets requests that only read, too."""
    after: int = 0
    """How many requests it lets pass before."""
    times: int | None = None
    """How many requests it meets then; ``None`` for all."""


@attrs.frozen(kw_only=True)
class Request:
    """What came from the connector: an HTTP request, or for other transports the bytes of one packet as ``body``."""

    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""


class FaultInjector(Protocol):
    """What the conformance suite makes faults with. :class:`~contraflow.testing.fault_proxy.FaultProxy` is one for HTTP,
    :class:`~contraflow.testing.tcp_proxy.TcpProxy` one for any other protocol over TCP; authors may write their own.

    Attributes:
        kinds: The kinds of fault that it can make; tests of others are skipped.
        requests: How many requests have come so far.
        hits: How many of them met the fault in force.
        overdue: Whether a client waited longer for an answer than the suite has patience.
    """

    kinds: frozenset[FaultKind]
    requests: int
    hits: int
    overdue: bool

    def inject(self, fault: Fault) -> None:
        """Put a fault in force, in the place of the one before."""

    def clear(self) -> None:
        """Let all go well again."""
