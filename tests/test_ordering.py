"""Orders among things of which some need others, and lengths of time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.intervals import parse_interval
from contraflow.ordering import CircleError, in_order

NAMES = [str(number) for number in range(7)]
edges = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=7)


def ordered_or_circle(names, needs, wishes):
    try:
        return in_order(names, needs, wishes), []
    except CircleError as circle:
        return [], circle.path


@given(st.permutations(NAMES), edges, edges)
def test_needs_come_first_or_the_circle_is_named(names, needs, wishes) -> None:
    ordered, path = ordered_or_circle(names, needs, wishes)
    if path:
        assert path[0] == path[-1]
        assert len(path) > 1
        assert all(second in needs[first] for first, second in pairwise(path))
        return
    assert sorted(ordered) == NAMES
    for child, parents in needs.items():
        assert all(ordered.index(parent) < ordered.index(child) for parent in parents)


@given(st.permutations(NAMES), edges)
def test_wishes_are_granted_where_they_form_no_circle(names, wishes) -> None:
    expected, circle = ordered_or_circle(names, wishes, {})
    granted = in_order(names, {}, wishes)
    assert sorted(granted) == NAMES if circle else granted == expected


def test_what_needs_nothing_stays_in_its_place() -> None:
    assert in_order(["c", "a", "b"], {}, {}) == ["c", "a", "b"]
    assert in_order(["c", "a", "b"], {"c": ["b", "unknown"]}, {}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(5, 5), ("5", 5), (2.5, 2.5), ("90s", 90), ("10min", 600), ("1.5h", 5400), (" 7 d ", 604800), (0, 0)],
)
def test_lengths_of_time(text, seconds) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", -1, True, None, "1w", "1 hour", "1e9", "٣"])
def test_what_is_no_length_of_time(text) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        parse_interval(text)
