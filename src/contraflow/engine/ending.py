"""How a run, or a step of it, ended before its time: status, exit code and words for what was raised."""

from __future__ import annotations

from contraflow.engine.limits import LimitExceededError
from contraflow.engine.outcomes import InvariantError
from contraflow.engine.stopping import StopRequestedError
from contraflow.errors import ContraflowError, LedgerError
from contraflow_hookspecs import BatchStatus, ConnectorError, TransientError


def status_of(cause: BaseException | None) -> BatchStatus:
    """STOPPED if somebody wanted it, FAILED otherwise."""
    interrupted = not isinstance(cause, Exception) or isinstance(cause, StopRequestedError)
    return BatchStatus.STOPPED if interrupted else BatchStatus.FAILED


def exit_code_of(cause: BaseException) -> str:
    """The exit code of a step."""
    if isinstance(cause, TransientError):
        return "UNAVAILABLE"
    if isinstance(cause, LedgerError):
        return "LEDGER"
    if isinstance(cause, LimitExceededError):
        return "GUARD"
    return "INVARIANT" if isinstance(cause, InvariantError) else status_of(cause).value


def in_words(error: BaseException) -> str:
    """An exception for people: errors made for them as they are, others with their type."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    made_for_people = isinstance(error, ContraflowError | ConnectorError) and str(error)
    return str(error) if made_for_people else f"{type(error).__name__}: {error}".removesuffix(": ")
