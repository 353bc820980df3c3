"""What a run holds in memory is bounded by the chunk, however much it reads."""

from __future__ import annotations

from typing import Any

import pytest

from contraflow.engine.comparison import Comparison
from contraflow.ledger import Ledger
from contraflow_hookspecs import Item, hookimpl

ITEMS, BATCH = 300, 10


class Numbers:
    """A reader of items whose content has a generation."""

    content = 1

    @hookimpl
    def read_items(self, context):
        return iter([Item(key=(n,), entity={"v": self.content}) for n in range(ITEMS)])


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("remember", ["fingerprint", "payload"])
def test_that_states_of_earlier_pages_are_forgotten(shop, monkeypatch, concurrency, remember) -> None:
    """In a first run, in one that finds nothing changed, and in one that sends all of it once more."""
    held: list[int] = []

    def measured(original: Any) -> Any:
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            held.extend(len(each._states) for each in comparisons)
            return original(self, *arguments, **named)

        return call

    comparisons: list[Comparison] = []
    made = Comparison.__attrs_post_init__
    monkeypatch.setattr(Comparison, "__attrs_post_init__", lambda self: (made(self), comparisons.append(self))[0])
    monkeypatch.setattr(Ledger, "confirmed", measured(Ledger.confirmed))
    monkeypatch.setattr(Ledger, "settle_all", measured(Ledger.settle_all))
    numbers = shop.plugins["numbers"] = Numbers()
    shop.reader = "numbers"
    shop.remote.process = lambda item, context: dict(item.entity)
    shop.parameters = {"batch_size": BATCH, "concurrency": concurrency, "remember": remember}
    for content in (1, 1, 2):
        numbers.content = content
        comparisons.clear()
        held.clear()
        assert shop.sync().counts["read"] == ITEMS
        assert held
        assert max(held) <= (1 + concurrency) * BATCH
