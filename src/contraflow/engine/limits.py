"""Guards: stop a step before it creates, changes or deletes more than it may, unless somebody approved of exactly that.

An approval is a digest of what would be done: of each key with its operation and fingerprint, of ledger, integration, job
and step, and of how many approvals were used before. So it releases nothing else, nothing elsewhere, and nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import NamedTuple

import attrs

from contraflow.engine.spool import CHANGES, Planned, Spool
from contraflow.engine.vanished import FullComparison
from contraflow.errors import ConfigError, ContraflowError, Problem
from contraflow.guards import Guards, Limit
from contraflow.ledger import Lease, Ledger, decode_key, display_key
from contraflow.readers import READERS
from contraflow_hookspecs import StepContext

DEFAULT_DELETES = Limit(percent=Decimal(30))
"""The limit of deletions where a step sets none."""
_FEWEST_KNOWN = 10
"""Known records from which on the default counts: of fewer, one deletion is already a large share."""
_MOST_EXAMPLES = 5
_DIGEST = re.compile(r"[0-9a-f]{32}")
_APPROVAL = re.compile(r"--approve ([0-9a-f]{32})")


class LimitExceededError(ContraflowError):
    """More would be created, changed or deleted than the step may."""

    exit_code = 7

    def __init__(self, message: str, approval: str) -> None:
        super().__init__(message)
        self.approval = approval
        """The digest that releases it."""


class Passed(NamedTuple):
    """A limit that would be passed."""

    guard: str
    limit: Limit
    most: int
    number: int
    known: int
    examples: Sequence[str]

    def __str__(self) -> str:
        keys = ", ".join(display_key(decode_key(key)) for key in self.examples)
        more = ", …" if self.number > len(self.examples) else ""
        share = f", {self.limit} of {self.known:,} known records" if self.limit.percent is not None else ""
        over = self.number - self.most
        return f"{self.guard}: {self.number:,} ({keys}{more}), {over:,} more than the limit of {self.most:,}{share}"


class Verdict(NamedTuple):
    """What keeps a step from its first write."""

    passed: Sequence[Passed]
    digest: str
    """Releases it."""

    @property
    def words(self) -> str:
        """The limits that are passed, and by how much."""
        return "; ".join(map(str, self.passed))


@attrs.frozen(kw_only=True)
class Limits:
    """The guards of one step execution.

    Args:
        guards: What the step may do.
        context: Which step that is.
        ledger: Where approvals are recorded, and how many records are known.
        stream_id: The ledger's number for this step into this integration.
        lease: The right to write there; without it limits are looked at, and nothing is released.
        approvals: The digests that were given.
    """

    guards: Guards
    context: StepContext
    ledger: Ledger
    stream_id: int
    lease: Lease | None = None
    approvals: Sequence[str] = ()

    def need_rehearsal(self, reader: str) -> bool:
        """Whether everything must be looked at before the first write.

        Not for deletions, which come last; except those that are asked for by id, if they are so many, and those of a reader
        of which nobody knows when it yields them.

        Args:
            reader: Name of the step's reader plugin.
        """
        if self.guards.need_rehearsal or (self.guards.deletes is not None and reader not in READERS):
            return True
        ids, parameters = self.context.filter.ids, self.context.parameters
        removes = {parameters.get(name) for name in ("deletions", "filtered", "missing")} & {"delete", "archive"}
        if ids is None or not removes:
            return False
        known = self.ledger.known_items(self.stream_id)
        limit = self._limit_of_deletes(known)
        return limit is not None and len(ids) > limit.most(known)

    def check(self, spool: Spool) -> None:
        """Hold what would be done against the limits, before the first write.

        Raises:
            LimitExceededError: It is too much, and nobody approved of it.
        """
        verdict = self.verdict(spool)
        if verdict is not None:
            self._released(verdict, "first write")()

    def verdict(self, spool: Spool) -> Verdict | None:
        """Hold what would be done against the limits; ``None`` if none is passed."""
        known = self.ledger.known_items(self.stream_id)
        passed = [
            Passed(name, limit, limit.most(known), number, known, examples())
            for name, limit, number, examples in self._counted(spool, known)
            if limit is not None and number > limit.most(known)
        ]
        if not passed:
            return None
        if [each.guard for each in passed] == ["deletes"]:  # as a run asks that finds them at its end
            return Verdict(passed, self._digest_of_deletions(entry.key for entry in spool.entries("delete")))
        return Verdict(passed, self._digest("changes", spool.entries(*CHANGES)))

    def check_deletes(self, everything: FullComparison) -> Callable[[], None]:
        """Hold the deletions that a full comparison found against their limit, before the first of them.

        Returns:
            To be called before the first: records that an approval is used, if one is.

        Raises:
            LimitExceededError: They are too many, and nobody approved of them.
        """
        number, known = everything.to_remove, everything.known
        limit = self._limit_of_deletes(known)
        if limit is None and not everything.read:
            limit = DEFAULT_DELETES  # a source that is suddenly empty is doubted, however small it was
        if limit is None or number <= limit.most(known):
            return lambda: None
        some = list(islice(everything.keys(), _MOST_EXAMPLES))
        passed = Passed("deletes", limit, limit.most(known), number, known, some)
        digest = self._digest_of_deletions(everything.keys())
        return self._released(Verdict([passed], digest), "first delete")

    def _counted(
        self, spool: Spool, known: int
    ) -> Iterator[tuple[str, Limit | None, int, Callable[[], Sequence[str]]]]:
        """Each guard with its limit, what it counts, and some of that."""
        guards = self.guards
        creates = guards.creates if known or guards.creates is None or guards.creates.percent is None else None
        for operation, limit in zip(CHANGES, (creates, guards.updates, self._limit_of_deletes(known)), strict=True):
            if limit is not None:
                some = partial(spool.examples, operation, _MOST_EXAMPLES)
                yield f"{operation}s", limit, spool.count(operation), some
        for field, number in spool.emptied() if guards.emptied is not None or guards.emptied_fields else ():
            limit = guards.emptied_fields.get(field, guards.emptied)
            yield f"field '{field}' emptied", limit, number, partial(spool.emptying, field, _MOST_EXAMPLES)

    def _limit_of_deletes(self, known: int) -> Limit | None:
        return self.guards.deletes or (DEFAULT_DELETES if known >= _FEWEST_KNOWN else None)

    def _released(self, verdict: Verdict, before: str) -> Callable[[], None]:
        """Let it through if somebody approved of just this; what records that it is used."""
        digest = verdict.digest
        if self.lease and any(hmac.compare_digest(digest, given) for given in self.approvals):
            self.context.logger.warning("%s: approved, and over the limit: %s", self.context.step, verdict.words)
            return partial(self.ledger.use_approval, self.lease, self.stream_id, digest, self.context.execution_id)
        stale = "what was approved is not what would be done now; " if self.approvals else ""
        raise LimitExceededError(
            f"stopped by a guard, before the {before} of step '{self.context.step}': {verdict.words}. "
            f"If it is meant, {stale}run it again with --approve {digest}",
            digest,
        )

    def _digest_of_deletions(self, keys: Iterable[str]) -> str:
        return self._digest("deletions", (Planned(key, "delete", "deleted") for key in keys))

    def _digest(self, kind: str, entries: Iterable[Planned]) -> str:
        context = self.context
        used = self.ledger.approvals(self.stream_id)
        about = ["contraflow approval 1", kind, self.ledger.id, context.integration, context.job, context.step, used]
        digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=16)
        for entry in entries:
            digest.update(json.dumps([entry.key, entry.operation, entry.fingerprint]).encode())
        return digest.hexdigest()


def check_approvals(approvals: Sequence[str]) -> None:
    """See that these can be digests.

    Raises:
        ConfigError: One of them cannot.
    """
    problems = [
        Problem(
            message="an approval that is none",
            found=repr(given),
            expected="the digest of 32 characters that the stopped run named",
        )
        for given in approvals
        if not _DIGEST.fullmatch(given)
    ]
    if problems:
        raise ConfigError(*problems)


def approval_named(description: str) -> str | None:
    """The digest that the description of a stopped execution names."""
    found = _APPROVAL.search(description)
    return found and found[1]
