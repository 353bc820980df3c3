"""The status and exit-status algebra of Spring Batch, as its descendants Akeneo and Oro have it, over immutable values."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from contraflow_hookspecs import BatchStatus

_S = BatchStatus

_SEVERITY: Mapping[BatchStatus, int] = {status: number for number, status in enumerate(BatchStatus, start=1)}
_UPGRADE_ORDER = (_S.STARTING, _S.STARTED, _S.COMPLETED, _S.STOPPING, _S.STOPPED, _S.FAILED, _S.ABANDONED, _S.UNKNOWN)
_UPGRADE_RANK: Mapping[BatchStatus, int] = {status: number for number, status in enumerate(_UPGRADE_ORDER)}

_EXIT_SEVERITY: Mapping[str, int] = {
    "EXECUTING": 1,
    "COMPLETED": 2,
    "NOOP": 3,
    "STOPPED": 4,
    "FAILED": 5,
    "UNKNOWN": 6,
}
_CUSTOM_EXIT_SEVERITY = 7


def worst(left: BatchStatus, right: BatchStatus) -> BatchStatus:
    """The more severe of two statuses: COMPLETED < STARTING < STARTED < STOPPING < … < UNKNOWN."""
    return max(left, right, key=_SEVERITY.__getitem__)


def upgrade(left: BatchStatus, right: BatchStatus) -> BatchStatus:
    """The status of a whole of which one part is in state ``left`` and another in ``right``.

    The later of the two in the order STARTING < STARTED < COMPLETED < STOPPING < STOPPED < FAILED < ABANDONED < UNKNOWN,
    hence commutative, associative and idempotent.
    """
    return max(left, right, key=_UPGRADE_RANK.__getitem__)


def is_running(status: BatchStatus) -> bool:
    """Whether an execution of this status is under way."""
    return status in {_S.STARTING, _S.STARTED}


def is_unsuccessful(status: BatchStatus) -> bool:
    """Whether an execution of this status failed, or worse."""
    return _SEVERITY[status] >= _SEVERITY[_S.FAILED]


@attrs.frozen
class ExitStatus:
    """How an execution ended: a code, standard or the author's own, and a description."""

    code: str = "UNKNOWN"
    description: str = ""

    def combine(self, other: ExitStatus) -> ExitStatus:
        """Keep the code of higher severity (custom codes are the highest; on a tie the own) and join the descriptions."""
        code = self.code if _exit_severity(self.code) >= _exit_severity(other.code) else other.code
        return ExitStatus(code, self.describe(other.description).description)

    def describe(self, description: str) -> ExitStatus:
        """Append a description; an empty one, or one equal to the whole present text, adds nothing."""
        if not description or description == self.description:
            return self
        return ExitStatus(self.code, f"{self.description};{description}" if self.description else description)

    @property
    def is_running(self) -> bool:
        """Whether the code says that the end is not known yet."""
        return self.code in {"RUNNING", "UNKNOWN"}

    def __str__(self) -> str:
        return f"[{self.code}] {self.description}".rstrip()


def _exit_severity(code: str) -> int:
    return _EXIT_SEVERITY.get(code, _CUSTOM_EXIT_SEVERITY)
