"""Values are kept without loss, or refused in words that do not show them; what is kept stays kept the second time."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql

from contraflow_sql import remote_id
from contraflow_sql.values import ExactNumeric, UnfitError, fit

NAIVE = datetime(2024, 6, 1, 12, 30, 15, 123456)  # noqa: DTZ001 - what is tested
AWARE = NAIVE.replace(tzinfo=timezone(timedelta(hours=2)))
IDENTIFIER = UUID("12345678-1234-5678-1234-567812345678")


class Colour(enum.Enum):
    RED = "red"


def fitted(value: Any, kind: Any, backend: str = "postgresql") -> Any:
    return fit(value, sa.Column("c", kind), backend)


@pytest.mark.parametrize(
    ("value", "kind", "backend", "kept"),
    [
        (None, sa.Integer(), "sqlite", None),
        (Colour.RED, sa.String(3), "sqlite", "red"),
        ("red", sa.Enum("red", "blue"), "mysql", "red"),
        (True, sa.Integer(), "postgresql", 1),
        (1, sa.Boolean(), "postgresql", True),
        (Decimal("3.00"), sa.Integer(), "mysql", 3),
        ("12", sa.Integer(), "sqlite", 12),
        (2.675, sa.Numeric(10, 2), "mysql", Decimal("2.68")),
        (Decimal("1.5000"), sa.Numeric(4, 1), "mysql", Decimal("1.5")),
        (7, sa.Numeric(), "postgresql", Decimal(7)),
        (Decimal("0.5"), sa.Float(), "postgresql", 0.5),
        (AWARE, sa.DateTime(), "sqlite", datetime(2024, 6, 1, 10, 30, 15, 123456)),  # noqa: DTZ001
        (AWARE, sa.DateTime(timezone=True), "postgresql", AWARE),
        (NAIVE, sa.DateTime(timezone=True), "postgresql", NAIVE.replace(tzinfo=UTC)),
        (NAIVE, mysql.DATETIME(), "mysql", NAIVE.replace(microsecond=0)),
        (NAIVE, mysql.DATETIME(fsp=3), "mysql", NAIVE.replace(microsecond=123000)),
        (NAIVE, postgresql.TIMESTAMP(precision=1), "postgresql", NAIVE.replace(microsecond=100000)),
        ("2024-06-01T12:30:15.123456", sa.DateTime(), "sqlite", NAIVE),
        (date(2024, 6, 1), sa.DateTime(), "sqlite", datetime(2024, 6, 1)),  # noqa: DTZ001
        (datetime(2024, 6, 1), sa.Date(), "mysql", date(2024, 6, 1)),  # noqa: DTZ001
        ("12:30", sa.Time(), "sqlite", time(12, 30)),
        (AWARE, sa.String(), "sqlite", "2024-06-01T12:30:15.123456+02:00"),
        (IDENTIFIER, sa.String(36), "mysql", str(IDENTIFIER)),
        (IDENTIFIER, sa.CHAR(32), "mysql", IDENTIFIER.hex),
        (IDENTIFIER, mysql.BINARY(16), "mysql", IDENTIFIER.bytes),
        (str(IDENTIFIER), sa.Uuid(), "postgresql", IDENTIFIER),
        (Decimal("1E+3"), sa.Text(), "sqlite", "1000"),
        (False, sa.Text(), "sqlite", "false"),
        (["ä", {"b": None}], mysql.LONGTEXT(), "mysql", '["ä", {"b": null}]'),
        (["ä", NAIVE.date(), Colour.RED, IDENTIFIER], sa.JSON(), "sqlite", ["ä", "2024-06-01", "red", str(IDENTIFIER)]),
        (IDENTIFIER, sa.types.NullType(), "sqlite", str(IDENTIFIER)),
        (5, postgresql.DOMAIN("d", sa.Text()), "postgresql", "5"),
    ],
)
def test_kept(value, kind, backend, kept):
    result = fitted(value, kind, backend)
    assert (result, type(result)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ("green", sa.Enum("red", "blue"), "text that is not one of the column's values: red, blue"),
        (2, sa.Boolean(), "a value of type int where the column keeps true or false"),
        (1.5, sa.Integer(), "a number with a fraction; the column keeps whole numbers"),
        ("twelve", sa.Integer(), "text where the column keeps a whole number"),
        (float("nan"), sa.Float(), "not a number or infinity; expected a number"),
        (Decimal("Infinity"), sa.Numeric(), "not a number or infinity; expected a number"),
        (10**400, sa.Float(), "a number too large for the column"),
        (Decimal("1.005"), sa.Numeric(10, 2), "a number with more than the 2 decimals that the column keeps"),
        (1000, sa.Numeric(5, 2), "a number too large for the column's 5 digits, 2 of them decimals"),
        (NAIVE, sa.Date(), "a date with a time of day; the column keeps the date only"),
        ("soon", sa.DateTime(), "text where the column keeps a date and time"),
        (5, sa.DateTime(), "a value of type int where the column keeps a date and time"),
        (time(1, tzinfo=UTC), sa.Time(), "a time of day with a time zone; the column keeps none"),
        (b"x", sa.Text(), "a value of type bytes where the column keeps text"),
        ("x", sa.LargeBinary(), "text where the column keeps bytes"),
        ("x", sa.Uuid(), "text where the column keeps a UUID"),
        ([float("nan")], sa.JSON(), "a structure with a number that is not finite; JSON has none"),
        ([b"x"], sa.JSON(), "a structure with a value of type bytes, which JSON has not"),
        ("four", sa.String(3), "text of 4 characters; the column keeps 3"),
    ],
)
def test_refused(value, kind, reason):
    with pytest.raises(UnfitError) as raised:
        fitted(value, kind)
    assert str(raised.value) == reason


def test_sqlite_is_not_given_a_number_that_it_would_shorten():
    assert fitted(Decimal("0.1"), ExactNumeric(), "sqlite") == Decimal("0.1")
    assert fitted(2**62 + 1, ExactNumeric(), "sqlite") == 2**62 + 1
    with pytest.raises(UnfitError, match="more digits than SQLite can keep"):
        fitted(Decimal("0.12345678901234567891"), ExactNumeric(), "sqlite")


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.times(),
    st.uuids(),
)
KINDS = st.sampled_from(
    [
        sa.Integer(),
        sa.Numeric(10, 2),
        sa.Float(),
        sa.Boolean(),
        sa.String(20),
        sa.Text(),
        sa.Date(),
        sa.DateTime(),
        sa.DateTime(timezone=True),
        sa.Time(),
        sa.Uuid(),
        sa.LargeBinary(),
        sa.Enum("a", "b"),
        mysql.DATETIME(),
    ]
)


@settings(max_examples=300, deadline=None)
@given(VALUES, KINDS, st.sampled_from(["sqlite", "postgresql", "mysql"]))
def test_a_value_fits_for_good_or_not_at_all(value, kind, backend):
    try:
        once = fitted(value, kind, backend)
    except UnfitError:
        return
    assert fitted(once, kind, backend) == once


@settings(max_examples=100, deadline=None)
@given(st.tuples(st.integers(), st.text(st.characters(codec="utf-8")), st.uuids(), st.binary(), st.datetimes()))
def test_a_remote_id_leads_back_to_the_key(key):
    columns = [
        sa.Column(str(number), kind)
        for number, kind in enumerate((sa.Integer(), sa.Text(), sa.Uuid(), sa.LargeBinary(), sa.DateTime()))
    ]
    assert remote_id.decode(remote_id.encode(key), columns, "postgresql") == key
    for value, column in zip(key, columns, strict=True):
        assert remote_id.decode(remote_id.encode([value]), [column], "postgresql") == (value,)


@pytest.mark.parametrize("text", ["7", '["7"]', '{"a": "b"}', "[1, 2]"])
def test_a_remote_id_of_another_key_is_refused(text):
    columns = [sa.Column("a", sa.Integer()), sa.Column("b", sa.Integer())]
    with pytest.raises(UnfitError, match="no key of"):
        remote_id.decode(text, columns, "sqlite")
