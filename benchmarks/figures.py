"""What was measured, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class Figure:
    """One measured number, and its target if it has one."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        """The target in words; empty if there is none."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""

    @property
    def missed(self) -> bool:
        """Whether there is a target, and the figure is on the wrong side of it."""
        too_low = self.at_least is not None and self.value < self.at_least
        return too_low or (self.at_most is not None and self.value > self.at_most)


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a table that a terminal shows well, and a README, too."""
    rows = [("figure", "value", "unit", "target", "", "note"), *(_cells(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def _cells(figure: Figure) -> tuple[str, ...]:
    value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.2f}"
    verdict = "" if not figure.target else "MISSED" if figure.missed else "met"
    return figure.name, value, figure.unit, figure.target, verdict, figure.note
