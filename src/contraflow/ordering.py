"""The order in which things run of which some need others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


class CircleError(Exception):
    """Some need each other.

    Args:
        path: Each needs the one behind it; the last is the first.
    """

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" → ".join(path))
        self.path = path


def in_order(
    names: Sequence[str], needs: Mapping[str, Collection[str]], wishes: Mapping[str, Collection[str]]
) -> list[str]:
    """Each behind those that it needs; where that leaves a choice, as they were given.

    Args:
        names: What is to be ordered.
        needs: What must come before each; what is not among the names does not count.
        wishes: What should come before each, if that is possible.

    Raises:
        CircleError: Some need each other.
    """
    left = list(names)
    ordered: list[str] = []
    while left:
        waiting = set(left)
        free = [name for name in left if waiting.isdisjoint(needs.get(name, ()))]
        if not free:
            raise CircleError(_circle(left, needs))
        chosen = next((name for name in free if waiting.isdisjoint(wishes.get(name, ()))), free[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def _circle(names: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[str]:
    try:
        TopologicalSorter({name: [each for each in needs.get(name, ()) if each in names] for name in names}).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return list(names)
