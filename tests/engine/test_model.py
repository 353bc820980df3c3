"""Random histories of a source, a ledger and a remote, held against a model of what the policy says.

Entities come, change and go, keys are used again, the remote refuses some contents, people edit and remove its records, runs
are forced, asked for by id, and die: a child process, forked for the run, ends in the middle of it. After each run the
remote holds what the model holds, the counts are the model's, each sending is one that the model has a reason for, and
``explain`` tells of each record what the model knows.

The model is written down from the documentation, in terms of records, and shares no code with the engine.
``CONTRAFLOW_TEST_MODEL=deep`` tries many more and longer histories.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contraflow.engine.limits import approval_named
from contraflow.ledger import Ledger, decode_key
from contraflow_hookspecs import (
    Action,
    BatchStatus,
    Capabilities,
    Change,
    Deferred,
    ExportJob,
    Gone,
    Idempotency,
    Item,
    ItemError,
    Operation,
    Rejected,
    Skip,
    StepContext,
    WriteResult,
    Written,
    hookimpl,
)

DEEP = os.environ.get("CONTRAFLOW_TEST_MODEL") == "deep"
PROFILE = settings(
    max_examples=200 if DEEP else 15,
    stateful_step_count=40 if DEEP else 14,
    deadline=None,
    database=None,
    print_blob=False,
    derandomize=not DEEP,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink) if DEEP else (Phase.generate,),
)
KEYS = range(1, 7)
NAMES = ("Ana", "Bo", "bad", "later", "skip", "broken")
EMAILS = ("x", "y", None)
STEP = "acme/shop_export/customers"


# The remote --------------------------------------------------------------------------------------------------------------


@attrs.define
class Record:
    """One record of the remote."""

    key: int
    payload: dict[str, Any]
    archived: bool = False


class Death(NamedTuple):
    """When a run dies."""

    moment: Literal["intend", "write", "lost", "settle", "settled"]
    """After an intent is recorded; within a call; the call's answer is lost; before, or after, its outcome is recorded."""
    number: int
    """The how many-th time."""
    applied: int
    """How many items of the call the remote takes before."""


@attrs.define(eq=False)
class Remote:
    """A connector with a remote of its own, which gives ids. It never looks at what the engine knows.

    Args:
        promise: How it takes a repeated sending: A knows idempotency keys, B and D know the items' keys, C can be asked.
    """

    promise: str
    records: dict[str, Record] = attrs.field(factory=dict)
    answers: dict[str, Written] = attrs.field(factory=dict)
    """What it told, by idempotency key."""
    sent: list[Change] = attrs.field(factory=list)
    call: list[int] = attrs.field(factory=list)
    """Keys of the last call."""
    taken: set[int] = attrs.field(factory=set)
    """Keys of the changes that it looked at since the last intent was recorded."""
    intended: list[int] = attrs.field(factory=list)
    """Keys of the last intent, until that is settled."""
    settled: set[int] = attrs.field(factory=set)
    """Keys of the items of which this run recorded an outcome."""
    refuses: bool = False
    death: Death | None = None
    die: Callable[[], None] = lambda: None
    calls: int = 0
    numbers: Counter[int] = attrs.field(factory=Counter)
    """How many records it has made of an item."""

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        kinds = {"A": Idempotency.KEY, "B": Idempotency.UPSERT, "C": Idempotency.NONE, "D": Idempotency.NONE}
        capabilities = Capabilities(
            idempotency=kinds[self.promise], confirm=self.promise == "C", delete=True, request_lifetime=0.0
        )
        return ExportJob(name="shop_export", entity="customer", capabilities=capabilities)

    @hookimpl
    def process_item(self, item: Item, context: StepContext) -> Any:
        if item.data["name"] == "skip":
            return Skip(reason="to be skipped")
        if item.data["name"] == "broken":
            raise ItemError("it is broken", code="broken")
        return {"name": item.data["name"], "email": item.data["email"]}

    @hookimpl
    def write_items(self, items: Sequence[Change], context: StepContext) -> Any:
        return self._carry_out(items, self._write)

    @hookimpl
    def archive_items(self, items: Sequence[Change], context: StepContext) -> Any:
        return self._carry_out(items, self._archive)

    @hookimpl
    def confirm_items(self, items: Sequence[Change], context: StepContext) -> Any:
        if self.promise != "C":
            raise AssertionError("nobody may ask")
        return [
            self.answers.get(change.idempotency_key) or Deferred(key=change.key, reason="it did not arrive")
            for change in items
        ]

    def _carry_out(self, items: Sequence[Change], one: Callable[[Change], WriteResult]) -> list[WriteResult]:
        self.calls += 1
        self.sent += items
        self.call = [change.key[0] for change in items]
        results = []
        now = self.death is not None and self.death.moment in ("write", "lost") and self.death.number == self.calls
        for place, change in enumerate(items):
            if now and self.death is not None and place == min(self.death.applied, len(items)):
                break
            results.append(self._once(change, one))
            self.taken.add(change.key[0])
        if now and self.death is not None:
            if self.death.moment == "lost":
                raise ConnectionError("no answer")
            self.die()
        return results

    def _once(self, change: Change, one: Callable[[Change], WriteResult]) -> WriteResult:
        if self.promise == "A" and change.idempotency_key in self.answers:
            return self.answers[change.idempotency_key]
        result = one(change)
        if isinstance(result, Written):
            self.answers[change.idempotency_key] = result
        return result

    def _write(self, change: Change) -> WriteResult:
        if self.refuses:
            return Rejected(key=change.key, code="closed", reason="nothing is taken today")
        number = self._find(change)
        if change.operation is Operation.DELETE:
            if number is None:
                return Gone(key=change.key)
            del self.records[number]
            return Written(key=change.key, action=Action.DELETED)
        if change.payload["name"] == "bad":
            return Rejected(key=change.key, code="bad", reason="a bad name")
        if change.payload["name"] == "later":
            return Deferred(key=change.key, reason="not now")
        if number is None:
            if change.remote_id is not None:
                return Gone(key=change.key)
            self.numbers[change.key[0]] += 1
            number, action = f"r{change.key[0]}-{self.numbers[change.key[0]]}", Action.CREATED
        else:
            action = Action.UPDATED
        self.records[number] = Record(change.key[0], dict(change.payload))
        return Written(key=change.key, remote_id=number, action=action)

    def _archive(self, change: Change) -> WriteResult:
        if self.refuses:
            return Rejected(key=change.key, code="closed", reason="nothing is taken today")
        number = self._find(change)
        if number is None:
            return Gone(key=change.key)
        self.records[number].archived = True
        return Written(key=change.key, remote_id=number)

    def _find(self, change: Change) -> str | None:
        if change.remote_id is not None:
            return change.remote_id if change.remote_id in self.records else None
        if self.promise in "AC":
            return None  # what comes without an id is new to it, and a repetition makes a double
        return next((number for number, each in self.records.items() if each.key == change.key[0]), None)


# The model ---------------------------------------------------------------------------------------------------------------

DELETE, ARCHIVE, DOUBTFUL = "delete", "archive", "doubtful"
AWAY = ("deleted", "archived", "gone")
Wish = dict[str, Any] | str
"""What is to be at the remote: a payload, or a removal of one kind or the other."""


@attrs.frozen
class Known:
    """What is known of an item."""

    status: str
    confirmed: Wish | None = None
    """What the remote last confirmed; ``None``: nothing of ours is there; ``DOUBTFUL``: something may be."""
    refused: Wish | None = None
    """What was tried last, and did not come to be."""
    remote_id: str | None = None

    @property
    def is_ours(self) -> bool:
        return self.status not in AWAY and (self.confirmed is not None or self.status == "in_doubt")


@attrs.frozen
class Theirs:
    """The remote's one record of an item."""

    id: str
    payload: dict[str, Any]
    archived: bool = False


class Fate(NamedTuple):
    """What becomes of an item in a run: its outcome, where it is not sent, and why that is."""

    outcome: str
    why: str
    wish: Wish | None = None


@attrs.define
class Model:
    """What is at each place, by the item's key."""

    promise: str
    parameters: dict[str, Any]
    rows: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    known: dict[int, Known] = attrs.field(factory=dict)
    theirs: dict[int, Theirs] = attrs.field(factory=dict)
    flight: dict[int, tuple[Wish, Written | None]] = attrs.field(factory=dict)
    """What was sent and has no outcome, and what the remote said if it took it."""
    numbers: Counter[int] = attrs.field(factory=Counter)
    refuses: bool = False

    def copy(self) -> Model:
        each = (self.rows, self.known, self.theirs, self.flight)
        rows, known, theirs, flight = map(dict, each)
        return Model(self.promise, self.parameters, rows, known, theirs, flight, Counter(self.numbers), self.refuses)

    def removal(self, key: int) -> str | None:
        """What a complete run is to do about an item that is not read, or skipped."""
        choice = self.parameters["deletions" if key not in self.rows else "filtered"]
        return None if choice in ("ignore", "keep") else choice

    def fate(self, key: int, wish: Wish | None, *, force: bool = False, by_id: bool = False) -> Fate:
        """What becomes of an item.

        Args:
            wish: ``None`` for what its row says.
        """
        item = self.known.get(key)
        if wish is None:
            row = self.rows[key]
            if row["name"] == "broken":
                return Fate("rejected", "it cannot be sent as it is: broken: it is broken")
            if row["name"] == "skip":
                wish = self.removal(key) if by_id and item is not None and item.is_ours else None
                if wish is None:
                    return Fate("filtered", "the processor leaves it out: to be skipped")
            else:
                wish = dict(row)
        removes = isinstance(wish, str)
        if removes and (item is None or not item.is_ours):
            return Fate("unchanged", "nothing has changed")
        if item is not None and item.confirmed == wish and item.status != "in_doubt" and not force:
            return Fate("unchanged", "nothing has changed")
        if item is not None and item.status == "gone" and not (self.parameters["resurrect"] or (force and by_id)):
            return Fate("gone", "somebody else removed it at the remote")
        if item is not None and item.status == "in_doubt":
            return Fate("in_doubt", "it is held")
        if item is not None and item.status == "rejected" and item.refused == wish and not force:
            return Fate("rejected", "the remote has refused this very version")
        return Fate("sent", self._why(item, wish), wish)

    def _why(self, item: Known | None, wish: Wish) -> str:
        if isinstance(wish, str):
            return "it is to be removed"
        if item is None or item.confirmed is None:
            return "the remote has nothing of it"
        if isinstance(item.confirmed, str):
            return "it may differ"
        return "it differs: " + ", ".join(sorted(name for name in wish if wish[name] != item.confirmed[name]))

    def answer(self, key: int, wish: Wish, remote_id: str | None) -> WriteResult:
        """What the remote does, and says."""
        there = self.theirs.get(key)
        if there is not None and remote_id != there.id and (remote_id is not None or self.promise in "AC"):
            there = None
        if self.refuses:
            return Rejected(key=(key,), code="closed", reason="")
        if isinstance(wish, str):
            if there is None:
                return Gone(key=(key,))
            if wish == DELETE:
                del self.theirs[key]
                return Written(key=(key,), action=Action.DELETED)
            self.theirs[key] = attrs.evolve(there, archived=True)
            return Written(key=(key,), remote_id=there.id)
        if wish["name"] == "bad":
            return Rejected(key=(key,), code="bad", reason="")
        if wish["name"] == "later":
            return Deferred(key=(key,), reason="")
        if there is None and remote_id is not None:
            return Gone(key=(key,))
        assert there is not None or key not in self.theirs, "a double"
        action = Action.CREATED if there is None else Action.UPDATED
        if there is None:
            self.numbers[key] += 1
        number = f"r{key}-{self.numbers[key]}" if there is None else there.id
        self.theirs[key] = Theirs(number, wish)
        return Written(key=(key,), remote_id=number, action=action)

    def settle(self, key: int, wish: Wish, result: WriteResult) -> str:
        """Know of it; the outcome, or what the remote did."""
        item = self.known.get(key, Known("deferred"))
        doubted = item.status == "in_doubt"
        match result:
            case Gone() if isinstance(wish, str):
                self.known[key] = Known("deleted")
                return "deleted"
            case Gone():
                self.known[key] = Known("gone")
                return "gone"
            case Written() if wish == ARCHIVE:
                self.known[key] = Known("archived", remote_id=result.remote_id or item.remote_id)
                return "archived"
            case Written() if wish == DELETE:
                self.known[key] = Known("deleted")
                return "deleted"
            case Written(action=action) if action is not None:
                self.known[key] = Known("written", wish, None, result.remote_id)
                return action.value
        outcome = "rejected" if isinstance(result, Rejected) else "deferred"
        confirmed = DOUBTFUL if doubted else item.confirmed
        self.known[key] = Known(outcome, confirmed, wish, item.remote_id)
        return outcome


class Sent(NamedTuple):
    """One sending."""

    key: int
    wish: str
    remote_id: str | None


class Run:
    """A run of the model, on a copy of it.

    Attributes:
        recovered: The model after the recovery of what an earlier run left in flight.
        after: The model after the run.
        wishes: What was sent of which item, after recovery.
        answers: What the remote said.
        guarded: Whether a guard stopped it before the removals.
    """

    def __init__(self, model: Model, ids: list[int] | None, *, force: bool = False, approved: bool = False) -> None:
        self.ids, self.force = ids, force
        self.counts: Counter[str] = Counter()
        self.sent: list[Sent] = []
        self.wishes: dict[int, Wish] = {}
        self.answers: dict[int, WriteResult] = {}
        self.again: dict[int, WriteResult] = {}
        self.after = model.copy()
        self._recover()
        self.recovered = self.after.copy()
        known_before = sum(item.is_ours and item.confirmed is not None for item in self.after.known.values())
        for key in sorted(model.rows) if ids is None else ids:
            if key in model.rows:
                self._treat(key, None)
            elif model.parameters["missing"] == "delete":
                self._treat(key, DELETE)
            else:
                self.counts["missing"] += 1
        vanished = [] if ids is not None else list(self._vanished())
        ours = sum(self.after.known[key].is_ours for key, _ in vanished)
        self.guarded = not model.rows and ours > known_before * 0.3 and not approved
        for key, wish in () if self.guarded else vanished:
            self._treat(key, wish)

    def _recover(self) -> None:
        model = self.after
        for key, (wish, taken) in model.flight.items():
            item = model.known.get(key, Known("deferred"))
            if model.promise == "D":
                model.known[key] = attrs.evolve(item, status="in_doubt", refused=wish)
                continue
            self.counts["recovered"] += 1
            model.known[key] = attrs.evolve(item, status="deferred" if model.promise == "C" else "in_doubt")
            result: WriteResult
            if model.promise == "C" and wish != ARCHIVE and taken is not None:
                result = taken
            else:
                self._note_sent(key, wish)
                replayed = model.promise == "A" and taken is not None
                result = taken if replayed and taken is not None else model.answer(key, wish, item.remote_id)
            self.again[key] = result
            model.settle(key, wish, result)
        model.flight.clear()

    def _vanished(self) -> Iterator[tuple[int, str]]:
        model = self.after
        for key, item in sorted(model.known.items()):
            skipped = key in model.rows and model.rows[key]["name"] == "skip"
            what = model.removal(key) if key not in model.rows or skipped else None
            if item.status not in AWAY and what is not None:
                yield key, what

    def _treat(self, key: int, wish: Wish | None) -> None:
        model = self.after
        self.counts["read"] += 1
        fate = model.fate(key, wish, force=self.force, by_id=self.ids is not None)
        item = model.known.get(key)
        if fate.wish is not None:
            self._note_sent(key, fate.wish)
            self.wishes[key] = fate.wish
            self.answers[key] = model.answer(key, fate.wish, None if item is None else item.remote_id)
            outcome = model.settle(key, fate.wish, self.answers[key])
            if isinstance(self.answers[key], Written) or outcome == "deleted":
                self.counts["written"] += 1
            self.counts[outcome] += 1
            return
        self.counts[fate.outcome] += 1
        if fate.outcome == "rejected" and "broken" in fate.why:
            if item is None or item.status not in ("in_doubt", *AWAY):
                model.known[key] = attrs.evolve(item or Known("rejected"), status="rejected")
        elif fate.outcome == "unchanged" and item is not None and item.status not in AWAY:
            model.known[key] = attrs.evolve(item, status="written" if wish is None else "deleted", refused=None)

    def _note_sent(self, key: int, wish: Wish) -> None:
        item = self.after.known.get(key)
        self.sent.append(Sent(key, in_words(wish), None if item is None else item.remote_id))

    def broken_off(self, model: Model, remote: Remote, *, lost: bool) -> Model:
        """The model after as much of the run as has been."""
        so_far = self.recovered.copy()
        for key in remote.settled:
            so_far.known[key] = self.after.known[key]
            if key in self.wishes:
                self._take(so_far, key)
        for key in remote.intended:
            wish, answer = self.wishes[key], self.answers[key]
            unsettled = model.known.get(key)
            if key in remote.taken:
                self._take(so_far, key)
            if lost and key not in remote.call:
                if key not in remote.taken:
                    so_far.known[key] = attrs.evolve(unsettled or Known(""), status="deferred", refused=wish)
                continue
            if lost:
                so_far.known[key] = attrs.evolve(unsettled or Known(""), status="in_doubt", refused=wish)
            if not (lost and model.promise == "D"):
                taken = answer if key in remote.taken and isinstance(answer, Written) else None
                so_far.flight[key] = (wish, taken)
        return so_far

    def _take(self, so_far: Model, key: int) -> None:
        so_far.numbers[key] = self.after.numbers[key]
        so_far.theirs.pop(key, None)
        if key in self.after.theirs:
            so_far.theirs[key] = self.after.theirs[key]

    def broken_off_in_recovery(self, model: Model, remote: Remote) -> Model:
        """The model after as much of the recovery as has been: nothing of it is settled."""
        so_far = model.copy()
        for key in remote.taken:
            wish, taken = model.flight[key]
            result = self.again[key]
            so_far.flight[key] = (wish, result if isinstance(result, Written) else taken)
            so_far.numbers[key] = self.recovered.numbers[key]
            so_far.theirs.pop(key, None)
            if key in self.recovered.theirs:
                so_far.theirs[key] = self.recovered.theirs[key]
        return so_far


# Histories ---------------------------------------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """A real source, ledger and remote, and the model beside them."""

    def __init__(self, shop: Any) -> None:
        super().__init__()
        self.shop = shop
        self.project: Any = None
        self.deaths = 0
        """In a row."""

    @initialize(
        promise=st.sampled_from("ABCD"),
        deletions=st.sampled_from(["ignore", "delete", "delete", "archive"]),
        filtered=st.sampled_from(["keep", "keep", "delete", "archive"]),
        missing=st.sampled_from(["warn", "delete"]),
        resurrect=st.booleans(),
        batch_size=st.sampled_from([3, 100]),
        remember=st.sampled_from(["fingerprint", "payload"]),
        rows=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(NAMES[:3])),
    )
    def begin(self, promise: str, rows: dict[int, str], **parameters: Any) -> None:
        self.model = Model(promise, parameters)
        self.shop.remote = self.remote = Remote(promise)
        self.shop.parameters = {"attempts": 1, **parameters}
        self.shop.sql("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
        self.shop.config["entities"] = {"customer": {"table": "customer"}}
        for key, name in rows.items():
            self.put(key, name, None)

    def teardown(self) -> None:
        self.close()

    # Between runs

    @rule(key=st.sampled_from(KEYS), name=st.sampled_from(NAMES), email=st.sampled_from(EMAILS))
    def put(self, key: int, name: str, email: str | None) -> None:
        """An entity comes, comes back under a used key, or changes."""
        self.shop.sql("INSERT OR REPLACE INTO customer VALUES (?, ?, ?)", (key, name, email))
        self.model.rows[key] = {"name": name, "email": email}

    @rule(key=st.sampled_from(KEYS))
    def drop(self, key: int) -> None:
        self.shop.sql("DELETE FROM customer WHERE id = ?", (key,))
        self.model.rows.pop(key, None)

    @rule()
    def drop_all(self) -> None:
        """The source is suddenly empty."""
        self.shop.sql("DELETE FROM customer")
        self.model.rows.clear()

    @rule(key=st.sampled_from(KEYS))
    def edit_at_remote(self, key: int) -> None:
        theirs = {"name": "theirs", "email": "theirs"}
        for each in self.remote.records.values():
            if each.key == key:
                each.payload = theirs
        if key in self.model.theirs:
            self.model.theirs[key] = attrs.evolve(self.model.theirs[key], payload=theirs)

    @rule(key=st.sampled_from(KEYS))
    def remove_at_remote(self, key: int) -> None:
        records = self.remote.records
        self.remote.records = {number: each for number, each in records.items() if each.key != key}
        self.model.theirs.pop(key, None)

    @rule()
    def change_mood(self) -> None:
        self.model.refuses = self.remote.refuses = not self.remote.refuses

    @rule()
    def restart(self) -> None:
        self.close()

    # Runs

    @rule()
    def sync(self) -> None:
        self.run()

    @rule(keys=st.sets(st.sampled_from(KEYS), min_size=1, max_size=3), force=st.booleans())
    def sync_by_id(self, keys: set[int], force: bool) -> None:
        self.run(ids=sorted(keys), force=force)

    @rule()
    def sync_by_force(self) -> None:
        self.run(force=True)

    @precondition(lambda self: not self.model.flight)
    @rule(
        moment=st.sampled_from(["intend", "write", "write", "lost", "settle", "settled"]),
        number=st.integers(1, 3),
        applied=st.integers(0, 3),
        force=st.booleans(),
    )
    def die(self, moment: Any, number: int, applied: int, force: bool) -> None:
        self.run(force=force, death=Death(moment, number, applied))

    @precondition(lambda self: self.model.flight and self.model.promise in "AB" and self.deaths < 3)
    @rule(applied=st.integers(0, 3))
    def die_in_recovery(self, applied: int) -> None:
        self.run(death=Death("write", 1, applied))

    def run(self, *, ids: list[int] | None = None, force: bool = False, death: Death | None = None) -> None:
        """One run, and what the model has to say of it."""
        recovers = bool(self.model.flight)
        foreseen = Run(self.model, ids, force=force)
        execution = self.live({"force": force} if ids is None else {"ids": ids, "force": force}, death)
        sent = Counter(map(spell, self.remote.sent))
        if execution is None or (death is not None and "no answer" in execution.exit_description):
            assert death is not None
            assert not sent - Counter(foreseen.sent), "sent without a reason"
            self.deaths += 1
            if recovers:
                self.model = foreseen.broken_off_in_recovery(self.model, self.remote)
            else:
                self.model = foreseen.broken_off(self.model, self.remote, lost=death.moment == "lost")
            return
        self.deaths = 0
        self._compare(execution, foreseen)
        if foreseen.guarded:
            digest = approval_named(execution.exit_description)
            foreseen = Run(self.model, None, force=force, approved=True)
            self._compare(self.live({"approve": [digest], "force": force}, None), foreseen)

    def _compare(self, execution: Any, foreseen: Run) -> None:
        assert Counter(map(spell, self.remote.sent)) == Counter(foreseen.sent)
        self.model = foreseen.after
        told = {name: number for name, number in execution.counts.items() if number}
        assert told == {name: number for name, number in foreseen.counts.items() if number}
        status = BatchStatus.FAILED if foreseen.guarded else BatchStatus.COMPLETED
        assert execution.status is status, execution.exit_description

    def live(self, request: dict[str, Any], death: Death | None) -> Any:
        """Run in this process; or, if it is to die, in a child. ``None`` if that died."""
        remote = self.remote
        remote.sent, remote.calls, remote.death = [], 0, death
        remote.taken, remote.intended, remote.settled = set(), [], set()
        if death is None or death.moment == "lost":
            with watched(remote):
                return self.opened().sync("acme", **request)
        self.close()
        file = self.shop.directory / "child"
        child = os.fork()
        if child == 0:
            self._be_child(file, request)
        _, status = os.waitpid(child, 0)
        execution, state = pickle.loads(file.read_bytes())  # noqa: S301 - our own child's
        for name, value in state.items():
            setattr(remote, name, value)
        assert os.waitstatus_to_exitcode(status) == (9 if execution is None else 0)
        return execution

    def _be_child(self, file: Path, request: dict[str, Any]) -> None:
        """Never returns."""

        def end(execution: Any) -> None:
            names = ("records", "answers", "sent", "call", "taken", "intended", "settled", "numbers")
            file.write_bytes(pickle.dumps((execution, {name: getattr(self.remote, name) for name in names})))
            os._exit(9 if execution is None else 0)

        try:
            self.remote.die = lambda: end(None)
            with watched(self.remote), self.shop.project() as project:
                end(project.sync("acme", **request))
        except BaseException:  # noqa: BLE001 - what happens in a child is lost unless it is shown
            traceback.print_exc()
        finally:
            os._exit(1)

    def opened(self) -> Any:
        if self.project is None:
            self.project = self.shop.project()
        return self.project

    def close(self) -> None:
        if self.project is not None:
            self.project.close()
        self.project = None

    # What must hold

    @invariant()
    def the_remote_holds_what_the_model_says(self) -> None:
        held = {(number, each.key): (each.payload, each.archived) for number, each in self.remote.records.items()}
        assert held == {(each.id, key): (each.payload, each.archived) for key, each in self.model.theirs.items()}

    @rule(key=st.sampled_from(KEYS))
    def explain(self, key: int) -> None:
        (place,) = self.opened().explain(STEP, key).places
        model, item = self.model, self.model.known.get(key)
        if key in model.flight:
            in_doubt = item is not None and item.status == "in_doubt"
            assert place.status == ("in_doubt" if in_doubt else "in_flight")
            assert (place.due, place.why) == (False, "a sending of it has no outcome yet")
            return
        assert (place.status, place.remote_id) == ((None, None) if item is None else (item.status, item.remote_id))
        if item is not None and item.status == "in_doubt":
            fate = Fate("in_doubt", "it is held")
        elif key in model.rows:
            fate = model.fate(key, None, by_id=True)
        else:
            removal = model.removal(key)
            fate = Fate("missing", "the source does not have it")
            if removal is not None and item is not None and item.is_ours:
                fate = model.fate(key, removal)
        assert (place.due, fate.why in place.why) == (fate.wish is not None, True), (place, fate)


def spell(change: Change) -> Sent:
    wish = DELETE if change.operation is Operation.DELETE else dict(change.payload)
    return Sent(change.key[0], in_words(wish), change.remote_id)


def in_words(wish: Wish) -> str:
    """The connector is told of both removals as a deletion."""
    return DELETE if isinstance(wish, str) else str(sorted(wish.items()))


@contextmanager
def watched(remote: Remote) -> Iterator[None]:
    """Note what is recorded in the ledger, and die there if that is wanted."""
    intend, settle = Ledger.intend_all, Ledger.settle_all
    numbers: Counter[str] = Counter()

    def reached(moment: str) -> None:
        numbers[moment] += 1
        if remote.death is not None and (moment, numbers[moment]) == remote.death[:2]:
            remote.die()

    def intend_all(self: Ledger, lease: Any, *, chunks: Any, **more: Any) -> Any:
        answer = intend(self, lease, chunks=chunks, **more)
        remote.intended = [decode_key(item.key)[0] for chunk in chunks for item in chunk]
        remote.taken = set()
        reached("intend")
        return answer

    def settle_all(self: Ledger, settlements: Any, **more: Any) -> Any:
        reached("settle")
        answer = settle(self, settlements, **more)
        keys = {decode_key(state.key)[0] for each in settlements for state in each.states}
        lost = remote.death is not None and remote.death.moment == "lost" and remote.death.number == remote.calls
        remote.settled |= keys - set(remote.intended) if lost else keys
        if not lost:
            remote.intended = []
        reached("settled")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "intend_all", intend_all)
        patch.setattr(Ledger, "settle_all", settle_all)
        yield


def test_any_history(shop_kind: Any) -> None:
    def history() -> Histories:
        return Histories(shop_kind(Path(tempfile.mkdtemp(dir=directory))))

    with tempfile.TemporaryDirectory() as directory:
        run_state_machine_as_test(history, settings=PROFILE)
