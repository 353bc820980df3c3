from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import Connection, Engine, event

from contraflow.errors import LedgerError
from contraflow.ledger import (
    BootMoment,
    IntentItem,
    ItemState,
    Lease,
    Ledger,
    NewDeadLetter,
    Settlement,
    StepRecord,
    boot_moment,
    open_ledger,
)

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
JOB = ("acme", "customers_export")
Begin = Callable[..., tuple[int, StepRecord]]
Take = Callable[..., Lease]


def item(number: int, generation: int = 1) -> IntentItem:
    return IntentItem(
        f"[{number}]", "upsert", generation, f"fp1:{number}", f"cf1-{number}", f'{{"n":{number}}}', f"r{number}", None
    )


class Run:
    """A run that holds the lease and has begun its step."""

    def __init__(self, ledger: Ledger, begin: Begin, take: Take, owner: str = "one") -> None:
        self.ledger = ledger
        self.lease = take(ledger, owner, seen=ledger.lease_state(*JOB))
        self.execution_id, self.step = begin(ledger)

    def intend(self, *items: IntentItem) -> int:
        return self.ledger.intend(
            self.lease, stream_id=self.step.stream_id, execution_id=self.execution_id, items=items
        )

    def settlement(self, intent_id: int | None, *numbers: int, **changes: Any) -> Settlement:
        return Settlement(
            step_execution_id=self.step.id,
            stream_id=self.step.stream_id,
            execution_id=self.execution_id,
            intent_id=intent_id,
            states=[ItemState(f"[{number}]", "written", 1, f"fp1:{number}") for number in numbers],
            **changes,
        )

    def settle(self, settlement: Settlement) -> bool:
        return self.ledger.settle(settlement, lease=self.lease)

    @property
    def known(self) -> set[str]:
        return set(self.ledger.item_states(self.step.stream_id, [f"[{number}]" for number in range(10)]))


@pytest.fixture
def run(ledger: Ledger, begin: Begin, take: Take) -> Run:
    return Run(ledger, begin, take)


def test_an_intent_comes_back_as_it_was_recorded(url: str, begin: Begin, take: Take) -> None:
    odd = IntentItem('["Zoë ♥",1]', "delete", 7, "deleted", "cf1-x", '{"text":"a\\u0000b ♥ \\ud800"}')
    lonely = odd._replace(key="[2]", payload='{"text":"\ud800\0"}', remote_id="x" * 10_000, remote_version='"v"')
    with open_ledger(url, clock=lambda: MOMENT, boot_clock=lambda: BootMoment("b1", 12.5)) as ledger:
        run = Run(ledger, begin, take)
        first = run.intend(odd, item(3))
        second = run.intend(lonely)
        stream_id = run.step.stream_id
    with open_ledger(url) as ledger:
        one, two = ledger.intents(stream_id)
        assert ledger.intents(stream_id + 1) == []
    assert (one.id, two.id) == (first, second)
    assert one.items == (odd, item(3))
    assert two.items == (lonely,)
    assert (one.execution_id, one.epoch, one.attempt, one.recoveries) == (run.execution_id, 1, 1, 0)
    assert (one.boot_id, one.boot_time, one.recorded) == ("b1", 12.5, MOMENT)


def test_the_boot_clock_only_goes_forward_and_names_its_boot() -> None:
    first, second = boot_moment(), boot_moment()
    assert first.boot_id == second.boot_id
    if first.seconds is None or second.seconds is None:
        assert first.boot_id is None
    else:
        assert 0 < first.seconds <= second.seconds


def test_a_settled_intent_is_gone_and_settling_it_again_changes_nothing(run: Run) -> None:
    intent_id = run.intend(item(1), item(2))
    settlement = run.settlement(
        intent_id, 1, dead_letters=[NewDeadLetter("[2]", "invalid", "no")], checkpoint=(2,), counts={"read": 2}
    )
    assert run.settle(settlement)
    assert run.ledger.intents(run.step.stream_id) == []
    assert not run.settle(settlement)
    assert not run.settle(attrs.evolve(settlement, states=[ItemState("[1]", "rejected")], checkpoint=(9,)))
    assert run.ledger.dead_letters()[0].attempts == 1
    assert run.ledger.checkpoint(integration="acme", job="customers_export", step="customers") == (2,)
    assert run.ledger.item_states(run.step.stream_id, ["[1]"])["[1]"].status == "written"


def test_an_intent_is_settled_in_parts(run: Run) -> None:
    other = run.intend(item(7))
    intent_id = run.intend(item(1), item(2), item(3))
    letters = [NewDeadLetter("[2]", "invalid", "no")]
    part = run.settlement(intent_id, 1, dead_letters=letters, unsettled=[item(3)], counts={"read": 2})
    assert run.settle(part)
    assert not run.settle(part)
    assert run.known == {"[1]"}
    assert run.ledger.dead_letters()[0].attempts == 1
    assert {intent.id: intent.items for intent in run.ledger.intents(run.step.stream_id)} == {
        other: (item(7),),
        intent_id: (item(3),),
    }
    assert run.settle(run.settlement(intent_id, 3, checkpoint=(3,)))
    assert not run.settle(part)
    assert [intent.id for intent in run.ledger.intents(run.step.stream_id)] == [other]
    assert run.known == {"[1]", "[3]"}


def test_only_an_intent_is_settled_in_part(run: Run) -> None:
    with pytest.raises(ValueError, match="only an intent"):
        run.settlement(None, unsettled=[item(1)])


def test_a_number_is_never_used_again(run: Run) -> None:
    """Otherwise the settlement of an older intent could be taken for that of a younger one."""
    first = run.intend(item(1))
    run.settle(run.settlement(first, 1))
    assert run.intend(item(2)) > first


def test_a_settlement_that_fails_keeps_the_intent(run: Run) -> None:
    intent_id = run.intend(item(1))
    bad = attrs.evolve(run.settlement(intent_id), states=[ItemState("[1]", "almost")])  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="refused a row"):
        run.settle(bad)
    assert [intent.id for intent in run.ledger.intents(run.step.stream_id)] == [intent_id]


def test_retries_are_on_record_before_they_are_sent(url: str, begin: Begin, take: Take) -> None:
    boot = [10.0]
    with open_ledger(url, clock=lambda: MOMENT, boot_clock=lambda: BootMoment("b1", boot[0])) as ledger:
        run = Run(ledger, begin, take)
        intent_id = run.intend(item(1), item(2))
        boot[0] = 20.0
        ledger.retry_intent(run.lease, intent_id, 2)
        (intent,) = ledger.intents(run.step.stream_id)
        assert (intent.attempt, intent.boot_time, intent.items) == (2, 20.0, (item(1), item(2)))
        ledger.retry_intent(run.lease, intent_id, 3, [item(2)])
        (intent,) = ledger.intents(run.step.stream_id)
        assert (intent.attempt, intent.recoveries, intent.items) == (3, 0, (item(2),))
        with pytest.raises(LedgerError, match="no intent 99"):
            ledger.retry_intent(run.lease, 99, 2)


def test_a_recovery_counts_once_for_each_run_that_begins_one(run: Run, begin: Begin, take: Take) -> None:
    intent_id = run.intend(item(1))
    run.ledger.adopt_intent(run.lease, intent_id)  # its own
    for recoveries, owner in enumerate(("two", "three"), 1):
        later = Run(run.ledger, begin, take, owner)
        for _ in range(2):
            later.ledger.adopt_intent(later.lease, intent_id)
            (intent,) = later.ledger.intents(run.step.stream_id)
            assert (intent.epoch, intent.recoveries, intent.attempt) == (later.lease.epoch, recoveries, 1)
    with pytest.raises(LedgerError, match="no intent 99"):
        later.ledger.adopt_intent(later.lease, 99)


@pytest.mark.parametrize("tamper", ["{", "[[1]]", "5", '[["a","b","c","d","e","f","g","h","i","j","k","l","m"]]'])
def test_items_that_contraflow_did_not_write_are_named(run: Run, tamper: str) -> None:
    run.intend(item(1))
    with run.ledger._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE cf_intent SET items = '{tamper}'")  # noqa: S608
    with pytest.raises(LedgerError, match="did not write: the items of an intent"):
        run.ledger.intents(run.step.stream_id)


# --- a connection that is lost at the COMMIT --------------------------------------------------------------------------


class Cut:
    """Ends the server's side of a connection at its next COMMIT, before or after this was carried out."""

    def __init__(self, ledger: Ledger, server: Engine, *, carried_out: bool) -> None:
        self.server, self.carried_out, self.left = server, carried_out, 0
        event.listen(ledger._database._engine, "commit", self._at_commit)

    def _at_commit(self, connection: Connection) -> None:
        if not self.left:
            return
        self.left -= 1
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        if self.carried_out:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("SELECT 1")  # begins a transaction, whose COMMIT will not be answered
        with self.server.begin() as other:
            assert other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 10000)").scalar_one()


@pytest.mark.parametrize("carried_out", [False, True], ids=["not carried out", "carried out"])
def test_a_connection_lost_at_commit_is_made_good(
    postgresql_url: str, postgresql_engine: Engine, begin: Begin, take: Take, carried_out: bool
) -> None:
    with open_ledger(postgresql_url, clock=lambda: MOMENT) as ledger:
        run = Run(ledger, begin, take)
        cut = Cut(ledger, postgresql_engine, carried_out=carried_out)
        letters = [NewDeadLetter("[2]", "invalid", "no")]

        cut.left = 1
        intent_id = run.intend(item(1), item(2), item(3))
        assert [intent.id for intent in ledger.intents(run.step.stream_id)] == [intent_id]

        cut.left = 1
        assert run.settle(run.settlement(intent_id, 1, dead_letters=letters, unsettled=[item(3)])) is not carried_out
        (intent,) = ledger.intents(run.step.stream_id)
        assert (intent.items, run.known) == ((item(3),), {"[1]"})

        later = Run(ledger, begin, take, "two")
        cut.left = 1
        ledger.adopt_intent(later.lease, intent_id)
        cut.left = 1
        ledger.retry_intent(later.lease, intent_id, 2)
        (intent,) = ledger.intents(run.step.stream_id)
        assert (intent.recoveries, intent.attempt) == (1, 2)

        cut.left = 1
        settlement = later.settlement(intent_id, 3, dead_letters=[NewDeadLetter("[4]", "invalid", "no")])
        assert later.settle(settlement) is not carried_out
        assert ledger.intents(run.step.stream_id) == []
        assert run.known == {"[1]", "[3]"}
        assert [letter.attempts for letter in ledger.dead_letters()] == [1, 1]
        assert cut.left == 0


def test_a_connection_lost_twice_is_an_error(
    postgresql_url: str, postgresql_engine: Engine, begin: Begin, take: Take
) -> None:
    with open_ledger(postgresql_url) as ledger:
        run = Run(ledger, begin, take)
        cut = Cut(ledger, postgresql_engine, carried_out=False)
        cut.left = 2
        with pytest.raises(LedgerError, match="cannot be reached"):
            run.intend(item(1))
        assert ledger.intents(run.step.stream_id) == []


def test_what_may_not_be_repeated_is_not(
    postgresql_url: str, postgresql_engine: Engine, begin: Begin, take: Take
) -> None:
    """A settlement without intent cannot tell whether it has been recorded."""
    with open_ledger(postgresql_url) as ledger:
        run = Run(ledger, begin, take)
        cut = Cut(ledger, postgresql_engine, carried_out=True)
        cut.left = 1
        with pytest.raises(LedgerError, match="cannot be reached"):
            run.settle(run.settlement(None, dead_letters=[NewDeadLetter("[4]", "invalid", "no")]))
        assert [letter.attempts for letter in ledger.dead_letters()] == [1]


# --- a disk that is full ----------------------------------------------------------------------------------------------


def test_a_full_disk_at_any_statement_leaves_nothing_half_written(tmp_path: Path, begin: Begin, take: Take) -> None:
    """SQLite's own limit of pages fails in the way in which a full disk does."""
    template = tmp_path / "template.db"
    with open_ledger(f"sqlite:///{template}", clock=lambda: MOMENT) as ledger:
        run = Run(ledger, begin, take)
        with ledger._database.read() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    items = [item(number)._replace(payload="x" * 1000) for number in range(40)]
    reached = set()
    for more in range(0, 80, 4):
        path = shutil.copy(template, tmp_path / f"{more}.db")
        with open_ledger(f"sqlite:///{path}", clock=lambda: MOMENT) as ledger:
            run.ledger = ledger
            with ledger._database.write() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + more}")
            reached.add(intend_and_settle(run, items))
        with open_ledger(f"sqlite:///{path}") as run.ledger:
            assert intend_and_settle(run, items) == "settled"
    assert reached == {"nothing", "intended", "settled"}


def intend_and_settle(run: Run, items: list[IntentItem]) -> str:
    """How far it came; the ledger holds exactly that."""
    states = [ItemState(item.key, "written", 1, "f" * 3000) for item in items]
    letters = [NewDeadLetter(f"[{number}]", "invalid", "no" * 1000) for number in range(20)]
    left = run.ledger.intents(run.step.stream_id)
    intent_id = left[0].id if left else succeed(lambda: run.intend(*items))
    if intent_id is None:
        assert run.ledger.intents(run.step.stream_id) == []
        return "nothing"
    settlement = attrs.evolve(run.settlement(intent_id, dead_letters=letters), states=states)
    if succeed(lambda: run.settle(settlement)) is None:
        (intent,) = run.ledger.intents(run.step.stream_id)
        assert intent.items == tuple(items)
        assert (run.ledger.dead_letters(), run.ledger.counts_by_status()) == ([], [])
        return "intended"
    assert run.ledger.intents(run.step.stream_id) == []
    assert (len(run.ledger.dead_letters()), run.ledger.counts_by_status()[0].items) == (20, 40)
    return "settled"


def succeed(work: Callable[[], int]) -> int | None:
    """What ``work`` returns, or ``None`` if the disk is full."""
    try:
        return work()
    except LedgerError as error:
        if "the disk is full" not in str(error):
            raise
        return None
