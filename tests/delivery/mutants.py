"""Deliberately broken variants of the protocol. The harness is worth something only if it catches each of them.

A mutant is a patch of the engine within the worker: :mod:`delivery_probe` applies the one that ``CONTRAFLOW_PROBE_MUTANT``
names, before anything runs. ``patches`` says which functions it replaces, ``scenario`` in which story it must be caught, and
``caught_as`` as what. A mutant whose function is no longer there, or is not called any more, fails loudly: it must follow
the engine. (Each call leaves a mark beside the counters, and so does one that trips.)
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import attrs
from checker import Kind
from scenarios import Scenario

Patch = Callable[..., Any]
"""What takes a function's place: called with the original, then with the arguments."""


@attrs.frozen(kw_only=True)
class Mutant:
    """One broken variant."""

    name: str
    what: str
    patches: Mapping[str, Patch]
    """``module:function`` or ``module:Class.method``, and what takes its place."""
    scenario: Scenario
    caught_as: frozenset[Kind]
    """One of these must be found."""

    def apply(self) -> None:
        """Break the engine in this process."""
        for target, patch in self.patches.items():
            module, _, path = target.partition(":")
            *holders, name = path.split(".")
            holder = reduce(getattr, holders, importlib.import_module(module))
            original = getattr(holder, name)
            setattr(holder, name, _replacement(original, patch))


def _replacement(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    def patched(*arguments: Any, **named: Any) -> Any:
        counters = os.environ.get("CONTRAFLOW_PROBE_COUNTERS")
        if counters:
            Path(f"{counters}.mutant").touch()
        try:
            return patch(original, *arguments, **named)
        except (AttributeError, NameError, TypeError) as error:
            if counters:  # it does not break the protocol, it merely falls over the engine
                Path(f"{counters}.tripped").write_text(repr(error))
            raise

    return patched


# The patches


def _key(*names: str) -> Patch:
    def patch(original: Any, comparison: Any, **named: Any) -> Any:
        return "cf1-" + "-".join("".join(filter(str.isalnum, named[name])) for name in names)[-36:]

    return patch


def _new_keys(original: Any, *arguments: Any, **named: Any) -> Any:
    return [
        each._replace(change=attrs.evolve(each.change, idempotency_key=f"cf1-{secrets.token_hex(16)}"))
        for each in original(*arguments, **named)
    ]


def _no_quiesce(original: Any, recovery: Any, intent: Any) -> bool:
    return not recovery.stop.is_set


def _no_confirm(original: Any, recovery: Any, in_flight: Any, left: Any) -> Any:
    return left


def _resend_what_is_held(original: Any, *arguments: Any, **named: Any) -> Any:
    from contraflow.engine.promise import Promise

    promise = original(*arguments, **named)
    return Promise.AT_LEAST_ONCE if promise is Promise.REPORTED else promise


def _unknown_is_written(original: Any, *arguments: Any, **named: Any) -> Any:
    from contraflow_hookspecs import Unknown, Written

    delivered = original(*arguments, **named)
    results = {
        key: Written(key=key) if isinstance(result, Unknown) else result for key, result in delivered.results.items()
    }
    return attrs.evolve(delivered, results=results, stop=None)


def _split_after_doubt(original: Any, changes: Any, *arguments: Any, **named: Any) -> Any:
    from contraflow_hookspecs import Unknown

    delivered = original(changes, *arguments, **named)
    if len(changes) < 2 or not all(isinstance(each, Unknown) for each in delivered.results.values()):
        return delivered
    halves = [
        _split_after_doubt(original, half, *arguments, **named)
        for half in (changes[: len(changes) // 2], changes[len(changes) // 2 :])
    ]
    return attrs.evolve(halves[1], results={**halves[0].results, **halves[1].results})


def _recovered_is_written(original: Any, recovery: Any, in_flight: Any, part: Any) -> None:
    from contraflow_hookspecs import Written

    recovery.record(in_flight, part, {each.change.key: Written(key=each.change.key) for each in part})


def _no_recovery(original: Any, recovery: Any) -> None:
    return None


def _no_intent(original: Any, ledger: Any, *arguments: Any, **named: Any) -> Any:
    """T1 is undone at once: what the ledger says is what it would say without it."""
    from contraflow.ledger.schema import intent

    numbers = original(ledger, *arguments, **named)
    with ledger._database.write() as connection:
        connection.execute(intent.delete().where(intent.c.id.in_(numbers)))
    return numbers


def _without_intent(original: Any, ledger: Any, settlements: Any, **named: Any) -> Any:
    return original(ledger, [attrs.evolve(each, intent_id=None, unsettled=()) for each in settlements], **named)


def _intent_goes_first(original: Any, ledger: Any, settlements: Any, **named: Any) -> Any:
    """The intent is deleted in a transaction of its own, before what became of it is recorded."""
    from contraflow.ledger.schema import intent

    with ledger._database.write() as connection:
        numbers = [each.intent_id for each in settlements if each.intent_id is not None]
        connection.execute(intent.delete().where(intent.c.id.in_(numbers)))
    return _without_intent(original, ledger, settlements, **named)


def _settle_before_call(original: Any, delivery: Any, chunks: Any) -> None:
    """Everything is recorded as written before it is sent."""
    from contraflow.engine.sending import Sent
    from contraflow_hookspecs import Written

    for chunk in chunks:
        intended = list(chunk.intended.values())
        results = {each.change.key: Written(key=each.change.key) for each in intended}
        (in_flight,) = delivery._intend([chunk])
        delivery._finish([(chunk, in_flight, Sent(intended=intended, results=results))])
        delivery.settle()
        if intended:
            delivery.sender.send(intended, lambda *told: None)


def _checkpoint_first(original: Any, delivery: Any, group: Any) -> Any:
    """The position moves before the intent is recorded."""
    from contraflow.ledger import history

    with delivery.ledger._database.write() as connection:
        history.advance_step(connection, delivery.recorder.step.id, checkpoint=group[-1].position, counts={})
    return original(delivery, group)


def _behind_the_checkpoint_alone(original: Any, preparation: Any) -> Any:
    return preparation._read(preparation.context)


def _anybody_may(original: Any, *arguments: Any, **named: Any) -> None:
    return None


_ONCE_MORE = frozenset({Kind.DOUBLED})
_ANSWER_LOST = {"fault": "reset_after", "requests": [1]}
_LATE = {"fault": "delay_before", "seconds": 2.0, "requests": [1]}
"""Later than a busy machine begins the next life."""

_ALL = (
    Mutant(
        name="no intent",
        what="T1 is left out",
        patches={
            "contraflow.ledger.ledger:Ledger.intend_all": _no_intent,
            "contraflow.ledger.ledger:Ledger.settle_all": _without_intent,
        },
        scenario=Scenario(delivery_class="C", point="P8"),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="settle before call",
        what="outcomes are recorded before the call",
        patches={"contraflow.engine.chunk_delivery:ChunkDelivery._deliver_chunks": _settle_before_call},
        scenario=Scenario(delivery_class="C", point="P5-call"),
        caught_as=frozenset({Kind.LEDGER_WRONG, Kind.SILENT, Kind.STALE}),
    ),
    Mutant(
        name="checkpoint first",
        what="the checkpoint moves before T1, and nobody looks at what lies before it",
        patches={
            "contraflow.engine.chunk_delivery:ChunkDelivery._intend": _checkpoint_first,
            "contraflow.engine.preparation:Preparation.__iter__": _behind_the_checkpoint_alone,
        },
        scenario=Scenario(delivery_class="A", point="P4", undisturbed=1),
        caught_as=frozenset({Kind.LOST}),
    ),
    Mutant(
        name="intent goes first",
        what="the intent is deleted before T2 is committed",
        patches={"contraflow.ledger.ledger:Ledger.settle_all": _intent_goes_first},
        # Six records are two chunks: the sound engine has a second T2 as well.
        scenario=Scenario(delivery_class="C", point="P10:2", records=6),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="key without generation",
        what="the idempotency key is made of the item and the payload alone",
        patches={"contraflow.engine.comparison:Comparison._idempotency_key": _key("key_text", "fingerprint")},
        scenario=Scenario(delivery_class="A", style="cycling", changes_after=3),
        caught_as=frozenset({Kind.LEDGER_WRONG, Kind.UNSETTLED}),
    ),
    Mutant(
        name="key without content",
        what="the idempotency key is made of the item alone",
        patches={"contraflow.engine.comparison:Comparison._idempotency_key": _key("key_text")},
        scenario=Scenario(delivery_class="A", changes_after=1),
        caught_as=frozenset({Kind.LOST, Kind.UNSETTLED, Kind.SILENT, Kind.LEDGER_WRONG}),
    ),
    Mutant(
        name="new key on recovery",
        what="what is in doubt is sent again under a new key",
        patches={"contraflow.engine.recovery:intended_of": _new_keys},
        scenario=Scenario(delivery_class="A", point="P8"),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="no quiesce",
        what="recovery does not wait until no request can still arrive",
        patches={"contraflow.engine.recovery:Recovery._quiesce": _no_quiesce},
        scenario=Scenario(delivery_class="C", point="P7", rules=[_LATE], lifetime=2.5),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="no quiesce, upsert",
        what="the same where a late request overwrites a newer one",
        patches={"contraflow.engine.recovery:Recovery._quiesce": _no_quiesce},
        scenario=Scenario(delivery_class="B", point="P7", rules=[_LATE], changes_after=1, lifetime=2.5),
        caught_as=frozenset({Kind.STALE}),
    ),
    Mutant(
        name="confirm ignored",
        what="recovery sends again without asking the remote",
        patches={"contraflow.engine.recovery:Recovery._ask": _no_confirm},
        scenario=Scenario(delivery_class="C", point="P8"),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="unknown is written",
        what="a lost answer counts as success",
        patches={"contraflow.engine.sending:deliver": _unknown_is_written},
        scenario=Scenario(delivery_class="C", rules=[{"fault": "reset_before", "requests": [1]}]),
        caught_as=frozenset({Kind.SILENT, Kind.LEDGER_WRONG, Kind.STALE}),
    ),
    Mutant(
        name="held is sent again",
        what="class D sends what is in doubt again",
        patches={"contraflow.engine.step:promise_of": _resend_what_is_held},
        scenario=Scenario(delivery_class="D", point="P8"),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="recovered is written",
        what="recovery takes what is in doubt for written",
        patches={"contraflow.engine.recovery:Recovery._send": _recovered_is_written},
        scenario=Scenario(delivery_class="A", point="P5-call"),
        caught_as=frozenset({Kind.STALE, Kind.SILENT, Kind.LEDGER_WRONG}),
    ),
    Mutant(
        name="no recovery",
        what="nobody looks at what is in doubt",
        patches={"contraflow.engine.recovery:Recovery.run": _no_recovery},
        scenario=Scenario(delivery_class="C", point="P8"),
        caught_as=frozenset({Kind.DOUBLED, Kind.RESIDUE, Kind.SILENT}),
    ),
    Mutant(
        name="split after doubt",
        what="a batch whose answer was lost is halved and sent again",
        patches={"contraflow.engine.sending:deliver": _split_after_doubt},
        scenario=Scenario(delivery_class="C", form="batch", rules=[_ANSWER_LOST]),
        caught_as=_ONCE_MORE,
    ),
    Mutant(
        name="no fence",
        what="a process that was frozen past its lease goes on as if it still held it",
        patches={
            "contraflow.ledger.leases:prove": _anybody_may,
            "contraflow.engine.leadership:Leadership.check": _anybody_may,
        },
        scenario=Scenario(delivery_class="B", point="P5", frozen=True),
        caught_as=frozenset({Kind.STALE}),
    ),
)

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in _ALL}
"""All mutants, by name."""
