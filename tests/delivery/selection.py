"""The tests of every day, and all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")

EVERYTHING = os.environ.get("CONTRAFLOW_TEST_ALL") == "1"
"""Whether everything is to be tried, for which one waits some minutes; `make test` takes what finds most in seconds."""


def selected(everything: Sequence[_T], quick: Sequence[_T]) -> Sequence[_T]:
    """The cases to be tried; the quick ones must be among all of them."""
    strangers = [case for case in quick if case not in everything]
    if strangers:
        raise ValueError(f"not among all cases: {strangers}")
    return everything if EVERYTHING else quick
