"""The checker finds each thing that is planted, and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest
from checker import Evidence, Finding, Kind, LedgerItem, check


def version(number: int, record: int = 7) -> dict[str, Any]:
    return {"id": record, "version": number}


class Log:
    """A remote's log in the making."""

    def __init__(self, kind: str = "c") -> None:
        self.events: list[dict[str, Any]] = []
        self.kind, self.requests = kind, 0

    def add(self, event: str, **fields: Any) -> None:
        self.events.append({"seq": len(self.events) + 1, "event": event, "kind": self.kind, **fields})

    def write(
        self,
        *payloads: dict[str, Any],
        key: str | None = None,
        what: str | None = "applied",
        remote_id: str = "r7",
        fault: str = "none",
        status: int | None = 200,
        gone: bool = False,
    ) -> Log:
        """One request for these payloads; ``what`` is ``None`` if nothing of it was applied."""
        self.requests += 1
        request = self.requests
        items = [{"record": str(payload["id"]), "key": key, "sent": payload, "to": ""} for payload in payloads]
        self.add("received", request=request, items=items)
        for payload in payloads if what else ():
            told = {"request": request, "record": str(payload["id"]), "remote_id": remote_id, "key": key}
            self.add("effect", what=what, **told, sent=payload, payload=payload)
        self.add("fate", request=request, fault=fault, status=status, gone=gone)
        return self

    def read(self, payload: dict[str, Any]) -> Log:
        self.requests += 1
        self.add("received", request=self.requests, items=[])
        self.add("read", request=self.requests, record=str(payload["id"]), payload=payload)
        self.add("fate", request=self.requests, fault="none", status=200, gone=False)
        return self


def judge(
    log: Log,
    *,
    versions: int = 2,
    item: LedgerItem | None = None,
    delivery_class: str | None = None,
    source: Any = None,
    residue: Any = (),
) -> list[Kind]:
    evidence = Evidence(
        delivery_class=delivery_class or log.kind.upper(),
        source=source or {"7": [version(number) for number in range(versions)]},
        log=log.events,
        ledger={} if item is None else {"7": item},
        residue=residue,
    )
    return [finding.kind for finding in check(evidence).findings]


def written(number: int, remote_id: str | None = "r7") -> LedgerItem:
    return LedgerItem(status="written", version=number, remote_id=remote_id)


@pytest.mark.parametrize("kind", ["a", "b", "c", "d"])
def test_a_clean_log_has_no_findings(kind):
    log = Log(kind).write(version(0), key="k0").write(version(1), key="k1")
    assert judge(log, item=written(1)) == []


def test_a_version_that_was_passed_over_is_not_missed():
    assert judge(Log().write(version(2)), versions=3, item=written(2)) == []


@pytest.mark.parametrize("item", [None, written(0)])
def test_lost(item):
    log = Log()
    if item is not None:
        log.write(version(0))
    assert judge(log, item=item) == [Kind.LOST]


@pytest.mark.parametrize("status", ["rejected", "deferred", "in_doubt"])
def test_what_is_listed_is_not_lost(status):
    item = LedgerItem(status=status, version=0, dead_letter=True)
    assert judge(Log().write(version(0)).write(version(1), what=None, status=503), item=item) == []


@pytest.mark.parametrize("kind", ["a", "b"])
def test_what_could_be_delivered_should_not_stay_listed(kind):
    item = LedgerItem(status="in_doubt", version=0)
    log = Log(kind).write(version(0), key="k").write(version(1), key="l", status=None)
    assert judge(log, item=item) == [Kind.UNSETTLED]
    evidence = Evidence(
        delivery_class=kind.upper(),
        source={"7": [version(0), version(1)]},
        log=log.events,
        ledger={"7": item},
        refused="7",
    )
    assert check(evidence).findings == []


def test_a_rejected_item_without_a_dead_letter_is_silent():
    assert judge(Log(), item=LedgerItem(status="rejected", version=None)) == [Kind.SILENT]


def test_an_effect_that_the_ledger_does_not_know_is_silent():
    assert judge(Log().write(version(0)), versions=1) == [Kind.SILENT]


def test_a_newer_effect_than_the_ledger_knows_is_silent_and_wrong():
    log = Log().write(version(0)).write(version(1), status=None)
    assert set(judge(log, item=written(0))) == {Kind.SILENT, Kind.LEDGER_WRONG}


@pytest.mark.parametrize(
    "lost",
    [
        {"status": None, "fault": "reset_after"},
        {"status": 502, "fault": "status"},
        {"fault": "truncated"},
        {"fault": "not_json"},
        {"gone": True},
        {"fault": "missing"},
    ],
)
def test_written_without_ever_having_been_told_is_silent(lost):
    assert judge(Log().write(version(1), **lost), item=written(1)) == [Kind.SILENT]


def test_a_look_up_tells_what_an_answer_did_not():
    assert judge(Log().write(version(1), status=None).read(version(1)), item=written(1)) == []


def test_a_deduplicated_second_sending_tells_what_the_first_did_not():
    log = Log("a").write(version(1), key="k", status=None).write(version(1), key="k", what="deduplicated")
    assert judge(log, item=written(1)) == []


@pytest.mark.parametrize(("kind", "found"), [("a", True), ("b", False), ("c", True), ("d", True)])
def test_doubled_where_the_class_promises_once(kind, found):
    log = Log(kind).write(version(0)).write(version(1)).write(version(1))
    assert judge(log, item=written(1)) == ([Kind.DOUBLED] if found else [])


def test_at_least_once_may_double():
    log = Log("d").write(version(1)).write(version(1))
    assert judge(log, item=written(1), delivery_class="E") == []


def test_one_key_applied_twice_is_doubled():
    log = Log("a").write(version(0), key="k").write(version(1), key="k")
    assert judge(log, item=written(1)) == [Kind.DOUBLED]


def test_payloads_that_come_back_are_not_doubled():
    red, green = {"id": 7, "value": "red"}, {"id": 7, "value": "green"}
    source = {"7": [red, green, red]}
    log = Log().write(red).write(green).write(red)
    assert judge(log, source=source, item=written(2)) == []
    assert judge(log.write(red), source=source, item=written(2)) == [Kind.DOUBLED]


def test_a_payload_that_does_not_come_back_is_wrong():
    red, green = {"id": 7, "value": "red"}, {"id": 7, "value": "green"}
    log = Log("a").write(red, key="k1").write(green, key="k2").write(red, key="k1", what="deduplicated")
    assert judge(log, source={"7": [red, green, red]}, item=written(2)) == [Kind.LEDGER_WRONG]


@pytest.mark.parametrize("kind", ["a", "b", "c", "d"])
def test_an_older_version_after_a_newer_one_is_stale(kind):
    log = Log(kind).write(version(1)).write(version(0))
    assert set(judge(log, item=written(1))) == {Kind.STALE}


def test_stale_for_a_while_is_stale_too():
    log = Log("b").write(version(1)).write(version(0)).write(version(1))
    assert judge(log, item=written(1)) == [Kind.STALE]


@pytest.mark.parametrize(
    ("log", "item"),
    [
        (Log(), written(1)),
        (Log().write(version(1)), written(1, "another")),
        (Log().write(version(1)), written(-1)),
        (Log().write({"id": 7, "version": 99}).write(version(1)), written(1)),
    ],
    ids=["never applied", "another id", "no such version", "an effect that was never due"],
)
def test_ledger_wrong(log, item):
    assert Kind.LEDGER_WRONG in judge(log, item=item)


def test_a_record_that_the_source_never_had_is_wrong():
    log = Log().write(version(1)).write(version(0, record=8))
    assert judge(log, item=written(1)) == [Kind.LEDGER_WRONG]


def test_what_is_left_over_is_told():
    assert judge(Log().write(version(1)), item=written(1), residue=["cf_intent: 1"]) == [Kind.RESIDUE]


def test_findings_read_well_and_effects_are_counted():
    log = Log().write(version(0)).write(version(0))
    evidence = Evidence(delivery_class="C", source={"7": [version(0)]}, log=log.events, ledger={"7": written(0)})
    report = check(evidence)
    (finding,) = report.of(Kind.DOUBLED)
    assert isinstance(finding, Finding)
    assert str(finding) == "DOUBLED 7: effect 5 applied {'id': 7, 'version': 0} once more"
    assert dict(report.counts) == {"records": 1, "effects": 2, "repeated": 1, "listed": 0, "held": 0}
