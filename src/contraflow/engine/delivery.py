"""Bring a chunk of changes to the remote, and make of the plugin's answer exactly one result for each change.

What a writer raises says how far the trouble reaches (:mod:`contraflow_hookspecs.errors`); any other exception leaves the
whole call in doubt, since the remote may have carried it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from contraflow.assembly import Stage
from contraflow.contract import describe, flaw_of_pause
from contraflow.errors import HookContractError
from contraflow_hookspecs import (
    Change,
    Conflict,
    Deferred,
    Gone,
    ItemError,
    Key,
    PermanentError,
    Rejected,
    StepContext,
    SystemicError,
    TransientError,
    Unknown,
    WriteResult,
    Written,
)

_RESULTS = (Written, Rejected, Deferred, Unknown, Conflict, Gone)


@attrs.frozen(kw_only=True)
class Delivered:
    """What became of one chunk."""

    results: dict[Key, WriteResult]
    """One for each change."""
    stop: BaseException | None = None
    """Why nothing more should be sent in this execution."""


@attrs.frozen(kw_only=True)
class Call:
    """How the remote is called.

    Attributes:
        stage: The plugin that does it.
        context: What it may know.
        before: Asked before each call, with the number of its items: waits for the rate limit, raises if this process may
            not send any more, and is false if the run is to stop.
        hook: The hook that is called, for messages.
    """

    stage: Stage
    context: StepContext
    before: Callable[[int], bool]
    hook: str = "write_items"


def deliver(changes: Sequence[Change], call: Call) -> Delivered:
    """Call the remote with a chunk.

    A chunk that the remote refuses as a whole is halved until the bad item stands alone: the refusal says that nothing of
    it was carried out, so sending its parts repeats nothing.

    Args:
        changes: No two of one key.
        call: How.

    Raises:
        FencedError: This process may not send any more; nothing of this call was sent.
    """
    if not changes:
        return Delivered(results={})
    if not call.before(len(changes)):
        return Delivered(results=_all(changes, lambda key: Deferred(key=key, reason="not sent: the run was to stop")))
    try:
        answer = call.stage.call(items=changes, context=call.context)
    except PermanentError as error:
        if len(changes) > 1:
            return _halve(changes, call)
        return _failed(changes, error, call)
    except BaseException as error:  # noqa: BLE001 - also Ctrl-C: what was being sent must be recorded as in doubt
        return _failed(changes, error, call)
    return _check(changes, answer, call)


def _failed(changes: Sequence[Change], error: BaseException, call: Call) -> Delivered:
    match error:
        case PermanentError(code=code, reason=reason):
            return Delivered(results=_all(changes, lambda key: Rejected(key=key, code=code, reason=reason)))
        case ItemError():
            return _one_bad(changes, error)
        case TransientError(reason=reason, retry_after=wait):
            if (flaw := flaw_of_pause(error, wait)) is not None:
                deferred = _all(changes, lambda key: Deferred(key=key, reason=reason))
                return Delivered(results=deferred, stop=HookContractError(call.stage.plugin, call.hook, *flaw))
            return Delivered(
                results=_all(changes, lambda key: Deferred(key=key, reason=reason, retry_after=wait)), stop=error
            )
        case SystemicError():
            return Delivered(results=_all(changes, lambda key: Deferred(key=key, reason=str(error))), stop=error)
    reason = f"{type(error).__name__}: {error}"
    return Delivered(results=_all(changes, lambda key: Unknown(key=key, reason=reason)), stop=error)


def _halve(changes: Sequence[Change], call: Call) -> Delivered:
    results: dict[Key, WriteResult] = {}
    middle = len(changes) // 2
    for half in (changes[:middle], changes[middle:]):
        part = deliver(half, call)
        results |= part.results
        if part.stop is not None:
            unsent = [change for change in changes if change.key not in results]
            results |= _all(unsent, lambda key: Deferred(key=key, reason="not sent: the run stopped before"))
            return Delivered(results=results, stop=part.stop)
    return Delivered(results=results)


def _one_bad(changes: Sequence[Change], error: ItemError) -> Delivered:
    bad = changes[0].key if len(changes) == 1 else error.key
    results = _all(changes, lambda key: Unknown(key=key, reason=f"the writer gave up at another item: {error.reason}"))
    if bad in results:
        results[bad] = Rejected(key=bad, code=error.code, reason=error.reason)
    return Delivered(results=results, stop=error if len(changes) > 1 else None)


def _check(changes: Sequence[Change], answer: Any, call: Call) -> Delivered:
    def broken(found: str, expected: str) -> HookContractError:
        return HookContractError(call.stage.plugin, call.hook, found, expected)

    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | dict) or not hasattr(answer, "__len__"):
        error = broken(describe(answer), "a sequence with one result for each change")
        return Delivered(results=_all(changes, lambda key: Unknown(key=key, reason=str(error))), stop=error)
    due = {change.key for change in changes}
    results: dict[Key, WriteResult] = {}
    stop: HookContractError | None = None
    for result in answer:
        if type(result) is Written and type(result.key) is tuple and result.key in due and result.key not in results:
            results[result.key] = result  # nearly all of them
        elif not isinstance(result, _RESULTS):
            stop = stop or broken(describe(result), "Written, Rejected, Deferred, Unknown, Conflict or Gone")
        elif (flaw := _flaw_of(result)) is not None:
            stop = stop or broken(*flaw)
        elif result.key not in due:
            stop = stop or broken(f"a result for {result.key!r}, which is not in the chunk", "the changes' own keys")
        elif result.key in results:
            stop = stop or broken(f"two results for {result.key!r}", "one result for each change")
            results[result.key] = Unknown(key=result.key, reason="the writer gave two results")
        else:
            results[result.key] = result
    missing = [change for change in changes if change.key not in results]
    if missing:
        stop = stop or broken(
            f"{len(results)} results for {len(changes)} changes, none for {missing[0].key!r}",
            "one result for each change",
        )
        results |= _all(missing, lambda key: Unknown(key=key, reason="the writer gave no result"))
    return Delivered(results=results, stop=stop)


def _flaw_of(result: Any) -> tuple[str, str] | None:
    """What is wrong within a result, and what was expected; attrs does not look at types."""
    kind = type(result).__name__
    if not isinstance(result.key, tuple):
        return f"{kind} with a key of type {type(result.key).__name__}", "key=change.key, a tuple"
    for name in ("code", "reason"):
        if hasattr(result, name) and not isinstance(getattr(result, name), str):
            return f"{kind} with a {name} of type {type(getattr(result, name)).__name__}", "text"
    return flaw_of_pause(result, result.retry_after) if isinstance(result, Deferred) else None


def _all(changes: Iterable[Change], make: Callable[[Key], WriteResult]) -> dict[Key, WriteResult]:
    return {change.key: make(change.key) for change in changes}
