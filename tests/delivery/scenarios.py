"""Short stories of one crash, and how a bench plays them. The engine must survive each; each mutant must fail in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from checker import Report
from harness import Bench, Setting


@attrs.frozen(kw_only=True)
class Scenario:
    """A first run, a change at the source, a life that dies or meets a fault, perhaps another change, and then peace."""

    delivery_class: str
    point: str = ""
    """Where the second life dies; empty if it only meets the faults."""
    frozen: bool = False
    """The second life does not die there: it is frozen, and wakes up after another has taken over and ended."""
    rules: Sequence[Mapping[str, Any]] = ()
    """The remote's faults during the second life."""
    form: str = "single"
    style: str = "rising"
    changes_after: int = 0
    """How often the source changes between the second life and peace."""
    undisturbed: int | None = None
    """So many runs of peace; ``None`` for as many as it takes."""
    again: str = ""
    """Where the third life dies, which finds what the second left."""
    records: int = 3
    lifetime: float = 0.6
    """How long the remote may take to carry out a request."""

    @property
    def workers(self) -> int:
        """How many the bench must have."""
        return 2 if self.frozen else 1

    @property
    def setting(self) -> Setting:
        """The bench that it needs. All records change, so that the changes are known."""
        return Setting(
            delivery_class=self.delivery_class,
            form=self.form,
            style=self.style,
            records=self.records,
            updates=self.records,
            inserts=0,
            timeout=0.5,
            lifetime=self.lifetime,
            parameters={},
        )


class PointNotReachedError(AssertionError):
    """The life came to its end without passing the crash point."""


def play(scenario: Scenario, bench: Bench, *, mutant: str = "") -> Report:
    """Play a scenario on a bench of its setting, and check.

    Raises:
        PointNotReachedError: The engine never came to the point.
    """
    first = bench.live(mutant=mutant)
    # A mutant that cannot even run proves nothing by failing.
    assert first.result is not None
    assert first.result["status"] == "COMPLETED", first
    bench.change()
    bench.remote.script({"rules": list(scenario.rules)})
    for point in filter(None, (scenario.point, scenario.again) if not scenario.frozen else ()):
        life = bench.live(point=point, mutant=mutant)
        if life.signal is None:
            raise PointNotReachedError(f"{point}: {life}")
    if not scenario.point:
        bench.live(mutant=mutant)
    if scenario.frozen:
        with bench.frozen(scenario.point, mutant=mutant):
            bench.change()
            bench.live(wait=True)
    # What is on its way stays on its way; only new requests meet a sound remote.
    bench.remote.script({})
    for _ in range(scenario.changes_after):
        bench.change()
        bench.live(mutant=mutant)
    if scenario.undisturbed is None:
        bench.finish(mutant=mutant)
    else:
        for _ in range(scenario.undisturbed):
            bench.live(mutant=mutant)
    return bench.check()
