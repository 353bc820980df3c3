"""Compares what the remote did with what the source asked for and what the ledger says. Knows nothing of the engine.

A *version* of a record is the payload that the source wanted it to have at some time; the source keeps the history of all of
them, the last of which is what is due. What the promise of a delivery class forbids becomes a :class:`Finding`:

============ =====================================================================================================
LOST         the last version is neither confirmed nor listed as rejected, deferred or in doubt; the remote never saw it
SILENT       the same, but the remote saw it; or the ledger calls a version written that no answer and no look-up ever told
DOUBLED      one version was applied twice, where the class promises once (A, C, D)
STALE        an older version was applied after a newer one, or the remote ends with less than the ledger has confirmed
LEDGER_WRONG the ledger says written, but the remote holds something else, or under another id
RESIDUE      an intent or a lease is left after a run that ended by itself
UNSETTLED    an item is listed, though the class can always find out (A, B), and nothing was rejected for good
============ =====================================================================================================
"""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

Payload = Mapping[str, Any]
Event = Mapping[str, Any]

LISTED = frozenset({"rejected", "deferred", "in_doubt"})
ONCE = frozenset("ACD")
"""Classes that promise one effect for one version."""
CERTAIN = frozenset("AB")
"""Classes in which no doubt lasts."""


class Kind(enum.Enum):
    """What can be wrong."""

    LOST = "LOST"
    SILENT = "SILENT"
    DOUBLED = "DOUBLED"
    STALE = "STALE"
    LEDGER_WRONG = "LEDGER_WRONG"
    RESIDUE = "RESIDUE"
    UNSETTLED = "UNSETTLED"


@attrs.frozen(kw_only=True)
class Finding:
    """One broken promise."""

    kind: Kind
    record: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.record}: {self.detail}"


@attrs.frozen(kw_only=True)
class LedgerItem:
    """What the ledger says of one record."""

    status: str
    version: int | None
    """The version that it calls confirmed; ``None`` for none, -1 for one that the source never had."""
    remote_id: str | None = None
    dead_letter: bool = False
    held: bool = False
    """In doubt, and kept from being sent again by itself: no intent names it."""


@attrs.frozen(kw_only=True)
class Evidence:
    """All that is known after a run that ended by itself."""

    delivery_class: str
    """A, B, C, D or E."""
    source: Mapping[str, Sequence[Payload]]
    """Each record's versions, the oldest first. Neighbours differ; not all need to."""
    log: Sequence[Event]
    """The remote's log, of this class of requests alone."""
    ledger: Mapping[str, LedgerItem]
    residue: Collection[str] = ()
    """What the ledger should no longer hold: intents, leases."""
    refused: Collection[str] = ()
    """Records that the remote refuses for good: they may be listed in any class."""
    blames: bool = False
    """Whether the worker died so often over one item that it may be held in any class."""


@attrs.frozen(kw_only=True)
class Report:
    """What the checker found."""

    findings: Sequence[Finding]
    counts: Mapping[str, int]
    """``records``, ``effects``, ``repeated`` (effects of a version that had been applied before), ``listed``, ``held``."""

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind is kind]


@attrs.frozen(kw_only=True)
class _Trace:
    """What the remote's log says of one record."""

    effects: Sequence[Event]
    """That changed it, in order."""
    seen: Sequence[Payload]
    """All that requests wanted it to be."""
    told: Sequence[Payload]
    """What a sound answer or a look-up told the client to be there."""


def check(evidence: Evidence) -> Report:
    """Hold the three against each other."""
    traces = _traces(evidence.log)
    findings = [Finding(kind=Kind.RESIDUE, record="-", detail=each) for each in evidence.residue]
    counts: Counter[str] = Counter(records=len(evidence.source))
    for record, versions in evidence.source.items():
        case = _Case(evidence, record, versions, traces.get(record, _Trace(effects=(), seen=(), told=())))
        findings += [Finding(kind=kind, record=record, detail=detail) for kind, detail in case.findings()]
        counts["effects"] += len(case.trace.effects)
        counts["repeated"] += case.repeated
        counts["listed"] += case.is_listed
        counts["held"] += case.is_held
    for record in traces.keys() - evidence.source.keys():
        findings.append(Finding(kind=Kind.LEDGER_WRONG, record=record, detail="the source never had this record"))
    return Report(findings=findings, counts=counts)


class _Case:
    """One record."""

    def __init__(self, evidence: Evidence, record: str, versions: Sequence[Payload], trace: _Trace) -> None:
        self.versions, self.trace = versions, trace
        self.once = evidence.delivery_class in ONCE
        self.item = evidence.ledger.get(record)
        self.is_listed = self.item is not None and self.item.status in LISTED
        self.is_held = self.is_listed and self.item is not None and self.item.held
        blamed = self.is_held and evidence.blames
        self.is_certain = not blamed and evidence.delivery_class in CERTAIN and record not in evidence.refused
        self.unique = len({_frozen(payload) for payload in versions}) == len(versions)
        """Whether a payload tells its version."""
        self.repeated = 0

    def findings(self) -> list[tuple[Kind, str]]:
        found = list(self._history())
        if self.item is not None and self.item.status == "rejected" and not self.item.dead_letter:
            found.append((Kind.SILENT, "rejected without a dead letter that says why"))
        if self.item is not None and self.item.status == "written":
            found += self._truth(self.item)
        if self.item is not None and self.is_listed and self.is_certain:
            found.append((Kind.UNSETTLED, f"{self.item.status}, though nothing keeps it from being delivered"))
        due = self.versions[-1]
        confirmed = None if self.item is None or self.item.version is None else self._payload(self.item.version)
        if not self.is_listed and confirmed != due:
            seen = due in self.trace.seen
            says = "says nothing of it" if confirmed is None else f"has confirmed {dict(confirmed)}"
            reason = f"due is {dict(due)}; the ledger {says}"
            found.append(
                (Kind.SILENT if seen else Kind.LOST, reason + (", but the remote has seen it" if seen else ""))
            )
        return found

    def _history(self) -> list[tuple[Kind, str]]:
        """The order of the effects: no version twice, none after a newer one."""
        found: list[tuple[Kind, str]] = []
        applied: list[Any] = []
        keys: set[str] = set()
        newest = -1
        for effect in self.trace.effects:
            payload, key, where = effect["payload"], effect.get("key"), f"effect {effect['seq']}"
            again = payload in applied if self.unique else bool(applied) and payload == applied[-1]
            if again or (key is not None and key in keys):
                self.repeated += 1
                if self.once:
                    found.append((Kind.DOUBLED, f"{where} applied {payload} once more"))
            if self.unique and payload in self.versions:
                version = self.versions.index(payload)
                if version < newest:
                    found.append((Kind.STALE, f"{where} applied version {version} after version {newest}"))
                newest = max(newest, version)
            elif payload not in self.versions:
                found.append((Kind.LEDGER_WRONG, f"{where} applied {payload}, which the source never had"))
            applied.append(payload)
            keys |= {key} if key is not None else set()
        return found

    def _truth(self, item: LedgerItem) -> list[tuple[Kind, str]]:
        """The ledger says written: is it so, and had it been told so?"""
        if not self.trace.effects:
            return [(Kind.LEDGER_WRONG, "written, says the ledger; the remote never applied anything")]
        last = self.trace.effects[-1]
        confirmed = None if item.version is None else self._payload(item.version)
        if confirmed is None:
            return [(Kind.LEDGER_WRONG, "written, with a fingerprint of nothing that the source ever had")]
        found: list[tuple[Kind, str]] = []
        if last["payload"] != confirmed:
            older = self.unique and self.versions.index(last["payload"]) < (item.version or 0)
            says = f"the remote ends with {last['payload']}, the ledger has confirmed {dict(confirmed)}"
            found.append((Kind.STALE if older else Kind.LEDGER_WRONG, says))
        elif item.remote_id is not None and item.remote_id != last["remote_id"]:
            says = f"the ledger knows it as {item.remote_id}, the remote as {last['remote_id']}"
            found.append((Kind.LEDGER_WRONG, says))
        if confirmed not in self.trace.told:
            found.append((Kind.SILENT, f"{dict(confirmed)} is called written; nobody was ever told so"))
        return found

    def _payload(self, version: int) -> Payload | None:
        return self.versions[version] if 0 <= version < len(self.versions) else None


def _traces(log: Sequence[Event]) -> dict[str, _Trace]:
    effects: dict[str, list[Event]] = defaultdict(list)
    seen: dict[str, list[Payload]] = defaultdict(list)
    told: dict[str, list[Payload]] = defaultdict(list)
    fates = {event["request"]: event for event in log if event["event"] == "fate"}
    states: dict[int, list[tuple[str, Payload]]] = defaultdict(list)
    for event in log:
        match event["event"]:
            case "received":
                for item in event["items"]:
                    seen[item["record"]].append(item["sent"])
            case "effect":
                if event["what"] in ("applied", "deleted"):
                    effects[event["record"]].append(event)
                if event["what"] != "key_reused":
                    states[event["request"]].append((event["record"], event["sent"]))
            case "read" if event["payload"] is not None:
                states[event["request"]].append((event["record"], event["payload"]))
    for request, shown in states.items():
        for record, payload in _told(shown, fates.get(request)):
            told[record].append(payload)
    return {
        record: _Trace(effects=effects[record], seen=seen[record], told=told[record])
        for record in effects.keys() | seen.keys()
    }


def _told(shown: list[tuple[str, Payload]], fate: Event | None) -> list[tuple[str, Payload]]:
    """What of a request's effects its answer let the client know, if it could be read at all."""
    if fate is None or fate["status"] is None or fate["status"] >= 300 or fate.get("gone"):
        return []
    kept = {"truncated": (0, 0), "not_json": (0, 0), "missing": (0, -1), "foreign": (0, -1), "doubled": (2, None)}
    first, last = kept.get(fate["fault"], (0, None))
    return shown[first:last]


def _frozen(value: Any) -> Any:
    return tuple(sorted((name, repr(each)) for name, each in value.items()))
