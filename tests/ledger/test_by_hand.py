from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import UNKNOWN_CONTENT, ItemState, Ledger, NewDeadLetter, Settlement, StepRecord, Verdict

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMES = {"integration": "acme", "job": "customers_export"}
STEP = {**NAMES, "step": "customers"}
Begin = Callable[..., tuple[int, StepRecord]]
DOUBT = ItemState("[1]", "in_doubt", 4, "fp1:old", "fp1:tried", "r1", '"v1"')


@pytest.fixture
def stream_id(ledger: Ledger, begin: Begin) -> int:
    execution_id, step = begin(ledger)
    ids = {"step_execution_id": step.id, "stream_id": step.stream_id, "execution_id": execution_id}
    states = [DOUBT, ItemState("[2]", "written", 1, "fp1:x"), ItemState("[3]", "in_doubt")]
    letters = [NewDeadLetter(f"[{number}]", "invalid", "no") for number in (7, 8, 9)]
    ledger.settle(Settlement(**ids, states=states, dead_letters=letters))
    return step.stream_id


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("written", ItemState("[1]", "written", 4, "fp1:tried", None, "r1", None)),
        ("deleted", ItemState("[1]", "deleted", 4)),
        ("resend", ItemState("[1]", "deferred", 4, UNKNOWN_CONTENT, "fp1:tried", "r1", '"v1"')),
    ],
)
def test_an_item_in_doubt_is_settled_by_hand(
    ledger: Ledger, stream_id: int, verdict: Verdict, expected: ItemState
) -> None:
    before = ledger.item_states(stream_id, ["[2]", "[3]"])
    assert ledger.settle_by_hand(**STEP, key=(1,), verdict=verdict) == expected
    assert ledger.item_states(stream_id, ["[1]", "[2]", "[3]"]) == {"[1]": expected, **before}
    with pytest.raises(LedgerError, match=f"is not in doubt: it is {expected.status}"):
        ledger.settle_by_hand(**STEP, key=(1,), verdict=verdict)


@pytest.mark.parametrize(
    ("names", "key", "message"),
    [
        (STEP, (2,), "item 2 of step 'customers' of job 'customers_export' into 'acme' is not in doubt: it is written"),
        (STEP, ("2",), "knows no item 2 of step 'customers'"),
        ({**STEP, "step": "tracks"}, (1,), "knows no item 1 of step 'tracks'"),
        (STEP, (3,), "does not know what was last sent .*: let it be sent again"),
    ],
)
def test_what_cannot_be_settled_by_hand_is_named(
    ledger: Ledger, stream_id: int, names: dict[str, str], key: tuple[object, ...], message: str
) -> None:
    before = ledger.item_states(stream_id, ["[1]", "[2]", "[3]"])
    with pytest.raises(LedgerError, match=message):
        ledger.settle_by_hand(**names, key=key, verdict="written")
    assert ledger.item_states(stream_id, ["[1]", "[2]", "[3]"]) == before


def test_dead_letters_are_found_and_dropped_by_their_id(ledger: Ledger, stream_id: int) -> None:
    one, two, three = ledger.dead_letters()
    assert ledger.dead_letter(two.id) == two
    assert ledger.dead_letter(999) is None
    assert ledger.drop_dead_letters([]) == 0
    assert ledger.drop_dead_letters([one.id, three.id, three.id, 999]) == 2
    assert ledger.dead_letters() == [two]


def test_a_dead_letter_that_is_tried_again_forgets_what_was_refused(ledger: Ledger, begin: Begin) -> None:
    execution_id, step = begin(ledger)
    refused = ItemState("[7]", "rejected", 3, "fp1:old", "fp1:refused", "r7")
    settled = ItemState("[8]", "in_doubt", 1, None, "fp1:x")
    ledger.settle(
        Settlement(
            step_execution_id=step.id,
            stream_id=step.stream_id,
            execution_id=execution_id,
            states=[refused, settled],
            dead_letters=[NewDeadLetter(key, "invalid", "no") for key in ("[7]", "[8]", "[9]")],
        )
    )
    numbers = [letter.id for letter in ledger.dead_letters()]
    assert ledger.retry_dead_letters([*numbers, numbers[0], 999]) == 1
    states = ledger.item_states(step.stream_id, ["[7]", "[8]", "[9]"])
    assert states == {"[7]": refused._replace(pending=None), "[8]": settled}
    assert [letter.id for letter in ledger.dead_letters()] == numbers, "they stay until the items go through"
