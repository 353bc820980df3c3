"""Ids as people and programs write them, against the shape of the key."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from contraflow.errors import ConfigError, Location
from contraflow.source import KeyShape


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def shape(**columns):
    return KeyShape(of="thing", names=tuple(columns), types=tuple(columns.values()))


ENTRY = shape(playlist_id=int, track_id=int)


@pytest.mark.parametrize(
    "raw", [5, "5", [5], ["5"], (5,), [(5,)], [[5]], {"id": 5}, [{"id": "5"}], "+5", "005", {5}, [5, "5"]]
)
def test_one_integer_in_every_form(raw):
    assert shape(id=int).parse(raw) == ((5,),)


@pytest.mark.parametrize("raw", [[], (), set(), frozenset()])
def test_no_ids_are_no_keys(raw):
    assert shape(id=int).parse(raw) == ()


@pytest.mark.parametrize(
    "raw",
    [
        "playlist_id=1,track_id=3402",
        "track_id=3402, playlist_id=1",
        '{"playlist_id": 1, "track_id": 3402}',
        "[1, 3402]",
        ["playlist_id=1,track_id=3402"],
        ('["1", "3402"]',),
        {"track_id": 3402, "playlist_id": 1},
        [{"track_id": "3402", "playlist_id": "1"}],
        [(1, 3402)],
        [[1, 3402], {"playlist_id": 1, "track_id": 3402}],
    ],
)
def test_one_composite_id_in_every_form(raw):
    assert ENTRY.parse(raw) == ((1, 3402),)


def test_ids_from_a_generator():
    assert shape(id=int).parse(str(n) for n in (2, 1)) == ((2,), (1,))


def test_several_ids_keep_their_order_and_come_once():
    assert shape(id=int).parse([3, "1", 3, 2, 1]) == ((3,), (1,), (2,))
    assert ENTRY.parse([(2, 1), "playlist_id=1,track_id=2", (2, 1)]) == ((2, 1), (1, 2))


def test_equal_values_of_different_types_are_different_keys():
    assert shape(id=None).parse([1, True, "1", 1]) == ((1,), (True,), ("1",))


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (int, "0", 0),
        (str, "", ""),
        (str, "a,b=c", "a,b=c"),
        (str, "[1]", "[1]"),
        (str, "5", "5"),
        (bool, "false", False),
        (bool, 0, False),
        (uuid.UUID, "00000000-0000-0000-0000-000000000007", uuid.UUID(int=7)),
        (date, "2026-01-31", date(2026, 1, 31)),
        (datetime, "2026-01-31T12:00:00", datetime.fromisoformat("2026-01-31T12:00:00")),
        (datetime, "2026-01-31 12:00:00+02:00", datetime.fromisoformat("2026-01-31T12:00:00+02:00")),
        (Decimal, "1.10", Decimal("1.10")),
        (Decimal, 1.1, Decimal("1.1")),
        (float, "1.5", 1.5),
        (bytes, "00ff", b"\x00\xff"),
        (bytes, b"\x00", b"\x00"),
        (Colour, "RED", Colour.RED),
        (None, "as it is", "as it is"),
    ],
)
def test_each_type(kind, raw, value):
    [(found,)] = shape(id=kind).parse(raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        *((int, bad) for bad in ("5x", "", " 5", "5.0", 5.0, True, "\uff15", "1_0", 2**64, "9" * 5000, None, {})),
        *((int, bad) for bad in ([[]], [["1", "2"]])),
        *((str, bad) for bad in (5, None, b"a", "\ud800", True)),
        *((bool, bad) for bad in ("yes", 2, None)),
        *((uuid.UUID, bad) for bad in ("5", 5, "zz")),
        *((date, bad) for bad in ("31.1.2026", "2026-02-30", datetime.fromisoformat("2026-01-31"), 5)),
        *((datetime, bad) for bad in ("yesterday", 5)),
        *((Decimal, bad) for bad in ("NaN", "Infinity", "1,5", True, float("nan"), None)),
        *((bytes, bad) for bad in ("xyz", 5)),
        *((Colour, bad) for bad in ("GREEN", 1)),
    ],
)
def test_what_is_none_of_the_type_is_refused_with_what_was_expected(kind, raw):
    with pytest.raises(ConfigError, match="is no key of thing") as raised:
        shape(id=kind).parse(raw if isinstance(raw, list) else [raw])
    [problem] = raised.value.problems
    assert problem.expected


@pytest.mark.parametrize(
    ("raw", "expected", "hint"),
    [
        ("5", "2 values (playlist_id, track_id), not 1", "write playlist_id=…,track_id=…"),
        ([5], "2 values (playlist_id, track_id), not 1", "write"),
        ([(1, 2, 3)], "2 values (playlist_id, track_id), not 3", "write"),
        ("playlist_id=1", "also column track_id", None),
        ("playlist_id=1,trak_id=2", "not 'trak_id'", "did you mean 'track_id'?"),
        ("plalist_id=1,track_id=2", "not 'plalist_id'", "did you mean 'playlist_id'?"),
        ("playlist_id=1,playlist_id=2,track_id=3", "'playlist_id' once", None),
        ({"playlist_id": 1, "track": 2}, "not 'track'", "did you mean 'track_id'?"),
        ({"playlist_id": 1}, "also column track_id", None),
        ("playlist_id=1,track_id=x", "integer of at most 64 bits for column 'track_id'", None),
        ('{"playlist_id": 1', "JSON", None),
        ('{"playlist_id": 1, "playlist_id": 2}', "given twice", None),
        ("[" * 100_000, "JSON", None),
        ({"playlist_id": 1, "track_id": None}, "no empty part for column 'track_id'", None),
    ],
)
def test_composite_ids_of_another_shape_are_refused(raw, expected, hint):
    with pytest.raises(ConfigError) as raised:
        ENTRY.parse(raw, Location(file="jobs.yml", line=2))
    [problem] = raised.value.problems
    assert expected in problem.expected
    assert (problem.hint or "").startswith(hint or "")
    assert problem.location.file == "jobs.yml"
    assert len(problem.message) < 200


def test_the_message():
    with pytest.raises(ConfigError) as raised:
        shape(id=int).parse("5x")
    assert str(raised.value).splitlines() == [
        "id '5x' is no key of thing (id)",
        "    expected: integer of at most 64 bits",
    ]


def test_up_to_ten_bad_ids_are_named():
    with pytest.raises(ConfigError) as raised:
        shape(id=int).parse(["x1", 5, "x2", *["y"] * 1000])
    assert len(raised.value.problems) == 10
    assert "x2" in raised.value.problems[1].message


def test_text_with_commas_and_equal_signs_within_a_composite_id():
    two = shape(code=str, region=str)
    assert two.parse("code=a,b=c,region=x,y") == (("a,b=c", "x,y"),)
    assert two.parse("region=,code=") == (("", ""),)


def test_a_column_whose_name_begins_with_another_ones():
    assert shape(id=int, id2=int).parse("id2=2,id=1") == ((1, 2),)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**64 - 1), st.text(st.characters(exclude_categories=["Cs"])))))
def test_every_form_of_the_same_ids_gives_the_same_keys(ids):
    two = shape(n=int, text=str)
    expected = tuple(dict.fromkeys(ids))
    assert two.parse(ids) == expected
    assert two.parse([list(key) for key in ids]) == expected
    assert two.parse([{"text": text, "n": n} for n, text in ids]) == expected
    assert two.parse([json.dumps({"n": n, "text": text}) for n, text in ids]) == expected
    assert two.parse(expected) == expected


def test_types_of_columns():
    columns = [
        sa.Column("a", sa.Integer),
        sa.Column("b", sa.Uuid),
        sa.Column("c", sa.Uuid(as_uuid=False)),
        sa.Column("d", sa.Enum(Colour)),
        sa.Column("e", sa.Enum("x", "y")),
        sa.Column("f", sa.types.NullType()),
        sa.Column("g", sa.Numeric(asdecimal=False)),
    ]
    assert KeyShape.of_columns("t", columns).types == (int, uuid.UUID, str, Colour, str, None, float)
