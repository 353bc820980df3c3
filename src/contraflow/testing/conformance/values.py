"""Values: whatever is sent is held exactly, or refused by name; nothing is cut, rounded or replaced in silence."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import attrs
import pytest

from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import expect
from contraflow_hookspecs import ItemError, Rejected, Skip

_UNICODE = "Žluťoučký kůň · 山田太郎 · Ελένη · שלום · 🦊👩‍👩‍👧 · e\u0301"
_LONG = "All work and no play. "


class ValueChecks(ConformanceBase):
    """Values of every sort that the sample entity has a field for."""

    def test_unicode(self, bench: Bench) -> None:
        """Text of every script, emoji and combining characters."""
        self._round_trip(bench, "text", _UNICODE)

    def test_characters_that_mean_something(self, bench: Bench) -> None:
        """Quotes, backslashes, angle brackets, percent signs, line ends: text is data, in every notation."""
        self._round_trip(bench, "text", 'O\'Hara "x" <b>&amp;</b> %41 {key} $HOME \\ a\tb\nc; DROP TABLE x--')

    def test_null(self, bench: Bench) -> None:
        """A value that is not there."""
        self._round_trip(bench, "nullable", None)

    def test_a_value_is_taken_away(self, bench: Bench) -> None:
        """A value that was there and is not any more is not there at the remote, either."""
        if not bench.capabilities.upsert:
            pytest.skip("capabilities declare upsert=False")
        field = self._field("nullable")
        (item,) = bench.items(1)
        bench.written([bench.change(item)])
        self._hold_or_refuse(bench, attrs.evolve(item, entity={**item.data, field: None}))

    def test_long_text(self, bench: Bench) -> None:
        """Text of many characters; the class's ``longest`` says how many."""
        self._round_trip(bench, "text", (_LONG * (self.longest // len(_LONG) + 1))[: self.longest].strip())

    def test_big_integers(self, bench: Bench) -> None:
        """Integers that a float cannot hold, and that 32 bits cannot."""
        self._round_trip(bench, "integer", 2**53 + 1, -(2**31) - 1)

    def test_decimals(self, bench: Bench) -> None:
        """Decimals that no float is equal to."""
        self._round_trip(bench, "decimal", Decimal("1234567890123.45"), Decimal("-0.07"))

    def test_aware_moments(self, bench: Bench) -> None:
        """A moment in a zone of its own is the same instant at the remote."""
        zone = dt.timezone(dt.timedelta(hours=5, minutes=45))
        self._round_trip(bench, "moment", dt.datetime(2024, 2, 29, 23, 59, 58, tzinfo=zone))

    def _field(self, sort: str) -> str:
        field = self.field(sort)
        if field is None:
            pytest.skip(f"the sample entity has no field for this: name one in the class's 'fields', as '{sort}'")
        return field

    def _round_trip(self, bench: Bench, sort: str, *values: Any) -> None:
        field = self._field(sort)
        for value, item in zip(values, bench.items(len(values)), strict=True):
            self._hold_or_refuse(bench, attrs.evolve(item, entity={**item.data, field: value}))

    def _hold_or_refuse(self, bench: Bench, item: Any) -> None:
        try:
            payload = bench.process(item)
        except ItemError as error:
            expect(str(error).strip(), "process_item refuses a value without a reason")
            return
        if isinstance(payload, Skip):
            return
        change = bench.change(item)
        outcome = bench.write([change])
        result = outcome.results[item.key]
        if isinstance(result, Rejected):
            expect(result.reason.strip(), "a value is refused without a reason")
            return
        bench.expect_words([change], outcome, "written")
        bench.expect_held(change)
