"""Three versions of a record: the general rules, and the ancestor's data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.merge import FALLBACKS, POLICIES, Merged, Rules, Side, difference, resolve, same

# Values that Python's own == confuses.
VALUES = st.sampled_from([None, False, True, 0, 1, 0.0, 1.0, "", "0", "a", [], [0], [False], {}, {"a": 1}])
RECORDS = st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=6)
NEWER = st.sampled_from([None, *get_args(Side)])
RULES = st.builds(
    Rules,
    default=st.sampled_from(POLICIES),
    fields=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(POLICIES), max_size=3),
    fallback=st.sampled_from(FALLBACKS),
)


def merge(
    base: Mapping[str, Any] | None,
    local: Mapping[str, Any],
    remote: Mapping[str, Any],
    rules: Rules,
    *,
    newer: Side | None = None,
) -> Merged:
    """Merge by the values that both sides had last; where nobody knows them, every difference is one that both made."""
    here = difference(remote if base is None else base, local)
    there = difference(local if base is None else base, remote)
    return resolve(local, remote, here, there, rules, newer=newer)


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return not difference(one, other)


@given(RECORDS, RULES, NEWER)
def test_nothing_changed_is_the_base(base: Mapping[str, Any], rules: Rules, newer: Side | None) -> None:
    merged = merge(base, base, base, rules, newer=newer)
    assert equal(merged.payload, base)
    assert not merged.foreign | merged.conflicting | merged.kept | merged.undecided | merged.outgoing


@given(RECORDS, RECORDS, RECORDS, RULES, NEWER)
def test_every_value_is_one_of_the_two_sides(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], rules: Rules, newer: Side | None
) -> None:
    merged = merge(base, local, remote, rules, newer=newer)
    for field, value in merged.payload.items():
        assert any(field in side and same(value, side[field]) for side in (local, remote))
    for field in {*local, *remote} - merged.payload.keys():
        assert field not in local or field not in remote  # it is gone because one side has not got it


@given(RECORDS, RECORDS, RECORDS, RULES, NEWER)
def test_the_fields_are_told_apart(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], rules: Rules, newer: Side | None
) -> None:
    merged = merge(base, local, remote, rules, newer=newer)
    differing = difference(local, remote)
    assert merged.outgoing | merged.kept | merged.undecided == differing
    assert len(merged.outgoing) + len(merged.kept) + len(merged.undecided) == len(differing)
    assert merged.outgoing == difference(merged.payload, remote)
    assert merged.foreign == difference(base, remote) & differing
    assert merged.conflicting == merged.foreign & difference(base, local)
    assert merged.undecided <= merged.foreign


@given(RECORDS, RECORDS, RECORDS, RULES, NEWER)
def test_no_change_of_ours_is_lost_where_the_remote_was_not_edited(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], rules: Rules, newer: Side | None
) -> None:
    """The ancestor confused the positions of fields with their names, and lost such a change."""
    merged = merge(base, local, remote, rules, newer=newer)
    ours_alone = difference(base, local) - difference(base, remote)
    assert equal(_only(merged.payload, ours_alone), _only(local, ours_alone))


@given(RECORDS, RECORDS, RECORDS, st.sampled_from(FALLBACKS), NEWER)
def test_what_one_side_alone_changed_is_always_taken_by_merge(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], fallback: Any, newer: Side | None
) -> None:
    merged = merge(base, local, remote, Rules(default="merge", fallback=fallback), newer=newer)
    here, there = difference(base, local), difference(base, remote)
    assert equal(_only(merged.payload, here - there), _only(local, here - there))
    assert equal(_only(merged.payload, there - here), _only(remote, there - here))
    assert merged.undecided <= here & there


@given(RECORDS, RECORDS, RECORDS)
def test_merge_is_symmetric(base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any]) -> None:
    one = merge(base, local, remote, Rules(default="merge", fallback="local"))
    other = merge(base, remote, local, Rules(default="merge", fallback="remote"))
    assert equal(one.payload, other.payload)
    assert one.conflicting == other.conflicting


@given(RECORDS, RECORDS, RECORDS, RULES, NEWER)
def test_what_was_merged_stays_as_it_is(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], rules: Rules, newer: Side | None
) -> None:
    """Once the remote holds the result, and neither side changes, nothing is sent and nobody is asked."""
    result = merge(base, local, remote, rules, newer=newer)
    if result.undecided:
        return
    again = resolve(local, result.payload, (), (), rules, newer=newer)
    kept = {field for field in difference(local, result.payload) if rules.of(field) != "local"}
    assert not again.foreign | again.undecided
    assert again.kept == kept
    assert equal(_only(again.payload, kept), _only(result.payload, kept))


@given(RECORDS, RECORDS, RECORDS)
def test_local_takes_all_of_ours(base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any]) -> None:
    assert equal(merge(base, local, remote, Rules(default="local")).payload, local)


@given(RECORDS, RECORDS, RECORDS)
def test_remote_keeps_every_edit(base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any]) -> None:
    edited = difference(base, remote)
    merged = merge(base, local, remote, Rules(default="remote"))
    assert equal(_only(merged.payload, edited), _only(remote, edited))
    assert not merged.undecided


@given(RECORDS, RECORDS, RECORDS, RULES, NEWER)
def test_ask_leaves_every_edit_to_a_person(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], rules: Rules, newer: Side | None
) -> None:
    merged = merge(base, local, remote, rules, newer=newer)
    assert {field for field in merged.foreign if rules.of(field) == "ask"} <= merged.undecided


@given(RECORDS, RECORDS)
def test_without_a_base_every_difference_is_a_conflict(local: Mapping[str, Any], remote: Mapping[str, Any]) -> None:
    merged = merge(None, local, remote, Rules(default="merge", fallback="ask"))
    assert merged.conflicting == merged.undecided == difference(local, remote)


@pytest.mark.parametrize(("newer", "result"), [("local", "ours"), ("remote", "theirs"), (None, None)])
def test_newest(newer: Side | None, result: str | None) -> None:
    for rules in (Rules(default="newest"), Rules(default="merge", fallback="newest")):
        merged = merge({"a": "old"}, {"a": "ours"}, {"a": "theirs"}, rules, newer=newer)
        assert rules.need_moments
        assert merged.undecided == (frozenset() if result else {"a"})
        if result:
            assert merged.payload == {"a": result}


def test_the_four_nothings_are_four() -> None:
    nothings: list[Any] = [False, 0, 0.0, "", None, [], {}]
    for position, one in enumerate(nothings):
        assert same(one, one)
        for other in nothings[position + 1 :]:
            assert not same(one, other)
            merged = merge({"a": one}, {"a": one}, {"a": other}, Rules(default="remote"))
            assert merged.foreign == {"a"}


_THREE = {"p0": "v", "p1": "o", "p2": "o", "p3": None}
_LOCAL_THREE = {"p0": "v", "p1": None, "p2": "l2", "p3": "l3"}
_REMOTE_THREE = {"p0": "r0", "p1": "r1", "p2": "r2", "p3": "r3"}

# What the ancestor calls a strategy is what holds in a conflict; edits of the remote alone always stay. So both are `merge`.
ANCESTOR = [
    pytest.param({"p": "v"}, {"p": "v"}, {"p": "n"}, {"remote": {"p": "n"}, "local": {"p": "n"}}, id="no changes"),
    pytest.param(
        {"user_name": "john"},
        {"user_name": "john"},
        {"user_name": "john"},
        {"local": {"user_name": "john"}},
        id="normalised",
    ),
    pytest.param(
        {"p2": "o"},
        {"p2": "n"},
        {"p2": "other", "p": "changed"},
        {"remote": {"p2": "other", "p": "changed"}, "local": {"p2": "n", "p": "changed"}},
        id="one change",
    ),
    pytest.param(
        {"p2": None}, {"p2": "n"}, {"p2": "r"}, {"remote": {"p2": "r"}, "local": {"p2": "n"}}, id="old value empty"
    ),
    pytest.param(
        {"p2": "o"}, {"p2": None}, {"p2": "r"}, {"remote": {"p2": "r"}, "local": {"p2": None}}, id="new value empty"
    ),
    pytest.param(
        _THREE,
        _LOCAL_THREE,
        _REMOTE_THREE,
        {"remote": _REMOTE_THREE, "local": {**_LOCAL_THREE, "p0": "r0"}},
        id="three fields",
    ),
    pytest.param({"p2": "o"}, {"p2": None}, {"p": "r"}, {"local": {"p": "r", "p2": None}}, id="remote lacks the field"),
    pytest.param(
        {"prop_value": "o"}, {"prop_value": "v"}, {"prop_value": "r"}, {"remote": {"prop_value": "r"}}, id="camel case"
    ),
    pytest.param(
        {"a": "o", "b": "o"},
        {"a": "l", "b": "l"},
        {"a": "r", "b": "o"},
        {"remote": {"a": "r", "b": "l"}},
        id="one in conflict, one not",
    ),
    pytest.param(
        {"a": "o", "b": "o"},
        {"a": "l", "b": "l"},
        {"a": "o", "b": "r"},
        {"remote": {"a": "l", "b": "r"}, "local": {"a": "l", "b": "l"}},
        id="the order in which the ancestor errs",
    ),
    pytest.param({"p": False}, {"p": True}, {"p": False}, {"remote": {"p": True}, "local": {"p": True}}, id="boolean"),
    pytest.param(
        {"p": False}, {"p": 1}, {"p": 0}, {"remote": {"p": 0}, "local": {"p": 1}}, id="boolean, compared strictly"
    ),
]


@pytest.mark.parametrize(("base", "local", "remote", "results"), ANCESTOR)
def test_the_ancestors_data_sets(
    base: Mapping[str, Any], local: Mapping[str, Any], remote: Mapping[str, Any], results: Mapping[Any, Any]
) -> None:
    for strategy, result in results.items():
        merged = merge(base, local, remote, Rules(default="merge", fallback=strategy))
        assert equal(merged.payload, result), strategy


@pytest.mark.parametrize(("strategy", "p3"), [("remote", "r3"), ("local", "l3")])
def test_the_ancestors_additional_fields(strategy: Any, p3: str) -> None:
    """Fields that follow the strategy though we have not changed them."""
    base, local, remote = {"p2": "o", "p3": "l3"}, {"p2": "n", "p3": "l3"}, {"p2": "r", "p3": "r3"}
    rules = Rules(default="merge", fields={"p3": strategy}, fallback=strategy)
    assert merge(base, local, remote, rules).payload["p3"] == p3


def _only(record: Mapping[str, Any], fields: Any) -> Mapping[str, Any]:
    return {field: value for field, value in record.items() if field in fields}
