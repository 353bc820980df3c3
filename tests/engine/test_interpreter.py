"""What a run sets in the interpreter, it puts back."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from contraflow.engine.interpreter import set_for_streaming

Settings = tuple[tuple[int, int, int], float]


def _settings() -> Settings:
    return gc.get_threshold(), sys.getswitchinterval()


@pytest.fixture(autouse=True)
def python_s_own() -> Iterator[Settings]:
    """The settings of a new interpreter, whatever is set here."""
    threshold, turn = _settings()
    gc.set_threshold(700, 10, 10)
    sys.setswitchinterval(0.005)
    yield _settings()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(turn)


def test_that_both_are_changed_and_put_back_even_after_an_error(python_s_own: Settings) -> None:
    stack = ExitStack()
    stack.enter_context(set_for_streaming())
    assert gc.get_threshold()[0] > python_s_own[0][0]
    assert sys.getswitchinterval() < python_s_own[1]
    stack.__exit__(RuntimeError, RuntimeError(), None)
    assert _settings() == python_s_own


def test_that_of_overlapping_runs_the_last_puts_them_back(python_s_own: Settings) -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(set_for_streaming())
    second.enter_context(set_for_streaming())
    streaming = _settings()
    first.close()
    assert _settings() == streaming
    second.close()
    assert _settings() == python_s_own


@pytest.mark.parametrize(("threshold", "turn"), [(0, 0.0001), (1_000_000, 0.0002)])
def test_that_what_the_program_has_set_stays_where_it_goes_further(threshold: int, turn: float) -> None:
    gc.set_threshold(threshold, 5, 5)
    sys.setswitchinterval(turn)
    chosen = _settings()
    with set_for_streaming():
        assert _settings() == chosen
    assert _settings() == chosen
