"""What goes wrong at the fault remote, and when.

A script is a mapping::

    {"seed": 7, "pace": 0.001, "rules": [
        {"fault": "reset_after", "requests": [3, 4]},
        {"fault": "status", "status": 503, "retry_after": "date:+2", "probability": 0.2, "until": 100},
        {"fault": "delay_before", "seconds": [0.1, 0.3], "record": "7", "times": 1},
    ]}

``pace`` is how many seconds the remote takes to apply one item. The first rule that fits a request decides its fate. A rule
fits if all of its conditions do:

=============== ==============================================================================================
``requests``    the request's number is one of these (writes are counted from 1; so are reads, for themselves)
``from until``  the number is at least, at most
``every``       the number is a multiple
``probability`` by chance: decided by ``seed`` and the number alone, so that a run can be repeated
``record``      a record with this key, or one of these, is in the request
``method path`` the request's method; how its path begins
``reads``       ``true``: the rule is for look-ups instead of writes
``times``       it has not fired so often yet
``for``         not more than so many seconds have passed since it first fired
=============== ==============================================================================================

================ =============================================================================================
``fault``        with what, and what the remote then does
================ =============================================================================================
``refuse``       ``seconds``; resets the connection, applies nothing, and closes its listening socket for a while
``reset_before`` resets the connection without applying anything
``reset_after``  applies, then resets; with ``items``: applies so many items of a batch, then resets
``delay_before`` ``seconds``; waits, then applies, whether the client is still there or not; ``reset``: true resets at
                 once and applies later nevertheless
``delay_after``  ``seconds``; applies, waits, answers
``truncated``    applies, and answers the first half of the body under the length of the whole
``not_json``     applies, and answers 200 with a page of HTML
``status``       ``status``; answers it; ``apply``: true applies before; ``retry_after``: seconds, ``date:+SECONDS``, or
                 any text; ``clock``: seconds by which the remote's own clock, in ``Date`` and date, is wrong
``mixed``        ``reject``: keys; applies the other items, refuses these with 422
``too_large``    ``above``: 413 for a batch of more items
``referred``     applies what is not to be deleted, or to which no other record refers by a value; the rest is refused
                 with 409
``missing``      applies all, leaves out the last result of a batch
``doubled``      applies all, gives the first result of a batch twice, in the place of the second if there is one
``foreign``      applies all, gives the last result under a key that nobody asked for
``reordered``    applies all, gives the results in reverse order
``wrong_id``     applies all, tells ids that are not the records'
================ =============================================================================================
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

FAULTS = frozenset(
    [
        "refuse",
        "reset_before",
        "reset_after",
        "delay_before",
        "delay_after",
        "truncated",
        "not_json",
        "status",
        "mixed",
        "too_large",
        "referred",
        "missing",
        "doubled",
        "foreign",
        "reordered",
        "wrong_id",
    ]
)
_CONDITIONS = frozenset(
    ["requests", "from", "until", "every", "probability", "record", "method", "path", "reads", "times", "for"]
)
_DETAILS = frozenset(
    ["fault", "seconds", "items", "reset", "status", "apply", "retry_after", "clock", "reject", "above"]
)

Rule = Mapping[str, Any]


class Script:
    """Chooses the fate of each request. Safe between threads.

    Raises:
        ValueError: A rule names a fault or a condition that there is not.
    """

    def __init__(self, script: Mapping[str, Any]) -> None:
        self.seed = script.get("seed", 0)
        self.pace = float(script.get("pace", 0.0))
        self.rules: Sequence[Rule] = list(script.get("rules", []))
        for rule in self.rules:
            unknown = set(rule) - _CONDITIONS - _DETAILS
            if unknown or rule.get("fault") not in FAULTS:
                raise ValueError(f"no such rule: {rule}")
        self._fired = [0] * len(self.rules)
        self._first = [0.0] * len(self.rules)
        self._lock = threading.Lock()

    def fate(self, number: int, method: str, path: str, records: Sequence[str], *, read: bool) -> Rule:
        """The rule for this request; empty if all goes well."""
        with self._lock:
            for index, rule in enumerate(self.rules):
                if bool(rule.get("reads")) is read and self._fits(index, rule, number, method, path, records):
                    self._first[index] = self._first[index] or time.monotonic()
                    self._fired[index] += 1
                    return rule
        return {}

    def _fits(self, index: int, rule: Rule, number: int, method: str, path: str, records: Sequence[str]) -> bool:
        wanted = rule.get("record", ())
        wanted = [wanted] if isinstance(wanted, str) else wanted
        first = self._first[index]
        return (
            ("requests" not in rule or number in rule["requests"])
            and rule.get("from", number) <= number <= rule.get("until", number)
            and number % rule.get("every", 1) == 0
            and (not wanted or any(record in wanted for record in records))
            and rule.get("method", method) == method
            and path.startswith(rule.get("path", ""))
            and self._fired[index] < rule.get("times", self._fired[index] + 1)
            and ("for" not in rule or not first or time.monotonic() - first <= rule["for"])
            and self._chance(index, number) < rule.get("probability", 1.0)
        )

    def _chance(self, index: int, number: int) -> float:
        return random.Random(f"{self.seed}/{index}/{number}").random()  # noqa: S311 - repeatable on purpose

    def seconds(self, rule: Rule, number: int) -> float:
        """The rule's ``seconds``: a number, or one between two."""
        given = rule.get("seconds", 0.0)
        if isinstance(given, int | float):
            return float(given)
        low, high = given
        return float(low + (high - low) * random.Random(f"{self.seed}/{number}").random())  # noqa: S311 - as above
