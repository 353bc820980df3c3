"""What ends a step before it does harm: too many rejected items, one reason for very many of them, a remote that is down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from contraflow.errors import ContraflowError
from contraflow_hookspecs import Deferred, Rejected, TransientError, Unknown, WriteResult

_FEWEST_FOR_A_FLOOD = 20


class SkipLimitExceededError(ContraflowError):
    """More items were rejected than the step tolerates."""


class FloodError(ContraflowError):
    """So many items were rejected for one reason that the reason does not lie with the items."""


@attrs.define(kw_only=True)
class RejectionGuard:
    """Watches the rejections of a step execution.

    A refused credential or a changed schema rejects one item after the other; going on would make a dead letter of every
    record.

    Args:
        skip_limit: Most rejected items; ``None`` for no limit.
        max_rejected: Largest share of the items read, from 0 to 1, that may be rejected with one code, once
            there are at least 20 of them.
    """

    skip_limit: int | None
    max_rejected: float
    _codes: Counter[str] = attrs.field(factory=Counter, init=False)

    def check(self, rejections: Iterable[Rejected], rejected: int, read: int) -> None:
        """Take note of a chunk's rejections.

        Args:
            rejections: The new ones.
            rejected: How many items of the step were rejected.
            read: How many were read.

        Raises:
            SkipLimitExceededError: There are too many.
            FloodError: There are too many of one code.
        """
        self._codes.update(each.code for each in rejections)
        if self.skip_limit is not None and rejected > self.skip_limit:
            raise SkipLimitExceededError(f"{rejected} items were rejected; skip_limit is {self.skip_limit}")
        for code, number in self._codes.most_common(1):
            if number >= _FEWEST_FOR_A_FLOOD and number > read * self.max_rejected:
                raise FloodError(
                    f"{number} of {read} items were rejected as '{code}': the trouble does not seem to lie with the items. "
                    f"Nothing more was sent. If it does, raise the step's parameter max_rejected ({self.max_rejected:g})"
                )


@attrs.define
class CircuitBreaker:
    """Ends a run, to be resumed later, when chunk after chunk comes to nothing but doubt, or is put off.

    Args:
        most: Chunks in a row of which no item had a certain outcome.
    """

    most: int = 3
    _in_a_row: int = attrs.field(default=0, init=False)

    def check(self, results: Iterable[WriteResult]) -> None:
        """Take note of a chunk's results.

        Raises:
            TransientError: The remote answers nothing that could be believed, or wants to be left alone.
        """
        results = list(results)
        if not results:
            return
        all_uncertain = all(isinstance(result, (Unknown, Deferred)) for result in results)
        self._in_a_row = self._in_a_row + 1 if all_uncertain else 0
        if self._in_a_row >= self.most:
            raise TransientError(
                f"no item of {self._in_a_row} chunks in a row has surely arrived: the remote seems to be down"
            )
