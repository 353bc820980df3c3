"""What became of a chunk, and how a test fails that expected something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import attrs
import pytest

from contraflow_hookspecs import Key, SystemicError, WriteResult


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of a chunk, as the engine understands the connector."""

    results: Mapping[Key, WriteResult]
    stop: BaseException | None
    """Why the engine would send nothing more."""
    errors: Sequence[BaseException]
    """What the connector raised."""

    def word(self, key: Key) -> str:
        """What became of one item: ``written``, ``rejected``, ``deferred``, ``unknown``, ``conflict``, ``gone``, or
        ``systemic`` if the step is to stop and no item is blamed."""
        word = type(self.results[key]).__name__.lower()
        return "systemic" if word == "deferred" and isinstance(self.stop, SystemicError) else word

    @property
    def words(self) -> Sequence[str]:
        """What became of each item, in the order of the results."""
        return [self.word(key) for key in self.results]

    @property
    def because(self) -> str:
        """What the connector raised first, in brackets; empty if nothing."""
        return f" (the connector raised {type(self.errors[0]).__name__}: {self.errors[0]})" if self.errors else ""


def fail(message: str) -> NoReturn:
    """Fail the test, with one clear message."""
    pytest.fail(message, pytrace=False)


def expect(condition: object, message: str) -> None:
    """Fail the test with a message unless the condition holds."""
    if not condition:
        fail(message)
